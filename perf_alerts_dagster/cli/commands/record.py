"""Commands that read the record and store nothing: `strategies` and `measure`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from perf_alerts_dagster.cli import options, output
from perf_alerts_dagster.core.wording import percent

if TYPE_CHECKING:
    from perf_alerts_dagster.records.model import StrategyRecord
    from perf_alerts_dagster.records.reading import Reading
    from perf_alerts_dagster.settings import Settings
    from perf_alerts_dagster.statistics.measurement import Measurement, Metric

# The columns of the table, by metric; --json has every metric.
_PERCENT = {
    "total_return": "total",
    "cagr": "CAGR",
    "annual_volatility": "vol.",
    "max_drawdown": "max DD",
    "current_drawdown": "DD now",
    "value_at_risk_95": "VaR 95",
    "win_rate": "wins",
}
_RATIOS = {
    "sharpe_ratio": "Sharpe",
    "sortino_ratio": "Sortino",
    "profit_factor": "PF",
    "probabilistic_sharpe_ratio": "PSR",
}
_COLUMNS = _PERCENT | _RATIOS
# Of live against its model; fractions a year.
_OF_MODEL = {"mean_difference", "tracking_error"}
# So many faults of a strategy are printed.
_MAXIMUM_FAULTS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """A reading and its settings."""

    reading: "Reading"
    settings: "Settings"
    now: datetime


def read_source(
    records_url: str | None, *, as_of: date | None, periods_per_year: float | None = None
) -> Source:
    """Read the record once, with its groups.

    `periods_per_year` stands in for ALERT_PERIODS_PER_YEAR: see `open_market`.

    Raises:
        SettingsError: a variable is wrong, or the record is unreadable.
        UsageError: `as_of` is no session of the record.
        RecordsUnavailable: the source cannot be read.
        RecordsInvalid: the source is no track record.
    """
    from perf_alerts_dagster.bootstrap.desk import kept_of
    from perf_alerts_dagster.bootstrap.records import read_records
    from perf_alerts_dagster.records.desk import Kept
    from perf_alerts_dagster.settings import load_settings

    settings = load_settings()
    now = datetime.now(UTC)
    with output.working(f"reading {records_url or settings.records_shown}"):
        # What is kept is about the strategies of the settings' own source.
        reading = read_records(
            settings,
            now=now,
            kept=kept_of(settings) if records_url is None else Kept(),
            as_of=as_of,
            records_url=records_url,
            periods_per_year=periods_per_year,
        )
    return Source(reading=reading, settings=settings, now=now)


def note_faults(reading: "Reading") -> None:
    """Print the record's first bad rows of each strategy, and its notes, on standard error."""
    for name, faults in _faults(reading).items():
        rest = len(faults) - _MAXIMUM_FAULTS
        for fault in [*faults[:_MAXIMUM_FAULTS], *([f"and {rest} more"] if rest > 0 else [])]:
            output.ERR.print(f"[red]{escape(name)}[/red]: {escape(fault)}", highlight=False)
    for table_fault in reading.records.table_faults:
        output.ERR.print(f"[red]{escape(str(table_fault))}[/red]", highlight=False)
    for note in reading.records.notes:
        output.ERR.print(f"[dim]note: {escape(note)}[/dim]", highlight=False)


def _faults(reading: "Reading") -> dict[str, list[str]]:
    return {
        name: [str(fault) for fault in faults]
        for name, faults in sorted(reading.records.faults.items())
    }


@click.command()
@options.as_of_option
@options.records_option
@options.json_option
def strategies(as_of: date | None, records_url: str | None, as_json: bool) -> None:
    """List the strategies and groups, with their rows, calendars and faults.

    The calendar is followed by its origin and its rows per year. A row is final from its day's
    close on.
    """
    reading = read_source(records_url, as_of=as_of).reading
    note_faults(reading)
    rows = [
        _row(reading, reading.records.strategies[name].until(reading.as_of))
        for name in sorted(reading.records.strategies)
    ]
    rows += [
        {"strategy": name, "status": "error", "faults": faults}
        for name, faults in _faults(reading).items()
    ]
    if as_json:
        output.print_json({"as_of": reading.as_of.isoformat(), "strategies": rows})
        return
    shown = ("backtest_rows", "live_rows", "first", "live_since", "newest")
    headings = ("strategy", "status", "group", *(name.replace("_", " ") for name in shown))
    listing = output.table(
        f"{reading.records.source}, as of {reading.as_of}",
        *(*headings, "calendar", "a year"),
        numeric=("backtest rows", "live rows", "a year"),
        optional=("a year", "first", "group", "live since", "calendar", "backtest rows"),
    )
    for row in rows:
        listing.add_row(
            escape(str(row["strategy"])),
            output.styled(str(row["status"])),
            escape(str(row.get("group") or "-")),
            *(str("-" if row.get(name) is None else row[name]) for name in shown),
            f"{row['calendar']} ({row['calendar_origin']})" if "calendar" in row else "-",
            f"{row['periods_per_year']:g}" if "periods_per_year" in row else "-",
        )
    output.print_table(listing)


def _row(reading: "Reading", record: "StrategyRecord") -> dict[str, object]:
    live = record.live.nonzero()[0]
    calendar = reading.calendars[record.strategy]
    finals = record.rows(0, 0) if reading.last_final is None else record.until(reading.last_final)
    return {
        "strategy": record.strategy,
        "status": record.status.value,
        "group": record.group,
        "currency": record.currency,
        "backtest_rows": len(record) - len(live),
        "live_rows": len(live),
        "first": str(record.dates[0]) if len(record) else None,
        "live_since": str(record.dates[live[0]]) if len(live) else None,
        "newest": str(record.dates[-1]) if len(record) else None,
        "trades": len(record.trades) if record.trades is not None else 0,
        "calendar": calendar.name,
        "calendar_origin": calendar.origin.value,
        "calendar_since": calendar.since.isoformat() if calendar.since else None,
        "periods_per_year": calendar.periods_per_year,
        "longest_gap": calendar.longest_gap or None,
        "last_final": str(finals.dates[-1]) if len(finals) else None,
    }


@click.command()
@options.as_of_option
@options.records_option
@options.periods_option
@options.json_option
def measure(
    as_of: date | None, records_url: str | None, periods_per_year: float | None, as_json: bool
) -> None:
    """Print every metric of each strategy, backtest and live apart.

    Returns are fractions per session; a drawdown, a value at risk and an expected shortfall are
    negative. Ratios are annualised with each strategy's rows per year. A metric without
    enough data is null, never zero. Stores nothing.

    \b
    perf-alerts measure --records daily.csv --json
    perf-alerts measure --records hourly.csv --periods-per-year 6048
    """
    from perf_alerts_dagster.statistics.measurement import measure as measure_strategy

    reading = read_source(records_url, as_of=as_of, periods_per_year=periods_per_year).reading
    rates = reading.periods_per_year
    with output.working("measuring"):
        measurements = [
            measurement
            for name, record in sorted(reading.records.strategies.items())
            for measurement in measure_strategy(
                record.until(reading.as_of), periods_per_year=rates[name]
            )
        ]
    common = set(rates.values())
    note_faults(reading)
    if as_json:
        output.print_json(
            {
                "as_of": reading.as_of.isoformat(),
                # Null where the strategies' own ones differ.
                "periods_per_year": common.pop() if len(common) == 1 else None,
                "strategies": [
                    _entry(measurement)
                    | {
                        "first": measurement.first.isoformat(),
                        "last": measurement.last.isoformat(),
                        "periods_per_year": rates[measurement.strategy],
                    }
                    for measurement in measurements
                ],
                "faults": _faults(reading),
            }
        )
        return
    rows = output.table(
        f"{reading.records.source}, as of {reading.as_of}",
        "strategy",
        "segment",
        "rows",
        "a year",
        *_COLUMNS.values(),
        "its model",
        numeric=("rows", "a year", *_COLUMNS.values()),
        sentences=("its model",),
        optional=("a year", "PSR", "PF", "Sortino", "rows", "VaR 95", "wins", "CAGR", "DD now"),
    )
    for measurement in measurements:
        rows.add_row(
            escape(measurement.strategy),
            measurement.segment,
            str(measurement.observations),
            f"{rates[measurement.strategy]:g}",
            *(_shown(name, measurement.metrics.get(name)) for name in _COLUMNS),
            _against(measurement.shadow),
        )
    output.print_table(rows)


def _shown(name: str, value: "Metric") -> str:
    if value is None or isinstance(value, str | int):
        return "-" if value is None else str(value)
    return percent(value) if name in _PERCENT or name in _OF_MODEL else f"{value:,.2f}"


def _entry(measurement: "Measurement") -> dict[str, object]:
    entry = asdict(measurement)
    return {
        name: entry[name] for name in entry if name != "shadow" or measurement.segment == "live"
    }


def _against(figures: "Mapping[str, Metric] | None") -> str:
    """Live against the model's own P&L, in a line; empty without one."""
    shown = ", ".join(
        f"{name.replace('_', ' ')} {_shown(name, value)}" for name, value in (figures or {}).items()
    )
    return f"against its model: {shown}" if shown else ""
