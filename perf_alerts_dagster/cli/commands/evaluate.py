"""`perf-alerts evaluate`: judge now, store nothing."""

import sys
from datetime import date
from typing import Any

import click
from rich.markup import escape

from perf_alerts_dagster.cli.options import (
    alert_argument,
    as_of_option,
    json_option,
    records_option,
)
from perf_alerts_dagster.cli.output import ERR, OUT, number, print_json, styled, table, working
from perf_alerts_dagster.cli.records import note_faults, open_reading
from perf_alerts_dagster.core.alerts import Alert, Family
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement, Outcome
from perf_alerts_dagster.judging.notifiable import notified
from perf_alerts_dagster.records.reading import Reading


@click.command()
@alert_argument
@as_of_option
@records_option
@click.option(
    "--periods-per-year",
    type=click.FloatRange(min=1, max=366 * 24),
    default=None,
    help="Rows per year, for monthly or weekly records.",
)
@click.option("--all", "show_all", is_flag=True, help="Show the rules that are fine as well.")
@json_option
def evaluate(
    alert: Alert,
    as_of: date | None,
    records_url: str | None,
    periods_per_year: float | None,
    show_all: bool,
    as_json: bool,
) -> None:
    """Judge every strategy by one alert's rules; store nothing, tell nobody.

    Exit code 1 when something would be told, or is error or no_data.

    \b
    perf-alerts evaluate daily_pnl_check --records daily.csv --as-of 2026-01-15 --json
    """
    from perf_alerts_dagster.bootstrap.judging import build_judging, build_projecting

    opened = open_reading(records_url, as_of=as_of, periods_per_year=periods_per_year)
    reading = opened.reading
    judging = build_judging(opened.settings, periods_per_year=opened.periods_per_year)
    projections_issuer = build_projecting(opened.settings, judging)
    with working("projecting"):
        for day in _issue_days(alert, reading):
            projections_issuer.issue_for(alert, reading, day, run_id="evaluate")
    with working("judging"):
        judgement = judging.judge(
            alert,
            reading,
            reading.as_of,
            run_id="evaluate",
            now=opened.now,
            outlook=projections_issuer.outlook(reading.as_of),
            provisional=reading.last_final is None or reading.as_of > reading.last_final,
        )
    note_faults(reading)
    if as_json:
        print_json(
            {
                "alert": alert.name,
                "as_of": judgement.as_of.isoformat(),
                "provisional": judgement.provisional,
                "settings_version": judgement.settings_version,
                "data_hash": judgement.data_hash,
                "seed": judgement.seed,
                "evaluations": [_as_json(one) for one in judgement.evaluations],
            }
        )
    else:
        _show(judgement, source=reading.records.source, show_all=show_all)
    gate = opened.settings.rule_preset == "evidence"
    unknown = {one.outcome for one in judgement.evaluations} & {Outcome.ERROR, Outcome.NO_DATA}
    sys.exit(1 if unknown or notified(judgement, gate=gate) else 0)


def _issue_days(alert: Alert, reading: Reading) -> list[date]:
    """The days on which an execution would have issued: last month's end as well, to compare."""
    last = reading.last_final
    if last is None:
        return []
    earlier = [one for one in reading.sessions if one < last.replace(day=1)]
    return [*earlier[-1:], last] if Family.FORWARD in alert.families else [last]


def _as_json(one: Evaluation) -> dict[str, Any]:
    return {
        "strategy": one.strategy,
        "rule": one.rule,
        "outcome": one.outcome.value,
        "severity": one.severity.value if one.severity else None,
        "value": one.value,
        "limit": one.limit,
        "observations": one.observations,
        "required": one.required,
        "evidence": one.evidence.value if one.evidence else None,
        "p_year": one.p_year,
        "false_alarm_rate": one.false_alarm_rate,
        "power": one.power,
        "days_to_half": one.days_to_half,
        "kind": one.kind.value,
        "session": one.session.isoformat() if one.session else None,
        "projection": one.projection,
        "provisional": one.provisional,
        "message": one.message,
        "parts": dict(one.parts),
    }


def _show(judgement: Judgement, *, source: str, show_all: bool) -> None:
    state = ", provisional" if judgement.provisional else ""
    numeric = ("value", "limit", "p a year")
    shown = table(
        f"{judgement.alert} over {source}, as of {judgement.as_of}{state}",
        "strategy",
        "rule",
        "outcome",
        "severity",
        "value",
        "limit",
        "p a year",
        "evidence",
        "why",
        numeric=numeric,
    )
    quiet = 0
    for one in judgement.evaluations:
        if one.outcome in (Outcome.OK, Outcome.INSUFFICIENT_DATA) and not show_all:
            quiet += 1
            continue
        shown.add_row(
            escape(one.strategy),
            one.rule,
            styled(one.outcome.value),
            styled(one.severity.value) if one.severity else "",
            number(one.value),
            number(one.limit),
            number(one.p_year),
            one.evidence.value if one.evidence else "",
            escape(one.message),
        )
    OUT.print(shown)
    if quiet:
        ERR.print(f"{quiet} more evaluations are ok or lack data; --all shows them")
