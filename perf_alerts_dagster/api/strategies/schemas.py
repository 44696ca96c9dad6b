"""GET /strategies and their projections."""

from typing import Annotated, Any

from pydantic import Field

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http.inputs import Day, Reason, text_schema
from perf_alerts_dagster.http.requests import Absent, Body, Parameters
from perf_alerts_dagster.http.schemas import Answer, Model, Number, Page, Time


class ProjectionQuery(Parameters):
    """The date of GET /strategies/{name}/projection; today where it is left out."""

    as_of: Absent[Annotated[Day, text_schema()]] = None


class RetireBody(Body):
    """The body of POST /strategies/{name}/retire: the first day that is not judged, and why."""

    since: Day = Field(alias="from")
    reason: Reason


class RetirementData(Model):
    """A strategy's retirement, and who asked for it when."""

    strategy: str
    since: str
    reason: str
    by: str
    at: Time


class RetirementAnswer(Answer):
    """POST /strategies/{name}/retire."""

    data: RetirementData
    timestamp: Time


class RuleEvaluation(Model):
    """The newest evaluation of one rule for one strategy."""

    rule: str
    projection: str | None
    alert: str
    as_of: str
    outcome: str
    severity: Severity | None
    value: Number
    limit: Number
    observations: int | None
    required: int | None
    evidence: str | None
    p_year: Number
    false_alarm_rate: Number
    power: Number
    days_to_half: Number
    notifies: bool | None
    power_126: Number
    power_252: Number
    delay_sessions: Number
    minimal_delay_sessions: Number
    share_of_limit: Number
    provisional: bool
    message: str


class StrategyState(Model):
    """One strategy: the worst outcome in one word, and the newest evaluation per rule.

    `note` says why it was not judged, or not in full; null where it was.
    """

    strategy: str
    outcome: str
    note: str | None
    evaluations: list[RuleEvaluation]


class StrategiesAnswer(Page):
    """GET /strategies."""

    data: list[StrategyState]


class LivePoint(Model):
    """The compounded return from the day of issue to one later row."""

    date: str
    row: int
    cumulative_return: float


class Bands(Model):
    """A projection: `bands[q][h]` is the quantile `probabilities[q]` after h + 1 rows."""

    kind: str
    issued_on: str
    horizon: int
    settings_version: str
    facts: dict[str, Any]
    probabilities: list[float]
    bands: list[list[float]]
    drawdown_probabilities: list[float]
    drawdowns: list[float]
    live: list[LivePoint]


class ProjectionData(Model):
    """All projections in force on a date, each with the realised path since its issue."""

    strategy: str
    as_of: str
    projections: list[Bands]


class ProjectionAnswer(Answer):
    """GET /strategies/{name}/projection."""

    data: ProjectionData
    timestamp: Time
