"""`perf-alerts measure`: every metric per strategy and segment."""

from datetime import date

import click
from rich.markup import escape

from perf_alerts_dagster.cli.options import as_of_option, json_option, records_option
from perf_alerts_dagster.cli.output import OUT, number, print_json, table, working
from perf_alerts_dagster.cli.records import note_faults, open_reading

# The columns for people, by metric; --json has every metric.
_SHOWN = {
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
    from perf_alerts_dagster.statistics.measurement import measure as measured

    opened = open_reading(records_url, as_of=as_of, periods_per_year=periods_per_year)
    with working("measuring"):
        found = [
            one
            for name in sorted(opened.reading.records.strategies)
            for one in measured(
                opened.reading.records.strategies[name].until(opened.reading.as_of),
                periods_per_year=opened.periods_per_year,
            )
        ]
    note_faults(opened.reading)
    if as_json:
        print_json(
            {
                "as_of": opened.reading.as_of.isoformat(),
                "periods_per_year": opened.periods_per_year,
                "strategies": [
                    {
                        "strategy": one.strategy,
                        "segment": one.segment,
                        "first": one.first.isoformat(),
                        "last": one.last.isoformat(),
                        "observations": one.observations,
                        "metrics": dict(one.metrics),
                    }
                    for one in found
                ],
                "faults": {
                    name: [str(fault) for fault in faults]
                    for name, faults in sorted(opened.reading.records.faults.items())
                },
            }
        )
        return
    shown = table(
        f"{opened.reading.records.source}, as of {opened.reading.as_of}",
        "strategy",
        "segment",
        "rows",
        *_SHOWN.values(),
        numeric=("rows", *_SHOWN.values()),
    )
    for one in found:
        values = [one.metrics.get(name) for name in _SHOWN]
        shown.add_row(
            escape(one.strategy),
            one.segment,
            str(one.observations),
            *(number(value) if not isinstance(value, str) else value for value in values),
        )
    OUT.print(shown)
