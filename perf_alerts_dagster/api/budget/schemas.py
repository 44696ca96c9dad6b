"""GET /false-alarm-budget, and what `perf-alerts budget --json` prints."""

from datetime import datetime

from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.http.schemas import Answer, Model, Time
from perf_alerts_dagster.incidents.ledger import DAYS, Ledger
from perf_alerts_dagster.judging.rules.catalogue import BY_ID
from perf_alerts_dagster.proxy.schemas import FalseAlarms

NOTES = (
    "Stated is the mean over years in which nothing changes, not each year: one may have twice as "
    "many. An opening is no false alarm until somebody says so.",
    "Criticals are among the warnings, emergencies by a strategy's own drawdown line among both.",
    "Where several rules notify in one year, all of them are counted here by rule, and one opening "
    "is stated for the strategy: the rules' numbers add up to more.",
)
NOTHING_JUDGED = "Nothing was judged yet: the daily check does so, or `perf-alerts run`."
NO_BUDGET = (
    "ALERT_RULE_PRESET=documented: documented limits notify without evidence, no budget holds."
)
FLOOR = (
    "So many strategies would need less than the least share that one is given: the desk's figure "
    "is above ALERT_FALSE_ALARMS_PER_YEAR or ALERT_FALSE_CRITICALS_PER_YEAR."
)


class StatedShares(Model):
    """The share of years in which one strategy notifies; `is_least`: none is given less."""

    warning: float
    critical: float
    is_least: bool


class StrategyAccounts(FalseAlarms):
    """A strategy's accounts; without healthy years (`has_rate`) nothing is set yet."""

    strategy: str
    has_rate: bool


class RuleAccounts(FalseAlarms):
    """A rule's accounts. One that is only shown (`notifies` false) never notifies."""

    rule: str
    title: str
    notifies: bool


class BudgetData(Model):
    """The ledger of a desk of `strategies`, groups among them, over the last `days`.

    `holds` is false where the preset knows no budget. `stated` is each strategy's share.
    """

    days: int
    holds: bool
    notes: list[str]
    strategies: int
    without_rate: list[str]
    stated: StatedShares
    desk: FalseAlarms
    by_strategy: list[StrategyAccounts]
    by_rule: list[RuleAccounts]


class BudgetAnswer(Answer):
    """GET /false-alarm-budget."""

    data: BudgetData
    timestamp: Time


def answer_of(ledger: Ledger, now: datetime, *, holds: bool) -> BudgetAnswer:
    """The answer at a time; `holds`: notifications need evidence."""
    notes = list(NOTES if holds else [NO_BUDGET])
    if holds and ledger.stated.is_least:
        notes.append(FLOOR)
    if not ledger.strategies:
        notes.append(NOTHING_JUDGED)
    data = BudgetData(
        days=DAYS,
        holds=holds,
        notes=notes,
        strategies=ledger.strategies,
        without_rate=list(ledger.without_rate),
        stated=StatedShares.model_validate(ledger.stated),
        desk=FalseAlarms.model_validate(ledger.desk),
        by_strategy=[
            StrategyAccounts(
                strategy=name,
                has_rate=accounts.warnings.set is not None,
                **FalseAlarms.model_validate(accounts).model_dump(),
            )
            for name, accounts in ledger.by_strategy.items()
        ],
        by_rule=[
            RuleAccounts(
                rule=name,
                title=BY_ID[name].title if name in BY_ID else name,
                notifies=notifies(name),
                **FalseAlarms.model_validate(accounts).model_dump(),
            )
            for name, accounts in ledger.by_rule.items()
        ],
    )
    return BudgetAnswer(success=True, data=data, timestamp=timestamp(now))


def notifies(rule: str) -> bool:
    """Whether a rule may notify people; else it is only shown."""
    known = BY_ID.get(rule)
    return known is None or not known.gated or known.weight > 0.0
