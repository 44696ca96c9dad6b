"""`perf-alerts import`: make a record of the exports of other tools."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import click
from click.shell_completion import CompletionItem

from perf_alerts_dagster.cli import options, output
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.wording import printable


def _forms() -> Sequence[str]:
    from perf_alerts_dagster.records.sources.exports.tools import FORMS

    return FORMS


def _values() -> Sequence[str]:
    from perf_alerts_dagster.records.sources.exports.export import Values

    return get_args(Values)


class _Choice(click.Choice[str]):
    """A choice among what the reader of exports knows, which is loaded when it is needed."""

    def __init__(self, load: Callable[[], Sequence[str]]) -> None:
        self.case_sensitive = True
        self._load = load

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override] # click's is an attribute
        """The accepted words."""
        return tuple(self._load())

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """None: they would have to be loaded."""
        return []


_ALL_LIVE = "every row is live: --live-from makes earlier ones the backtest to judge by"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_ABOVE_0 = click.FloatRange(min=0, min_open=True)


@click.command("import")
@click.argument("shape", type=_Choice(_forms))
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--live-from", type=options.DAY, help="Earlier rows are backtest. Default: none is.")
@click.option("--name", "strategy", help="The strategy. Default: what the file or its name says.")
@click.option("--capital", type=_ABOVE_0, help="That before the first row; P&L and trades need it.")
@click.option("--currency", help="The currency of every row.")
@click.option("--group", help="The group of every row.")
@click.option("--out", default=Path("records"), type=click.Path(path_type=Path), show_default=True)
@click.option("--values", type=_Choice(_values), help="What the numbers are.")
@click.option("--date", "date_column", help="The column of the dates; of trades, of the exits.")
@click.option("--value", "value_columns", multiple=True, help="The column of the values.")
@click.option("--force", is_flag=True, help="Replace rows that differ from those in the folder.")
@options.json_option
def import_(
    shape: str,
    files: tuple[Path, ...],
    out: Path,
    force: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - the options above
) -> None:
    """Make daily.csv (and trades.csv) of exports, for ALERT_RECORDS_URL; say what is assumed.

    SHAPE is what the file holds, or the tool that wrote it; docs/exports.md has a recipe for
    each tool. Several imports into one folder are merged; the same import again changes nothing.

    \b
    perf-alerts import wide returns.csv --live-from 2025-01-01
    perf-alerts import trades closed.csv --capital 100000 --name breakout
    """
    from perf_alerts_dagster.records.assignment import CalendarAssigner
    from perf_alerts_dagster.records.sessions import NEXT_DAY
    from perf_alerts_dagster.records.sources.exports.folder import store
    from perf_alerts_dagster.records.sources.exports.tools import read_export
    from perf_alerts_dagster.statistics import metrics

    if given["strategy"] and shape == "wide":
        raise UsageError("--name is for one strategy; a wide frame names each by its column")
    read = [read_export(shape, path, **given) for path in files]
    daily, trades, notes = ([*chain(*parts)] for parts in zip(*read, strict=True))
    today = datetime.now(UTC).astimezone().date()
    records, counts = store(out, daily, trades, force=force, today=today)
    since = given["live_from"]
    notes.append(f"rows before {since} are backtest" if since else _ALL_LIVE)
    notes += records.notes
    own = CalendarAssigner(records=records, setting=None, closing=NEXT_DAY, kept={}, today=today)
    calendars = own.assign().calendars
    imported = {name for frame in daily for name in frame["strategy"].unique()}
    figures: list[dict[str, object]] = [
        {
            "strategy": name,
            "first": str(record.dates[0]),
            "last": str(record.dates[-1]),
            "rows": len(record),
            "calendar": calendars[name].name,
            "periods_per_year": (year := calendars[name].periods_per_year),
            "total_return": metrics.total_return(record.returns),
            "sharpe_ratio": metrics.sharpe_ratio(record.returns, periods_per_year=year),
            "max_drawdown": metrics.max_drawdown(record.returns),
        }
        for name, record in records.strategies.items()
        if name in imported
    ]
    if as_json:
        output.print_json({"rows": counts, "notes": notes, "strategies": figures})
        return
    click.echo(printable("\n".join(notes), keep="\n"))
    for row in figures:
        cells = (f"{cell:.9g}" if isinstance(cell, float) else str(cell) for cell in row.values())
        click.echo(printable(", ".join(map(" ".join, zip(row, cells, strict=True)))))
    for file, count in counts.items():
        click.echo(f"{out / file}: {count} rows")
    click.echo(f"ALERT_RECORDS_URL={out.resolve()}")
