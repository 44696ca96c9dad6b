"""The ledger of false alarms: the openings a year that are stated, what was opened, what is left.

An opening is no false alarm until somebody says so: a strategy that did change is among them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import rounded
from perf_alerts_dagster.judging.budget import Budgets, Stated
from perf_alerts_dagster.judging.evaluation import Evidence
from perf_alerts_dagster.judging.rules.catalogue import BY_ID, RULES
from perf_alerts_dagster.judging.rules.thresholds import DRAWDOWN
from perf_alerts_dagster.judging.shares import Share
from perf_alerts_dagster.projections.calibration import EMERGENCY

# A year of openings.
DAYS = 365
# What a sum of shares may add beyond is no figure.
_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """An event of a strategy that was opened, with its highest severity so far.

    `is_limit`: it only passed limits, which need no evidence and have no share of the budget.
    """

    strategy: str
    rule: str
    severity: Severity
    is_limit: bool = False


def opening_of(
    strategy: str, rule: str, severity: Severity, evidence: str | None, p_year: float | None
) -> Opening | None:
    """What a stored incident is of its event's opening; None for one about data or the system.

    The strategy's own line of the drawdown is rated, an emergency, and inside the budget.
    """
    known = BY_ID.get(rule)
    if not strategy or (known and known.family is Family.DATA and not known.gated):
        return None
    is_line = rule == DRAWDOWN.id and severity is Severity.EMERGENCY and p_year is not None
    is_limit = evidence == Evidence.UNGATED and not is_line
    return Opening(strategy=strategy, rule=rule, severity=severity, is_limit=is_limit)


def of_event(leader: str, found: Sequence[Opening]) -> Opening:
    """The opening of an event, by what its incidents (n >= 1) are of it, the oldest first.

    A limit that is passed as well makes no false alarm, nor a critical of one.
    """
    rated = [each for each in found if not each.is_limit] or found
    return Opening(
        strategy=leader,
        rule=rated[0].rule,
        severity=max((each.severity for each in rated), key=lambda severity: severity.rank),
        is_limit=rated[0].is_limit,
    )


def year_before(now: datetime) -> datetime:
    """The first moment of the year whose openings count at `now`."""
    return now - timedelta(days=DAYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`set`: the openings a year that are stated, None where none are. `spent`: what was opened."""

    set: float | None
    spent: int

    @property
    def left(self) -> float | None:
        """What is left; below 0 where more were opened than are stated."""
        return None if self.set is None else round(self.set - self.spent, _DIGITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Openings from warning on, those of them from critical on, and limits that were passed."""

    warnings: Account
    criticals: Account
    limit_messages: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The accounts of a desk, and of each strategy and rule of it.

    `stated` is each strategy's share by the settings, `strategies` how many share the desk's.
    `without_rate` have no healthy years yet. What is no longer judged has spent, and is set
    nothing. A year in which several rules notify is one: the rules' sets add up to more.
    """

    stated: Stated
    strategies: int
    without_rate: tuple[str, ...]
    desk: Accounts
    by_strategy: Mapping[str, Accounts]
    by_rule: Mapping[str, Accounts]


def ledger_of(
    shares: Sequence[Share],
    openings: Sequence[Opening],
    budgets: Budgets,
    *,
    strategies: int,
    gate: bool,
) -> Ledger:
    """The ledger of a year's openings.

    Args:
        shares: Of the strategies to show, all of the desk or a part of it.
        openings: Theirs, within a year.
        budgets: The settings.
        strategies: How many share the desk's budget, groups among them.
        gate: Whether notifications need evidence; else no budget holds, and nothing is set.
    """
    given = {share.strategy: [share] for share in shares}
    names = sorted({*given, *(opening.strategy for opening in openings)})
    known = [rule.id for rule in RULES if rule.gated or rule.id in _limits(shares)]
    rules = dict.fromkeys([*known, *sorted(opening.rule for opening in openings)])
    return Ledger(
        stated=budgets.stated(strategies),
        strategies=strategies,
        without_rate=tuple(share.strategy for share in shares if share.expected is None),
        desk=_accounts(openings, _of_strategies(shares) if gate else _NOTHING),
        by_strategy={
            name: _accounts(
                [opening for opening in openings if opening.strategy == name],
                _of_strategies(given.get(name, [])) if gate else _NOTHING,
            )
            for name in names
        },
        by_rule={
            rule: _accounts(
                [opening for opening in openings if opening.rule == rule],
                _of_rule(rule, shares) if gate else _NOTHING,
            )
            for rule in rules
        },
    )


def total(
    openings: Sequence[Opening], budgets: Budgets, *, strategies: int, gate: bool
) -> Accounts:
    """A desk's accounts by the settings alone: what they state for so many strategies.

    Each one's own line of the drawdown is among the warnings, and critical beside the others.
    """
    stated = budgets.stated(strategies)
    warnings = strategies * max(stated.warning, EMERGENCY)
    criticals = strategies * (stated.critical + EMERGENCY)
    return _accounts(openings, (warnings, criticals, None) if gate else _NOTHING)


def sentence(accounts: Accounts) -> str:
    """A desk's accounts as one line of a message."""
    warnings, criticals = accounts.warnings, accounts.criticals
    since = f"in the last {DAYS} days"
    limits = f"; {accounts.limit_messages.spent} passed a limit"
    if warnings.set is None or criticals.set is None:
        return (
            f"false alarms: no budget holds (ALERT_RULE_PRESET=documented); {warnings.spent} "
            f"openings from warning on and {criticals.spent} critical {since}"
        )
    return (
        f"false-alarm budget: {warnings.spent} of {rounded(warnings.set)} stated warnings a year "
        f"and {criticals.spent} of {rounded(criticals.set)} stated criticals opened {since}, "
        f"rightly or not{limits if accounts.limit_messages.spent else ''}"
    )


_Set = tuple[float | None, float | None, float | None]
_NOTHING: _Set = (None, None, None)


def _of_strategies(shares: Sequence[Share]) -> _Set:
    expected = [share.expected for share in shares if share.expected is not None]
    if not expected:
        return _NOTHING
    limits = [value for share in shares for value in share.limits.values() if value is not None]
    return (
        sum(each.warnings for each in expected),
        sum(each.criticals for each in expected),
        sum(limits),
    )


def _of_rule(rule: str, shares: Sequence[Share]) -> _Set:
    levels = [share.levels.get(rule, (0.0, 0.0)) for share in shares]
    lines = sum(share.expected.line for share in shares if share.expected and rule == DRAWDOWN.id)
    return (
        sum(level[0] for level in levels) + lines,
        sum(level[1] for level in levels) + lines,
        sum(share.limits.get(rule) or 0.0 for share in shares),
    )


def _limits(shares: Sequence[Share]) -> set[str]:
    return {rule for share in shares for rule in share.limits}


def _accounts(openings: Sequence[Opening], given: _Set) -> Accounts:
    inside = [opening for opening in openings if not opening.is_limit]
    critical = sum(opening.severity.rank >= Severity.CRITICAL.rank for opening in inside)
    warnings, criticals, limits = (
        None if value is None else round(value, _DIGITS) for value in given
    )
    return Accounts(
        warnings=Account(set=warnings, spent=len(inside)),
        criticals=Account(set=criticals, spent=critical),
        limit_messages=Account(set=limits, spent=len(openings) - len(inside)),
    )
