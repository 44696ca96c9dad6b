"""The columns of the table of strategies and rules."""

from datetime import date

from perf_alerts_dagster.judging.rules.catalogue import RULES
from perf_alerts_dagster.judging.standings.columns import COLUMNS, OTHER, column_of, worst
from perf_alerts_dagster.judging.standings.model import Cell, RuleStanding


def found(cell: Cell, p_year: float | None = None) -> RuleStanding:
    return RuleStanding(cell=cell, alert="daily", as_of=date(2026, 1, 5), p_year=p_year)


def test_every_rule_has_one_column() -> None:
    listed = [rule for column in COLUMNS for rule in column.rules]
    assert sorted(listed) == sorted(rule.id for rule in RULES)
    assert len({column.name for column in (*COLUMNS, OTHER)}) == len(COLUMNS) + 1


def test_a_rule_of_another_version_is_not_lost() -> None:
    assert column_of("max_drawdown") is OTHER
    assert worst({"max_drawdown": found(Cell.OK)}) == {OTHER: ("max_drawdown", found(Cell.OK))}


def test_a_column_shows_its_worst_rule_and_of_equals_the_rarest() -> None:
    rules = {
        "mean_shortfall_126": found(Cell.WEAK, 0.2),
        "mean_shortfall_252": found(Cell.WEAK, 0.1),
        "drawdown": found(Cell.OK, 0.01),
        "wipe_out": found(Cell.CRITICAL),
        "decay_cusum": found(Cell.WARNING, 0.02),
        "life_cusum": found(Cell.WEAK, 0.001),
        "flat_run": found(Cell.OK),
        "repeated_pnl": found(Cell.OK, 0.5),
    }
    named = {column.name: rule for column, (rule, _) in worst(rules).items()}
    assert named == {
        "mean": "mean_shortfall_252",
        "dd": "wipe_out",
        "decay": "decay_cusum",
        "flat": "repeated_pnl",
    }


def test_too_little_data_for_one_rule_hides_nothing_that_another_found() -> None:
    lacking = found(Cell.INSUFFICIENT_DATA)
    rules = {"interval_breach": found(Cell.OK), "pnl_deviation": lacking, "drawdown": lacking}
    cells = {column.name: standing.cell for column, (_, standing) in worst(rules).items()}
    assert cells == {"band": Cell.OK, "dd": Cell.INSUFFICIENT_DATA}
