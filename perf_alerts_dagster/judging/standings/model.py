"""The standing of a strategy: its newest figures, and what each rule found lately."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome

# The sessions of a strip.
STRIP = 90


class Cell(StrEnum):
    """What a rule found, or the worst of several, in one word.

    weak: beyond its limit, and nobody is notified. warning, critical: people are notified of it.
    unjudged: not judged for this session.
    """

    UNJUDGED = "unjudged"
    OK = "ok"
    INFO = "info"
    WEAK = "weak"
    INSUFFICIENT_DATA = "insufficient_data"
    PARTIAL = "partial"
    WARNING = "warning"
    NO_DATA = "no_data"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Position in the order, the worst highest."""
        return _RANKS[self]

    @property
    def letter(self) -> str:
        """What a table shows of it, beside its colour."""
        return _LETTERS[self]

    @property
    def code(self) -> str:
        """Its one character in a strip."""
        return _CODES[self]


_RANKS = {cell: rank for rank, cell in enumerate(Cell)}
_LETTERS = dict(zip(Cell, ("", "·", "i", "w", "?", "~", "!", "∅", "×", "!!"), strict=True))
_CODES = dict(zip(Cell, (" ", ".", "i", "w", "?", "~", "1", "0", "x", "2"), strict=True))
# What says nothing of a strategy that the daily check has not judged.
_QUIET = (Cell.OK, Cell.INSUFFICIENT_DATA)
_UNSAID = str.maketrans({_CODES[cell]: _CODES[Cell.UNJUDGED] for cell in _QUIET})
BY_CODE = {code: cell for cell, code in _CODES.items()}
# What keeps a strategy from being judged, or in part from being judged in full; the worst first.
LACKING = (Cell.ERROR, Cell.NO_DATA, Cell.PARTIAL, Cell.INSUFFICIENT_DATA, Cell.UNJUDGED)


def cell_of(evaluation: Evaluation) -> Cell:
    """What one evaluation found."""
    if evaluation.outcome is not Outcome.BREACH:
        return Cell(evaluation.outcome.value)
    notifies = evaluation.notifies
    if notifies if notifies is not None else evaluation.is_notified():
        severity = evaluation.notified_severity or Severity.WARNING
        return Cell.CRITICAL if severity.rank >= Severity.CRITICAL.rank else Cell.WARNING
    return Cell.INFO if evaluation.severity is Severity.INFO else Cell.WEAK


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A strategy's figures as of its newest row.

    Returns are simple, of live rows, losses negative; None without any. `drawdown` is at most 0,
    `under_water` the sessions since the last high. `late` are the closed sessions that the newest
    row is behind. `band` is the share, in [0, 1], of the launch projection's paths that are below
    the live one, `projected_on` its day of issue; None without one. `path` is the live return
    since the first live row at up to 60 rows; `lower` and `upper` are the 95 % band of the same
    projection there, None before its issue.
    """

    last_row: date
    live_since: date | None
    live_rows: int
    backtest_rows: int
    last_return: float | None = None
    last_pnl: float | None = None
    capital: float | None = None
    month_return: float | None = None
    live_return: float | None = None
    drawdown: float | None = None
    under_water: int = 0
    late: int = 0
    calendar: str = ""
    periods_per_year: float = 252.0
    band: float | None = None
    projected_on: date | None = None
    path: tuple[float, ...] = ()
    lower: tuple[float | None, ...] = ()
    upper: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Who a strategy is, and its figures; None where its rows cannot be read."""

    group: str | None = None
    owner: str | None = None
    is_group: bool = False
    currency: str | None = None
    figures: Figures | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleStanding:
    """What a rule found of a strategy in its newest judgement.

    Of several evaluations, as of two projections, it is the worst. `strip` has one `Cell.code` per
    session of the standing's `sessions`.
    """

    cell: Cell
    alert: str
    as_of: date
    value: float | None = None
    limit: float | None = None
    p_year: float | None = None
    notifies: bool = False
    strip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStanding:
    """The summary of a strategy in an alert's newest judgement; `note` says why not in full.

    `strip` has one `Cell.code` per session of the standing's `sessions`.
    """

    cell: Cell
    as_of: date
    judged_at: datetime
    note: str = ""
    strip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one strategy or group stands.

    `session` is the newest that the daily check judged, before its first any other alert;
    `provisional`: it was still open then. `rules` and `alerts` are by id and by name,
    `sessions` the newest judged ones, at most 90, oldest first.
    """

    strategy: str
    session: date
    judged_at: datetime
    provisional: bool = False
    member: Member = field(default_factory=Member)
    rules: Mapping[str, RuleStanding] = field(default_factory=dict)
    alerts: Mapping[str, AlertStanding] = field(default_factory=dict)
    sessions: tuple[date, ...] = ()

    @property
    def figures(self) -> Figures | None:
        """Its newest figures; None where its rows could never be read."""
        return self.member.figures

    @property
    def cell(self) -> Cell:
        """The worst of its alerts; unjudged before the daily check unless something is wrong.

        The other alerts may wait for a month or a year of data without anything being wrong.
        """
        return max(
            (each.cell for each in self._saying), key=lambda one: one.rank, default=Cell.UNJUDGED
        )

    @property
    def _saying(self) -> list[AlertStanding]:
        """The alerts that say something of it."""
        return [
            each
            for name, each in self.alerts.items()
            if name == DAILY_PNL_CHECK.name or each.cell not in _QUIET
        ]

    @property
    def note(self) -> str:
        """Why it is not judged, or not in full; empty where it is."""
        worst = sorted(self._saying, key=lambda each: -each.cell.rank)
        return next((each.note for each in worst if each.note), "")

    @property
    def rarest(self) -> tuple[str, float] | None:
        """The rule whose value is the rarest, and its `p_year`; None where nothing is rated."""
        rated = [
            (each.p_year, rule) for rule, each in self.rules.items() if each.p_year is not None
        ]
        found = min(rated, default=None)
        return None if found is None else (found[1], found[0])

    @property
    def strip(self) -> str:
        """The worst `Cell.code` of each session, as in `cell`."""
        strips = [
            each.strip if name == DAILY_PNL_CHECK.name else each.strip.translate(_UNSAID)
            for name, each in self.alerts.items()
        ]
        return "".join(
            max(codes, key=lambda code: BY_CODE[code].rank) for codes in zip(*strips, strict=True)
        )
