"""GET /strategies, their projections and baselines."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http.inputs import Day, InputError, Reason, text_schema
from perf_alerts_dagster.http.requests import Absent, Body, Parameters
from perf_alerts_dagster.http.schemas import Answer, Model, Number, Page, Time
from perf_alerts_dagster.http.schemas import Day as DayText


def _share(value: object, info: ValidationInfo) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(info.field_name or "", "a number from 0 to 1")
    return float(value)


Share = Annotated[
    float,
    BeforeValidator(_share),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]


class ProjectionQuery(Parameters):
    """The date of GET /strategies/{name}/projection; today where it is left out."""

    as_of: Absent[Annotated[Day, text_schema()]] = None


class RetireBody(Body):
    """The body of POST /strategies/{name}/retire: the first day that is not judged, and why."""

    since: Day = Field(alias="from")
    reason: Reason


class BaselineQuery(Parameters):
    """The first day of GET /strategies/{name}/baseline to propose for; today where left out."""

    since: Absent[Annotated[Day, text_schema()]] = Field(default=None, alias="from")


class RebaselineBody(Body):
    """The body of POST /strategies/{name}/rebaseline.

    The first day that counts against it, why, and the share that is taken off the reference's
    mean, from 0 to 1: the proposed one where it is left out.
    """

    since: Day = Field(alias="from")
    reason: Reason
    haircut: Absent[Share] = None


class BaselineEntry(Model):
    """A strategy's baseline, and who set it when."""

    number: int
    since: DayText
    haircut: float
    reason: str
    by: str
    at: Time


class ProposalData(Model):
    """The haircut at which the reference has the mean of the live rows, its error, and both means.

    Means are per row, in log returns; `rows` are the live rows before the day.
    """

    haircut: float
    standard_error: float
    rows: int
    live_mean: float
    reference_mean: float


class BaselineData(Model):
    """The baseline in force today, all of them, oldest first, and what is proposed."""

    strategy: str
    in_force: BaselineEntry | None
    history: list[BaselineEntry]
    proposal: ProposalData | None


class BaselineAnswer(Answer):
    """GET /strategies/{name}/baseline and POST /strategies/{name}/rebaseline."""

    data: BaselineData
    timestamp: Time


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
