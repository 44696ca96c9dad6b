"""GET /strategies/{name} and what is stored of it: series, evaluations, calibrations, issues."""

from datetime import date
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field

from perf_alerts_dagster.api.strategies.schemas import RuleEvaluation
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.inputs import Day as InputDay
from perf_alerts_dagster.http.requests import Absent, Paged, Parameters, bad_cursor
from perf_alerts_dagster.http.schemas import Answer, Day, Model, Number, Page, Time
from perf_alerts_dagster.judging.ports import HistoryPlace
from perf_alerts_dagster.judging.rules.catalogue import BY_ID

OptionalDay = Annotated[str | None, BeforeValidator(lambda day: day and str(day))]
_Date = Annotated[InputDay, inputs.text_schema()]


def _rule(text: str, field: str) -> str:
    if text not in BY_ID:
        raise inputs.InputError(field, "the id of a rule, such as drawdown; see docs/rules.md")
    return text


Rule = Annotated[str, inputs.text_check(_rule), inputs.text_schema()]


class AsOfQuery(Parameters):
    """The date of what is asked for; the newest where it is left out."""

    as_of: Absent[_Date] = None


class SpanQuery(Paged):
    """The first and the last day, both included, of a page."""

    first: Absent[_Date] = Field(None, alias="from")
    last: Absent[_Date] = Field(None, alias="to")

    def checked(self) -> Self:
        """The same.

        Raises:
            InputError: it ends before it begins.
        """
        if self.first and self.last and self.last < self.first:
            raise inputs.InputError("to", "a date on or after `from`")
        return self


class SeriesQuery(SpanQuery):
    """The rows of a page, oldest first: those until `as_of`."""

    as_of: Absent[_Date] = None

    @property
    def after(self) -> date | None:
        """The date of the last row of the page before."""
        try:
            return None if self.cursor is None else date.fromisoformat(self.cursor)
        except ValueError:
            raise bad_cursor() from None


class HistoryQuery(SpanQuery):
    """The evaluations of a page, the newest session first."""

    rule: Absent[Rule] = None

    @property
    def before(self) -> HistoryPlace | None:
        """The place of the last evaluation of the page before."""
        if self.cursor is None:
            return None
        try:
            day, judgement, position = self.cursor.split("|")
            return date.fromisoformat(day), int(judgement), int(position)
        except ValueError:
            raise bad_cursor() from None


class FiguresData(Model):
    """A strategy's figures as of its newest row; returns are simple, of live rows.

    `band` is the share of the launch projection's paths that are below the live one.
    """

    last_row: Day
    live_since: OptionalDay
    live_rows: int
    backtest_rows: int
    last_return: Number
    last_pnl: Number
    capital: Number
    month_return: Number
    live_return: Number
    drawdown: Number
    under_water: int
    late: int
    calendar: str
    periods_per_year: float
    band: Number
    projected_on: OptionalDay


class RuleState(Model):
    """How a rule stands; `strip` has a letter for each of the `sessions`."""

    rule: str
    state: str
    alert: str
    as_of: Day
    value: Number
    limit: Number
    p_year: Number
    notifies: bool
    strip: str


class StandingData(Model):
    """How a strategy stands in its newest judgements."""

    state: str
    note: str | None
    session: Day
    judged_at: Time
    provisional: bool
    figures: FiguresData | None
    rules: list[RuleState]
    sessions: list[Day]
    strip: str


class CalendarData(Model):
    """Its calendar: where it comes from, and when its rows are final."""

    name: str
    origin: str
    periods_per_year: float
    longest_gap: int
    closes: str


class RestatedData(Model):
    """Final rows that were found changed: by day `changed`, `added` or `removed`."""

    seen_at: Time
    count: int
    days: dict[str, str]


class TradesData(Model):
    """The closed trades that are kept, and their sums; `left_out` are not kept."""

    count: int
    wins: int
    pnl: float
    cost: float
    left_out: int


class CardData(Model):
    """The rows as they were last read; `is_gone`: the source has the strategy no more."""

    rows: int
    backtest_rows: int
    live_rows: int
    first: Day
    last: Day
    live_since: OptionalDay
    gaps: int
    newest_gaps: list[Day]
    late: int
    calendar: CalendarData
    content_hash: str
    restated: list[RestatedData]
    trades: TradesData | None
    read_at: Time
    is_gone: bool


class StrategyData(Model):
    """All that is stored of one strategy or group.

    `standing` is null where it is not judged; `card`, with what its table says, where this version
    has not read its rows yet.
    """

    strategy: str
    as_of: str | None
    group: str | None
    owner: str | None
    currency: str | None
    status: str | None
    standing: StandingData | None
    card: CardData | None
    evaluations: list[RuleEvaluation]


class StrategyAnswer(Answer):
    """GET /strategies/{name}."""

    data: StrategyData
    timestamp: Time


class PathRow(Model):
    """One row, and the path of its segment up to it."""

    date: str
    live: bool
    simple_return: float
    pnl: Number
    capital: Number
    cumulative_return: Number
    drawdown: Number
    rolling_sharpe: Number
    rolling_volatility: Number


class PathLimits(Model):
    """The limits of a path: those documented, and those that notify by their rarity.

    `low` and `high` are those of a volatility. Null where there is none.
    """

    documented_warning: Number = None
    documented_critical: Number = None
    warning: Number = None
    critical: Number = None
    low: Number = None
    high: Number = None


class SeriesData(Model):
    """The rows of a page, and the limits in force on `as_of`, by the name of the path."""

    strategy: str
    as_of: Day
    currency: str | None
    limits: dict[str, PathLimits]
    rows: list[PathRow]


class SeriesAnswer(Page):
    """GET /strategies/{name}/series."""

    data: SeriesData


class EvaluationsAnswer(Page):
    """GET /strategies/{name}/evaluations."""

    data: list[RuleEvaluation]


class Quantile(Model):
    """What a share of the strategy's healthy years reach; `value` is in the rule's unit."""

    share: float
    badness: float
    value: Number


class RuleCalibration(Model):
    """What the limit of a rule stands for.

    It notifies where at most `level` of healthy years are as bad, which is at `limit`. What it is
    worth is that of its newest evaluation.
    """

    rule: str
    level_warning: float
    level_critical: float
    limit_warning: Number
    limit_critical: Number
    quantiles: list[Quantile]
    false_alarm_rate: Number
    power_126: Number
    power_252: Number
    days_to_half: Number
    delay_sessions: Number
    minimal_delay_sessions: Number
    share_of_limit: Number


class CalibrationsData(Model):
    """The healthy years of the launch projection in force; no rules where it has none yet."""

    strategy: str
    as_of: str | None
    issued_on: str | None
    lives: int | None
    rows_per_year: int | None
    strategies: int | None
    rules: list[RuleCalibration]


class CalibrationsAnswer(Answer):
    """GET /strategies/{name}/calibrations."""

    data: CalibrationsData
    timestamp: Time


class Issue(Model):
    """A projection that was issued; `final[q]` is the quantile `probabilities[q]` at its end."""

    kind: str
    issued_on: Day
    horizon: int
    settings_version: str
    data_hash: str
    run_id: str
    probabilities: list[float]
    final: list[float]
    facts: dict[str, Any]


class IssuesAnswer(Answer):
    """GET /strategies/{name}/projections: the newest first."""

    data: list[Issue]
    timestamp: Time
