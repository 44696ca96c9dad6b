"""`perf-alerts audit`: who did what, also as a file for auditors."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

import click
from rich.markup import escape

from perf_alerts_dagster.cli.options import TIME, json_option
from perf_alerts_dagster.cli.output import print_json, print_table, table
from perf_alerts_dagster.cli.session import desk_clock, open_identity_stores
from perf_alerts_dagster.control.audit import AuditFilter, AuditRow
from perf_alerts_dagster.control.export import Format, exported, row_values

_SHOWN = ("at", "actor", "action", "target", "outcome", "address")


@click.command()
@click.option("--since", type=TIME, help="From this time on.")
@click.option("--until", type=TIME, help="Before this time.")
@click.option("--actor", help="Only this user's, such as operator:ci-bot.")
@click.option("--action", help="Only this action, such as login.")
@click.option("--limit", type=click.IntRange(1), help="The newest so many. Default: 50, or all.")
@click.option("--jsonl", "form", flag_value="jsonl", help="Print one JSON object per line.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV, safe to open as a spreadsheet.")
@json_option
def audit(
    since: datetime | None,
    until: datetime | None,
    actor: str | None,
    action: str | None,
    limit: int | None,
    form: Format | None,
    as_json: bool,
) -> None:
    """The audit, newest first: changes, logins, refusals.

    \b
    perf-alerts audit --since 2026-01-01T00:00:00Z --csv > audit.csv
    """
    wanted = AuditFilter(since=since, until=until, actor=actor, action=action)
    with open_identity_stores() as stores:
        rows: Iterable[AuditRow] = stores.audit.every(wanted)
        if limit is not None or not (form or as_json):
            rows = islice(rows, limit or 50)
        if form:
            for line in exported(rows, form):
                click.echo(line, nl=False)
        elif as_json:
            print_json({"audit": [row_values(row) for row in rows]})
        else:
            _print(rows)


def _print(rows: Iterable[AuditRow]) -> None:
    shown, clock = table("audit", *_SHOWN, optional=("address", "outcome")), desk_clock()
    for row in rows:
        cells = [clock.at(row.at), *(str(getattr(row, name)) for name in _SHOWN[1:])]
        shown.add_row(*map(escape, cells))
    print_table(shown)
