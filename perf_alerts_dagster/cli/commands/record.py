"""Commands that read the record and store nothing: `strategies`, `measure`, `evaluate`."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime

import click
import numpy as np
from rich.markup import escape

from perf_alerts_dagster.bootstrap.desk import kept_of
from perf_alerts_dagster.bootstrap.executions import build_session_judge
from perf_alerts_dagster.bootstrap.records import read_records
from perf_alerts_dagster.cli import options, output
from perf_alerts_dagster.core.alerts import Alert, Family
from perf_alerts_dagster.judging.evaluation import Judgement, Outcome
from perf_alerts_dagster.judging.summary import summaries, too_little_notes
from perf_alerts_dagster.records.desk import Kept
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_dagster.statistics.measurement import Measurement, Metric
from perf_alerts_dagster.statistics.measurement import measure as measure_strategy

# The columns of the table, by metric; --json has every metric.
_COLUMNS = {
    "total_return": "total",
    "cagr": "CAGR",
    "annual_volatility": "vol.",
    "sharpe_ratio": "Sharpe",
    "sortino_ratio": "Sortino",
    "max_drawdown": "max DD",
    "current_drawdown": "DD now",
    "value_at_risk_95": "VaR 95",
    "win_rate": "wins",
    "profit_factor": "PF",
    "probabilistic_sharpe_ratio": "PSR",
}

_periods_option = click.option(
    "--periods-per-year",
    type=click.FloatRange(min=1, max=366 * 24),
    default=None,
    help="Rows per year of every strategy, in place of those that its calendar has.",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """A reading and its settings."""

    reading: Reading
    settings: Settings
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


def note_faults(reading: Reading) -> None:
    """Print the record's bad rows and notes on standard error."""
    for name, faults in _faults(reading).items():
        for fault in faults:
            output.ERR.print(f"[red]{escape(name)}[/red]: {escape(fault)}", highlight=False)
    for table_fault in reading.records.table_faults:
        output.ERR.print(f"[red]{escape(str(table_fault))}[/red]", highlight=False)
    for note in reading.records.notes:
        output.ERR.print(f"[dim]note: {escape(note)}[/dim]", highlight=False)


def _faults(reading: Reading) -> dict[str, list[str]]:
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


def _row(reading: Reading, record: StrategyRecord) -> dict[str, object]:
    live = np.flatnonzero(record.live)
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
@_periods_option
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
    shadowed = ["its model"] if any(each.shadow for each in measurements) else []
    rows = output.table(
        f"{reading.records.source}, as of {reading.as_of}",
        "strategy",
        "segment",
        "rows",
        "a year",
        *_COLUMNS.values(),
        *shadowed,
        numeric=("rows", "a year", *_COLUMNS.values()),
    )
    for measurement in measurements:
        values = [measurement.metrics.get(name) for name in _COLUMNS]
        rows.add_row(
            escape(measurement.strategy),
            measurement.segment,
            str(measurement.observations),
            f"{rates[measurement.strategy]:g}",
            *(output.number(value) if not isinstance(value, str) else value for value in values),
            *(_against(measurement.shadow) for _ in shadowed),
        )
    output.print_table(rows)


def _entry(measurement: Measurement) -> dict[str, object]:
    entry = asdict(measurement)
    return {
        name: entry[name] for name in entry if name != "shadow" or measurement.segment == "live"
    }


def _against(figures: Mapping[str, Metric] | None) -> str:
    """Live against the model's own P&L, in a line; empty without one."""
    shown = ", ".join(
        f"{name.replace('_', ' ')} {value if isinstance(value, str) else output.number(value)}"
        for name, value in (figures or {}).items()
    )
    return f"against its model: {shown}" if shown else ""


@click.command()
@options.alert_argument
@options.as_of_option
@options.records_option
@_periods_option
@click.option("--all", "show_all", is_flag=True, help="Show the rules that are fine as well.")
@options.json_option
def evaluate(
    alert: Alert,
    as_of: date | None,
    records_url: str | None,
    periods_per_year: float | None,
    show_all: bool,
    as_json: bool,
) -> None:
    """Judge every strategy by one alert's rules; store nothing, notify nobody.

    Exit code 1 when an evaluation `notifies`: by itself it would open or raise an incident that
    is sent.

    \b
    perf-alerts evaluate daily_pnl_check --records daily.csv --as-of 2026-01-15 --json
    """
    source = read_source(records_url, as_of=as_of, periods_per_year=periods_per_year)
    reading = source.reading
    session_judge = build_session_judge(source.settings)
    with output.working("projecting and judging"):
        judgement = session_judge.judge_newest(
            alert,
            reading,
            run_id="evaluate",
            now=source.now,
            issued_before=_end_of_last_month(alert, reading),
        )
    note_faults(reading)
    if as_json:
        output.print_json(
            {
                "alert": alert.name,
                "as_of": judgement.as_of.isoformat(),
                "provisional": judgement.provisional,
                "settings_version": judgement.settings_version,
                "method_version": judgement.method_version,
                "data_hash": judgement.data_hash,
                "seed": judgement.seed,
                "strategies": [
                    {"strategy": name, "outcome": each.outcome.value, "note": each.note or None}
                    for name, each in summaries(judgement).items()
                ],
                "evaluations": [
                    asdict(evaluation)
                    | {"session": evaluation.session.isoformat() if evaluation.session else None}
                    for evaluation in judgement.evaluations
                ],
            }
        )
    else:
        _show(judgement, source=reading.records.source, show_all=show_all)
    sys.exit(1 if any(evaluation.notifies for evaluation in judgement.evaluations) else 0)


def _end_of_last_month(alert: Alert, reading: Reading) -> Sequence[date]:
    """The session of the projection that the forward test compares with; none for other alerts."""
    if reading.last_final is None or Family.FORWARD not in alert.families:
        return ()
    first = reading.last_final.replace(day=1)
    return [session for session in reading.sessions if session < first][-1:]


def _show(judgement: Judgement, *, source: str, show_all: bool) -> None:
    state = ", provisional" if judgement.provisional else ""
    numeric = ("value", "limit", "p a year")
    rows = output.table(
        f"{judgement.alert} over {source}, as of {judgement.as_of}{state}",
        "strategy",
        "rule",
        "outcome",
        "severity",
        "value",
        "limit",
        "p a year",
        "evidence",
        "notifies",
        "why",
        numeric=numeric,
    )
    quiet = Counter[Outcome]()
    for evaluation in judgement.evaluations:
        if evaluation.outcome in (Outcome.OK, Outcome.INSUFFICIENT_DATA) and not show_all:
            quiet[evaluation.outcome] += 1
            continue
        rows.add_row(
            escape(evaluation.strategy),
            evaluation.rule,
            output.styled(evaluation.outcome.value),
            output.styled(evaluation.severity.value) if evaluation.severity else "",
            output.number(evaluation.value),
            output.number(evaluation.limit),
            output.number(evaluation.p_year),
            evaluation.evidence.value if evaluation.evidence else "",
            "yes" if evaluation.notifies else "",
            escape("; ".join(filter(None, (evaluation.message, evaluation.why, evaluation.worth)))),
        )
    output.print_table(rows)
    for name, note in too_little_notes(judgement).items():
        output.OUT.print(f"{escape(name)}: {escape(note)}", highlight=False)
    if quiet:
        output.ERR.print(
            f"{quiet[Outcome.OK]} more evaluations are ok, {quiet[Outcome.INSUFFICIENT_DATA]} lack "
            "data; --all shows them"
        )
