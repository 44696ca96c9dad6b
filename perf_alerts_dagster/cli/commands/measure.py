"""`perf-alerts measure`: every metric per strategy and segment."""

from datetime import date

import click
from rich.markup import escape

from perf_alerts_dagster.cli.options import as_of_option, json_option, records_option
from perf_alerts_dagster.cli.output import OUT, number, print_json, table, working
from perf_alerts_dagster.cli.records import note_faults, open_reading

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


@click.command()
@as_of_option
@records_option
@click.option(
    "--periods-per-year",
    type=click.FloatRange(min=1, max=366 * 24),
    default=None,
    help="Rows per year: 252 for daily records (the default), 52 for weekly, 12 for monthly.",
)
@json_option
def measure(
    as_of: date | None, records_url: str | None, periods_per_year: float | None, as_json: bool
) -> None:
    """Print every metric of each strategy, backtest and live apart.

    Returns are fractions per session; a drawdown, a value at risk and an expected shortfall are
    negative. Ratios are annualised with --periods-per-year. A metric without enough data is
    null, never zero. Stores nothing.

    \b
    perf-alerts measure --records daily.csv --json
    perf-alerts measure --records monthly.csv --periods-per-year 12
    """
    from perf_alerts_dagster.statistics.measurement import measure as measure_strategy

    source = open_reading(records_url, as_of=as_of, periods_per_year=periods_per_year)
    with working("measuring"):
        measurements = [
            measurement
            for name in sorted(source.reading.records.strategies)
            for measurement in measure_strategy(
                source.reading.records.strategies[name].until(source.reading.as_of),
                periods_per_year=source.periods_per_year,
            )
        ]
    note_faults(source.reading)
    if as_json:
        print_json(
            {
                "as_of": source.reading.as_of.isoformat(),
                "periods_per_year": source.periods_per_year,
                "strategies": [
                    {
                        "strategy": measurement.strategy,
                        "segment": measurement.segment,
                        "first": measurement.first.isoformat(),
                        "last": measurement.last.isoformat(),
                        "observations": measurement.observations,
                        "metrics": dict(measurement.metrics),
                    }
                    for measurement in measurements
                ],
                "faults": {
                    name: [str(fault) for fault in faults]
                    for name, faults in sorted(source.reading.records.faults.items())
                },
            }
        )
        return
    rows = table(
        f"{source.reading.records.source}, as of {source.reading.as_of}",
        "strategy",
        "segment",
        "rows",
        *_COLUMNS.values(),
        numeric=("rows", *_COLUMNS.values()),
    )
    for measurement in measurements:
        values = [measurement.metrics.get(name) for name in _COLUMNS]
        rows.add_row(
            escape(measurement.strategy),
            measurement.segment,
            str(measurement.observations),
            *(number(value) if not isinstance(value, str) else value for value in values),
        )
    OUT.print(rows)
