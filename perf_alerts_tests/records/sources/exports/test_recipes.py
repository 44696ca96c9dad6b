"""The recipes of docs/exports.md, run as the page writes them over a file of each tool."""

import json
import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.records.model import Floats, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.sources.open import TableNames, open_records

CASES = Path(__file__).parent / "cases"
PAGE = (Path(__file__).parents[4] / "docs" / "exports.md").read_text(encoding="utf-8")
FIGURES = json.loads((CASES / "figures.json").read_text())
SECTIONS = dict(
    re.findall(
        r"^### (.+?)\n(.+?)(?=^### |\Z)", PAGE.split("## Recipes")[1], re.MULTILINE | re.DOTALL
    )
)
TOOLS = {
    "pandas": "pandas",
    "polars": "polars",
    "DuckDB": "duckdb",
    "R": "r",
    "pyfolio": "pyfolio",
    "quantstats": "quantstats",
    "zipline": "zipline",
    "vectorbt": "vectorbt",
    "backtrader": "backtrader",
    "freqtrade": "freqtrade",
    "nautilus": "nautilus",
    "Lean": "lean",
    "MetaTrader 5": "metatrader",
    "TradingView": "tradingview",
    "IBKR statements": "ibkr",
}


def yearly(values: Floats) -> float:
    return float(values.std(ddof=1) * np.sqrt(252))


def geometric(record: StrategyRecord) -> float:
    growth = float(np.prod(1 + record.returns) ** (252 / len(record))) - 1
    return growth / yearly(record.returns)


def compounded_mean(record: StrategyRecord) -> float:
    return float((1 + record.returns.mean()) ** 252 - 1) / yearly(record.returns)


def of_trades(record: StrategyRecord) -> float:
    assert record.trades is not None
    assert record.capital is not None
    profits = record.trades.pnl / record.capital[0]
    days = int((record.dates[-1] - record.dates[0]).astype(int))
    return float(profits.sum() / days / profits.std() * np.sqrt(365))


def of_months(record: StrategyRecord) -> float:
    months = record.dates.astype("datetime64[M]")
    values = np.array([np.prod(1 + record.returns[months == month]) for month in np.unique(months)])
    return float((values - 1).mean() / values.std())


# Where a tool's own Sharpe ratio is not that of days.
SHARPE: Mapping[str, Callable[[StrategyRecord], float]] = {
    "r": geometric,
    "lean": compounded_mean,
    "freqtrade": of_trades,
    "tradingview": of_months,
}


def load(folder: Path) -> TrackRecords:
    return open_records(str(folder), shown="", tables=TableNames(), columns={}).load(
        date(2026, 1, 1)
    )


def recipe(section: str) -> list[str]:
    (line,) = re.findall(r"^perf-alerts import (.+)$", SECTIONS[section], re.MULTILINE)
    return shlex.split(line)


def test_the_page_has_a_recipe_for_every_tool() -> None:
    assert list(SECTIONS) == list(TOOLS)


@pytest.mark.parametrize("section", TOOLS)
def test_what_a_recipe_loads_has_the_figures_of_the_tool(
    section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = TOOLS[section]
    arguments = recipe(section)
    shutil.copy(CASES / arguments[1], tmp_path)
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(cli, ["import", *arguments, "--json"])

    assert result.exception is None
    printed = {row["strategy"]: row for row in json.loads(result.stdout)["strategies"]}
    # A name of the user's own replaces that of the export.
    own = (
        FIGURES[tool]
        if "--name" not in arguments
        else {arguments[arguments.index("--name") + 1]: next(iter(FIGURES[tool].values()))}
    )
    records = load(tmp_path / "records")
    assert records.faults == {}
    assert set(records.strategies) == set(printed) == set(own)
    for name, figures in own.items():
        record = records.strategies[name]
        sharpe = SHARPE[tool](record) if tool in SHARPE else printed[name]["sharpe_ratio"]
        assert {
            "total": printed[name]["total_return"],
            "sharpe": sharpe,
            "max_drawdown": printed[name]["max_drawdown"],
        } == pytest.approx(figures, abs=1e-6)
        live = record.dates >= np.datetime64("2025-03-03")
        assert record.live.tolist() == live.tolist()
        assert 0 < live.sum() < len(record)


def test_a_query_with_the_columns_of_the_daily_table_is_read_as_it_is() -> None:
    source = open_records(str(CASES / "duckdb.parquet"), shown="", tables=TableNames(), columns={})

    record = source.load(date(2026, 1, 1)).strategies["trend"]

    assert np.prod(1 + record.returns) - 1 == pytest.approx(FIGURES["duckdb"]["trend"]["total"])
