"""GET /desk: what was judged when, what is wrong, and how each strategy stands."""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import Absent, Paged, bad_cursor
from perf_alerts_dagster.http.schemas import Day, Model, Number, Page, Time
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.judging.standings.model import LACKING, Cell, Standing
from perf_alerts_dagster.judging.standings.ports import Sort

# The states that rows are filtered by, and their cells; with `open`, those with an incident.
OPEN = "open"
STATES: Mapping[str, Collection[Cell] | None] = {
    OPEN: None,
    "blind": LACKING,
    **{cell.value: (cell,) for cell in reversed(Cell)},
}


class Kind(StrEnum):
    """Whose rows."""

    STRATEGY = "strategy"
    GROUP = "group"


class Order(StrEnum):
    """The order of a sort; `asc` has the worst, the smallest or the first by name first."""

    ASC = "asc"
    DESC = "desc"


def _state(text: str, field: str) -> str:
    if text not in STATES:
        raise inputs.InputError(field, f"one of {', '.join(STATES)}")
    return text


class DeskQuery(Paged):
    """The filter of GET /desk, its order and its page."""

    group: Absent[inputs.StrategyName] = Field(None, description="Only members of this group.")
    owner: Absent[inputs.StrategyName] = Field(None, description="Only this owner's.")
    state: Absent[
        Annotated[str, inputs.text_check(_state), inputs.text_schema(enum=list(STATES))]
    ] = Field(
        None,
        description="Only of this state; `open`: with an incident, `blind`: not judged in full.",
    )
    text: Absent[inputs.StrategyName] = Field(
        None, description="Part of a name, a group or an owner."
    )
    kind: Absent[Annotated[Kind, inputs.member_of(Kind)]] = None
    sort: Annotated[Sort, inputs.member_of(Sort)] = Sort.WORST
    order: Annotated[Order, inputs.member_of(Order)] = Order.ASC

    @property
    def offset(self) -> int:
        """The position of the page's first row."""
        if self.cursor is None:
            return 0
        if not self.cursor.isdecimal() or len(self.cursor) > 7:
            raise bad_cursor()
        return int(self.cursor)


class DeskState(Model):
    """What was judged when, and whether it goes on; null where it is not known.

    Of `strategies`, `judged` were judged for `session`, if in part; it is the newest one, and was
    still open where `provisional`. `late` are those whose newest row is behind, `cells` counts all
    by their state. `scheduler` is unknown while Dagster does not answer, or has not yet where it
    is `slow`; where it is `stale`, this is what it last said. `off` are the alerts whose schedule
    is off, `failed` those whose last run failed, `missed` counts the runs that were due in the
    last week and did not happen. `messages_waiting` and `messages_given_up` were not delivered.
    """

    session: Day | None
    judged_at: Time | None
    provisional: bool
    strategies: int
    judged: int
    late: int
    cells: dict[Cell, int]
    scheduler: Literal["running", "silent", "unknown"]
    stale: bool
    slow: bool
    next_check: Time | None
    off: list[str]
    failed: list[str]
    missed: int
    downtime: str | None
    last_message: Time | None
    messages_waiting: int
    messages_given_up: int


class DeskIncidents(Model):
    """The unresolved events by severity; `unanswered`: those that nobody has acknowledged."""

    total: int
    severities: dict[Severity, int]
    unanswered: int
    notified_this_week: int


class Contributor(Model):
    """A strategy's part in the desk's last session."""

    strategy: str
    owner: str | None
    last_return: Number
    last_pnl: Number


class DeskSession(Model):
    """The desk's newest session, in one currency, and who made most of it.

    `contributors` are the largest in the direction of the desk's own P&L; where there is none,
    by return.
    """

    strategy: str
    currency: str | None
    session: Day
    last_return: Number
    last_pnl: Number
    contributors: list[Contributor]


class BlindStrategy(Model):
    """A strategy that was not judged, or not in full, and why."""

    strategy: str
    owner: str | None
    state: Cell
    note: str


class RowRule(Model):
    """What a rule found of a strategy; `notifies`: people are notified of it."""

    cell: Cell
    alert: str
    as_of: Day
    value: Number
    limit: Number
    p_year: Number
    notifies: bool


class RowIncident(Model):
    """The unresolved incidents of a strategy: how many, and the one by which they are shown."""

    id: str
    event_id: str
    headline: str
    rule: str
    severity: Severity
    status: Status
    hint: str
    count: int


class SystemIncident(Model):
    """An unresolved incident about no strategy, such as a source that shrank."""

    id: str
    rule: str
    headline: str
    severity: Severity
    status: Status


_OF_MEMBER = ("is_group", "group", "owner", "currency")
_OF_FIGURES = (
    "last_row", "late", "live_since", "live_rows", "last_return", "last_pnl", "month_return",
    "live_return", "drawdown", "under_water", "band", "path", "lower", "upper",
)  # fmt: skip


class DeskRow(Model):
    """How a strategy or group stands; figures are as of its newest row.

    `state` is the worst over its rules, `note` says why it was not judged in full. `band` is the
    share of the projection's healthy paths below the live one, `p_year` the smallest of its rules
    and `p_rule` that rule. `strip` has one letter for each of its last sessions, at most 90:
    `.` ok, `i` info, `w` weak, `1` warning, `2` critical, `?` too little data, `~` partial,
    `0` no data, `x` error, a blank for not judged. `path` is the return since launch at up to 60
    rows, `lower` and `upper` the band of 95 % there, null before its issue.
    """

    strategy: str
    is_group: bool
    group: str | None
    owner: str | None
    currency: str | None
    session: Day
    state: Cell
    note: str
    last_row: Day | None = None
    late: int = 0
    live_since: Day | None = None
    live_rows: int = 0
    last_return: Number = None
    last_pnl: Number = None
    month_return: Number = None
    live_return: Number = None
    drawdown: Number = None
    under_water: int = 0
    band: Number = None
    p_year: Number
    p_rule: str | None
    strip: str
    rules: dict[str, RowRule]
    path: Sequence[float] = ()
    lower: Sequence[float | None] = ()
    upper: Sequence[float | None] = ()
    incident: RowIncident | None

    @classmethod
    def of(cls, standing: Standing, incident: RowIncident | None) -> Self:
        """The row of a standing."""
        member, figures, rarest = standing.member, standing.figures, standing.rarest
        known = {
            "strategy": standing.strategy,
            "session": standing.session,
            "state": standing.cell,
            "note": standing.note,
            "p_rule": rarest[0] if rarest else None,
            "p_year": rarest[1] if rarest else None,
            "strip": standing.strip,
            "rules": standing.rules,
            "incident": incident,
        }
        known |= {name: getattr(member, name) for name in _OF_MEMBER}
        # Rows may never have been read.
        known |= {name: getattr(figures, name) for name in _OF_FIGURES if figures}
        return cls.model_validate(known)


class DeskData(Model):
    """The desk; `total` rows match the filter, `groups` and `owners` are those to filter by.

    `system` are the unresolved incidents about no strategy, the worst first, at most five.
    """

    state: DeskState
    incidents: DeskIncidents
    system: list[SystemIncident]
    sessions: list[DeskSession]
    blind: list[BlindStrategy]
    blind_total: int
    groups: list[str]
    owners: list[str]
    total: int
    rows: list[DeskRow]


class DeskAnswer(Page):
    """GET /desk."""

    data: DeskData
