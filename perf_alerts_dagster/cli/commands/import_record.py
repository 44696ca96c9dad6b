"""`perf-alerts import`: make a record of the exports of other tools."""

from dataclasses import replace
from datetime import UTC, datetime
from math import log
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
from rich.markup import escape

from perf_alerts_dagster.cli import options, output
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.records.sources.exports.folder import store
from perf_alerts_dagster.records.sources.exports.model import Options, Values
from perf_alerts_dagster.records.sources.exports.read import FORMS, read_export
from perf_alerts_dagster.statistics.measurement import measure

_FIGURES = ("total_return", "sharpe_ratio", "max_drawdown")
_YEARS = (12, 52, 252, 365)


@click.command("import")
@click.argument("shape", type=click.Choice(list(FORMS)))
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--live-from",
    type=options.DAY,
    help="Earlier rows are backtest. Default: every row is live.",
)
@click.option("--name", help="The strategy. Default: what the file says, else its name.")
@click.option(
    "--capital",
    type=click.FloatRange(min=0, min_open=True),
    help="The capital before the first row; P&L and trades need it.",
)
@click.option("--currency", help="The currency of every row.")
@click.option("--group", help="The group of every row.")
@click.option("--out", default=Path("records"), type=click.Path(path_type=Path), show_default=True)
@click.option(
    "--values",
    type=click.Choice(get_args(Values)),
    help="What the numbers are. Default: the equity in an equity curve, else returns.",
)
@click.option("--date", "date_column", help="The column of the dates; of trades, of the exits.")
@click.option("--value", "value_columns", multiple=True, help="The column of the values.")
@click.option(
    "--periods-per-year",
    type=click.FloatRange(min=1, max=366 * 24),
    help="Rows per year for the Sharpe ratio. Default: 365, 252, 52 or 12, by the dates.",
)
@click.option("--force", is_flag=True, help="Replace rows that differ from those in the folder.")
@options.json_option
def import_(
    shape: str,
    files: tuple[Path, ...],
    out: Path,
    periods_per_year: float | None,
    force: bool,
    as_json: bool,
    **given: object,
) -> None:
    """Make daily.csv (and trades.csv) of exports, for ALERT_RECORDS_URL; say what is assumed.

    SHAPE is what the file holds, or the tool that wrote it; docs/exports.md has a recipe for
    each tool. Several imports into one folder are merged; the same import again changes nothing.

    \b
    perf-alerts import wide returns.csv --live-from 2025-01-01
    perf-alerts import trades closed.csv --capital 100000 --name breakout
    """
    said = Options(**given)  # type: ignore[arg-type] # as the options above declare them
    if said.name and shape == "wide":
        raise UsageError("--name is for one strategy; a wide frame names each by its column")
    read = [read_export(shape, path, said) for path in files]
    daily = [row for tables in read for row in tables.daily]
    trades = [row for tables in read for row in tables.trades]
    today = datetime.now(UTC).astimezone().date()
    records, counts = store(out, daily, trades, force=force, today=today)
    notes = [note for tables in read for note in tables.notes]
    notes.append(
        f"rows before {said.live_from} are backtest"
        if said.live_from
        else "every row is live: --live-from makes earlier ones the backtest to judge by"
    )
    figures = [
        _figures(records.strategies[strategy], periods_per_year)
        for strategy in sorted({row["strategy"] for row in daily})
    ]
    if as_json:
        output.print_json(
            {"folder": str(out), "rows": counts, "notes": notes, "strategies": figures}
        )
        return
    for note in notes:
        output.OUT.print(escape(note), highlight=False)
    _show(figures)
    for file, count in counts.items():
        click.echo(f"{out / file}: {count} rows")
    click.echo(f"ALERT_RECORDS_URL={out.resolve()}")


def _figures(record: StrategyRecord, periods_per_year: float | None) -> dict[str, object]:
    """What a tool's own report says too, of all rows, whatever their segment."""
    dates = record.dates
    by_dates = (len(dates) - 1) / max(int((dates[-1] - dates[0]).astype(int)), 1) * 365.25
    periods = periods_per_year or min(_YEARS, key=lambda year: abs(log(max(by_dates, 1) / year)))
    whole = replace(record, live=np.ones(len(record), dtype=bool))
    (measured,) = measure(whole, periods_per_year=periods)
    weekdays = int(np.busday_count(dates[0], dates[-1] + 1))
    without = weekdays - int(np.is_busday(dates).sum())
    return {
        "strategy": record.strategy,
        "rows": len(record),
        "first": str(dates[0]),
        "last": str(dates[-1]),
        "weekdays_without_row": without,
        "periods_per_year": periods,
        **{name: measured.metrics[name] for name in _FIGURES},
    }


def _show(figures: list[dict[str, Any]]) -> None:
    numeric = ("rows", "weekdays without", "a year", "total", "Sharpe", "max drawdown")
    listing = output.table(
        "As read, to compare with the tool's own report", "strategy", "first", "last", *numeric,
        numeric=numeric,
    )  # fmt: skip
    for row in figures:
        listing.add_row(
            escape(row["strategy"]),
            row["first"],
            row["last"],
            *(str(row[name]) for name in ("rows", "weekdays_without_row", "periods_per_year")),
            *(output.number(row[name], 9) for name in _FIGURES),
        )
    output.OUT.print(listing)
