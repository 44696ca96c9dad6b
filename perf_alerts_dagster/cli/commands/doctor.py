"""`perf-alerts doctor`: what is wrong with the running system, and how to fix it."""

import sys
from datetime import UTC, datetime

import click
from rich.markup import escape

from perf_alerts_dagster.cli.output import OUT, print_json, working
from perf_alerts_dagster.settings import load_settings


@click.command()
@click.option("--mend", is_flag=True, help="Bring schedules back that a clock jump has silenced.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
def doctor(mend: bool, as_json: bool) -> None:
    """Examine the running system and say what is wrong and how to fix it.

    It looks at the state folder and its disk, the alert store, the web UI and the code location,
    the daemon's heartbeats by their age, runs that wait too long, exceed their time or that
    are orphaned, and schedules whose ticks lie in the future. It changes nothing without
    --mend. Exit code 1 when something is wrong.
    """
    from perf_alerts_dagster.stack.doctor import examine

    settings = load_settings()
    with working("examining"):
        findings = list(examine(settings, datetime.now(UTC), fix=mend))
    if as_json:
        shown = [
            {"where": finding.where, "what": finding.problem, "mend": finding.fix}
            for finding in findings
        ]
        print_json({"healthy": not findings, "findings": shown})
    elif not findings:
        OUT.print("[green]all is well[/green]: state, store, web UI, code, daemon, runs, clock")
    for finding in [] if as_json else findings:
        OUT.print(f"[red]{escape(finding.where)}[/red]: {escape(finding.problem)}", highlight=False)
        OUT.print(f"    fix: {escape(finding.fix)}", highlight=False)
    sys.exit(1 if findings else 0)
