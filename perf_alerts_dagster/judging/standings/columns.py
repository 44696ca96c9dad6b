"""The columns of the table of strategies and rules: rules that ask alike stand in one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from perf_alerts_dagster.judging.standings.model import Cell


class Found(Protocol):
    """What a rule found; see `RuleStanding`."""

    @property
    def cell(self) -> Cell:
        """Its cell."""

    @property
    def p_year(self) -> float | None:
        """The share of healthy years as bad."""


F = TypeVar("F", bound=Found)


@dataclass(frozen=True, slots=True)
class Column:
    """A short head, what it stands for, and the ids of its rules."""

    name: str
    title: str
    rules: tuple[str, ...]


COLUMNS: tuple[Column, ...] = (
    Column("band", "outside the projected band", ("interval_breach", "pnl_deviation")),
    Column("day", "worse than a day may be", ("daily_exceedance", "joint_exceedances")),
    Column("run", "bad days in a row", ("consecutive_exceedances",)),
    Column("rate", "bad days too often", ("exceedance_rate",)),
    Column("mean", "mean below its history's", ("mean_shortfall_126", "mean_shortfall_252")),
    Column(
        "decay",
        "decay since live began",
        ("decay_cusum", "gap_since_launch", "hedged_decay_cusum", "life_cusum"),
    ),
    Column("model", "gap to the model's own P&L", ("shadow_gap",)),
    Column("sharpe", "rolling Sharpe ratio", ("rolling_sharpe", "sharpe_degradation")),
    Column("dd", "drawdown", ("drawdown", "wipe_out")),
    Column(
        "trade",
        "win rate, profit factor, losing run",
        ("win_rate", "profit_factor", "losing_run"),
    ),
    Column(
        "limit",
        "the desk's own limits",
        (
            "policy_drawdown",
            "policy_daily_loss",
            "policy_weekly_loss",
            "policy_monthly_loss",
            "policy_column",
        ),
    ),
    Column("vol", "volatility shift", ("volatility_shift",)),
    Column("flat", "flat run or repeated P&L", ("flat_run", "repeated_pnl")),
    Column("data", "missing, late or unreadable data", ("no_data", "stale_data", "record_error")),
    Column(
        "test",
        "walk-forward stability, out of sample, overfitting",
        ("walk_forward_stability", "out_of_sample_validation", "overfitting"),
    ),
    Column("month", "forward test of the month", ("forward_test_change",)),
)  # fmt: skip
# The rules of another version.
OTHER = Column("other", "other rules", ())
_OF_RULE = {rule: column for column in COLUMNS for rule in column.rules}


def column_of(rule: str) -> Column:
    """The column of a rule."""
    return _OF_RULE.get(rule, OTHER)


def worst(rules: Mapping[str, F]) -> dict[Column, tuple[str, F]]:
    """The worst rule of each column, the rarest of equals, with its id.

    One that has too little data stands for its column only where no other has judged it: what the
    column asks is answered.
    """
    found: dict[Column, tuple[str, F]] = {}
    for rule, standing in rules.items():
        column = column_of(rule)
        known = found.get(column)
        if known is None or _badness(standing) > _badness(known[1]):
            found[column] = rule, standing
    return found


def _badness(standing: Found) -> tuple[int, float]:
    is_lacking = standing.cell is Cell.INSUFFICIENT_DATA
    rank = Cell.UNJUDGED.rank if is_lacking else standing.cell.rank
    return rank, -1.0 if standing.p_year is None else -standing.p_year
