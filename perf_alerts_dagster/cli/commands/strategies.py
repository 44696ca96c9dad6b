"""`perf-alerts strategies`: the strategies of the record."""

from datetime import date

import click
import numpy as np
from rich.markup import escape

from perf_alerts_dagster.cli.options import as_of_option, json_option, records_option
from perf_alerts_dagster.cli.output import OUT, print_json, styled, table
from perf_alerts_dagster.cli.records import note_faults, open_reading
from perf_alerts_dagster.records.model import StrategyRecord


@click.command()
@as_of_option
@records_option
@json_option
def strategies(as_of: date | None, records_url: str | None, as_json: bool) -> None:
    """List the strategies and groups of the record, with their rows and their faults."""
    reading = open_reading(records_url, as_of=as_of).reading
    note_faults(reading)
    rows = [
        _row(reading.records.strategies[name].until(reading.as_of))
        for name in sorted(reading.records.strategies)
    ]
    rows += [
        {"strategy": name, "status": "error", "faults": [str(fault) for fault in faults]}
        for name, faults in sorted(reading.records.faults.items())
    ]
    if as_json:
        print_json({"as_of": reading.as_of.isoformat(), "strategies": rows})
        return
    listing = table(
        f"{reading.records.source}, as of {reading.as_of}",
        "strategy",
        "status",
        "group",
        "backtest rows",
        "live rows",
        "first",
        "live since",
        "newest",
        numeric=("backtest rows", "live rows"),
    )
    for row in rows:
        listing.add_row(
            escape(str(row["strategy"])),
            styled(str(row["status"])),
            escape(str(row.get("group") or "-")),
            *(
                str(row.get(name) if row.get(name) is not None else "-")
                for name in ("backtest_rows", "live_rows", "first", "live_since", "newest")
            ),
        )
    OUT.print(listing)


def _row(record: StrategyRecord) -> dict[str, object]:
    live = np.flatnonzero(record.live)
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
    }
