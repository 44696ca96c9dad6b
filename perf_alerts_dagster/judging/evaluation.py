"""Evaluations (one rule, one strategy) and judgements (all evaluations of an alert and date)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from perf_alerts_dagster.core.alerts import BY_NAME, Alert
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


# Nothing was measured: an incident opens where there is a severity.
UNMEASURED = (Outcome.NO_DATA, Outcome.ERROR)


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


# The number of a breach, or of what could not be measured, with its day or since when, in its
# parts: for a subject, after the strategy's name.
HEADLINE = "headline"
_MAXIMUM_HEADLINE = 60
# What rows are missing, in words, and the members of a group that are, in its parts.
LACKS = "lacks"
ABSENT = "absent"
# What is kept of a breach that only a new method found, in its parts; see `judging.upgrade`.
HELD = "held"
# Why a breach that is notified was one, in its parts; see `judging.explained`.
EXPLAINED = "explained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The outcome of one rule for one strategy on one as-of date.

    `value` and `limit` are in the rule's own unit and sign (returns: losses are negative); None
    where nothing could be measured. `observations` of `required` rows were there. `severity` is
    set for a breach only. `p_year`, `false_alarm_rate` and the powers are probabilities in [0, 1].
    `notifies`: by itself it opens or raises an incident that is sent; silences, windows,
    acknowledgements, observing and missing channels do not change it; None before version 4.
    What a rule is worth stands in `power_126` to `share_of_limit`, see `projections.power.Worth`,
    None where the outcome is neither ok nor breach; `power` is `power_126`. `session` is the row
    that an event is about. `message` is one sentence for people; `parts` holds the rule's further
    numbers, JSON-ready, without NaN or infinity.
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
    notifies: bool | None = None
    power_126: float | None = None
    power_252: float | None = None
    delay_sessions: float | None = None
    minimal_delay_sessions: float | None = None
    share_of_limit: float | None = None
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
    def worth(self) -> str:
        """How long the rule needs to see its own alternative, as a sentence; "" where unknown.

        Also where no watcher sees it within the lives that the delay is the mean of.
        """
        delay, minimum = self.delay_sessions, self.minimal_delay_sessions
        if delay is None or minimum is None or delay < minimum:
            return ""
        return f"a perfect watcher would need {minimum:,.0f} sessions; this one {delay:,.0f}"

    @property
    def why(self) -> str:
        """What made the loss, in one line; "" where it is not explained."""
        explained = self.parts.get(EXPLAINED)
        return str(explained["line"]) if isinstance(explained, dict) else ""

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

    def as_judged(self, alert: Alert, *, gate: bool, recorded_only: bool) -> "Evaluation":
        """With what it notifies by itself, and without a worth where nothing was compared."""
        minimum = Severity(alert.notifies_from)
        is_news = self.is_notified(gate=gate, minimum=minimum) or (
            self.outcome in UNMEASURED and self.severity is not None
        )
        more: dict[str, Any] = {"notifies": is_news and not recorded_only}
        if self.outcome not in (Outcome.OK, Outcome.BREACH):
            more |= dict.fromkeys(WORTH)
        return replace(self, **more)


# The numbers that say what a rule is worth.
WORTH = (
    "power",
    "days_to_half",
    "power_126",
    "power_252",
    "delay_sessions",
    "minimal_delay_sessions",
    "share_of_limit",
)


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
    """The severity at which a breach is notified; without the gate, that of its limit.

    What is shown only is so without the gate too.
    """
    is_info = evaluation.notified_severity is Severity.INFO
    is_own = gate or is_info or HELD in evaluation.parts
    return (evaluation.notified_severity if is_own else evaluation.severity) or Severity.INFO


def evidence_of(
    severity: Severity | None, p_year: float | None, levels: tuple[float, float]
) -> Evidence | None:
    """The evidence of a gated rule: strong within the warning's level; None without a breach."""
    if severity is None:
        return None
    if p_year is None:
        return Evidence.UNRATED
    return Evidence.STRONG if p_year <= levels[0] else Evidence.WEAK


def notified_as(
    severity: Severity | None, p_year: float | None, levels: tuple[float, float]
) -> dict[str, Json]:
    """`told_as` for a breach that passes a critical limit with evidence for a warning only."""
    if severity is None or p_year is None or severity.rank < Severity.CRITICAL.rank:
        return {}
    return {"told_as": Severity.WARNING.value} if levels[1] < p_year <= levels[0] else {}


def headed(headline: str) -> dict[str, Json]:
    """The part that holds a headline, of at most 60 characters; none where it is empty."""
    if len(headline) > _MAXIMUM_HEADLINE:
        headline = f"{headline[: _MAXIMUM_HEADLINE - 1]}…"
    return {HEADLINE: headline} if headline else {}
