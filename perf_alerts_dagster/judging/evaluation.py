"""Evaluations (one rule, one strategy) and judgements (all evaluations of an alert and date)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity


class Outcome(StrEnum):
    """The outcome of one rule: within its limits, beyond them, or the reason why not judged.

    partial: within its limits on the rows that are there, while some that should be are missing;
    no reason to say that all is well.
    """

    OK = "ok"
    PARTIAL = "partial"
    BREACH = "breach"
    INSUFFICIENT_DATA = "insufficient_data"
    NO_DATA = "no_data"
    ERROR = "error"


class Kind(StrEnum):
    """Whether a rule is about one row (event) or about a state that lasts (level)."""

    EVENT = "event"
    LEVEL = "level"


class Evidence(StrEnum):
    """The rarity of a breach in the strategy's own healthy years.

    strong: `p_year` is within the budget of a warning at least. weak: it is not. unrated: there
    is no calibration yet. ungated: a rule that needs none (a policy limit, a data rule).
    """

    STRONG = "strong"
    WEAK = "weak"
    UNRATED = "unrated"
    UNGATED = "ungated"


# What is kept of a breach that only a new method found, in its parts; see `judging.upgrade`.
HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The outcome of one rule for one strategy on one as-of date.

    `value` and `limit` are in the rule's own unit and sign (returns: losses are negative); None
    where nothing could be measured. `observations` of `required` rows were there. `severity` is
    set for a breach only. `p_year`, `false_alarm_rate` and `power` are probabilities in [0, 1].
    `session` is the row that an event is about. `message` is one sentence for people; `parts`
    holds the rule's further numbers, JSON-ready, without NaN or infinity.
    """

    strategy: str
    rule: str
    outcome: Outcome
    kind: Kind = Kind.LEVEL
    severity: Severity | None = None
    value: float | None = None
    limit: float | None = None
    observations: int | None = None
    required: int | None = None
    evidence: Evidence | None = None
    p_year: float | None = None
    false_alarm_rate: float | None = None
    power: float | None = None
    days_to_half: float | None = None
    session: date | None = None
    projection: str | None = None
    provisional: bool = False
    message: str = ""
    parts: Mapping[str, Json] = field(default_factory=dict)

    @property
    def dedup_key(self) -> str:
        """The key of the evaluation's incident, independent of severity and message."""
        parts = [self.strategy, self.rule, self.projection or "-"]
        column = self.parts.get("column")
        if isinstance(column, str):
            # One mandate per column: leverage must not hide turnover.
            parts.append(column)
        if self.kind is Kind.EVENT and self.session is not None:
            parts.append(self.session.isoformat())
        return "|".join(map(escaped, parts))

    @property
    def notified_severity(self) -> Severity | None:
        """The severity at which people are notified, limited to a warning by weaker evidence.

        `severity` is that of the breached limit; a drawdown beyond the critical limit that 3 % of
        healthy years reach is notified as a warning.
        """
        notified_as = self.parts.get("told_as")
        return Severity(notified_as) if isinstance(notified_as, str) else self.severity

    def is_notified(self, *, gate: bool = True, minimum: Severity = Severity.WARNING) -> bool:
        """Whether people are notified: of a breach with evidence, at `minimum` or above.

        Without the gate (ALERT_RULE_PRESET=documented) weak and unrated breaches are notified too.
        """
        rank = severity_of(self, gate=gate).rank
        if self.outcome is not Outcome.BREACH or rank < max(minimum.rank, Severity.WARNING.rank):
            return False
        return not gate or self.evidence in (Evidence.STRONG, Evidence.UNGATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All evaluations of one alert for one as-of date, with the keys to reproduce them.

    Same as-of date, settings version and data hash: same evaluations, bit for bit.
    `method_version` is what evidence was calibrated by, None before there was one.
    `provisional`: its newest row is of a session that had not closed. `recorded_only`: its date is
    older than the newest judged one, so it may neither open nor resolve anything.
    """

    alert: str
    as_of: date
    run_id: str
    judged_at: datetime
    settings_version: str
    data_hash: str
    seed: int
    evaluations: tuple[Evaluation, ...]
    provisional: bool = False
    recorded_only: bool = False
    restated: bool = False
    method_version: str | None = None

    def repeats(self, other: "Judgement") -> bool:
        """Whether `other` differs only in its run, its time and `restated`.

        `restated` may differ on the same data: the run that saw the earlier rows may have been
        killed before it stored the new hashes.
        """
        return self == replace(
            other, run_id=self.run_id, judged_at=self.judged_at, restated=self.restated
        )


def escaped(part: str) -> str:
    """A part of a dedup key, in which bars separate the parts."""
    return part.replace("\\", "\\\\").replace("|", "\\|")


def notified(judgement: Judgement, *, gate: bool) -> list[Evaluation]:
    """The breaches of a judgement that people are notified of, worst first.

    Nobody is notified of a date that is only recorded; the two threshold checks notify from
    critical on.
    """
    if judgement.recorded_only:
        return []
    minimum = Severity(BY_NAME[judgement.alert].notifies_from)
    breaches = [one for one in judgement.evaluations if one.is_notified(gate=gate, minimum=minimum)]
    return sorted(
        breaches, key=lambda one: (-severity_of(one, gate=gate).rank, one.strategy, one.rule)
    )


def severity_of(evaluation: Evaluation, *, gate: bool) -> Severity:
    """The severity at which a breach is notified; without the gate, that of its limit."""
    is_own = gate or HELD in evaluation.parts
    return (evaluation.notified_severity if is_own else evaluation.severity) or Severity.INFO
