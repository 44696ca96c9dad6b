"""`perf-alerts evaluate`: judge now, store nothing."""

import sys
from collections.abc import Sequence
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
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement, Outcome, notified
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
    """Judge every strategy by one alert's rules; store nothing, notify nobody.

    Exit code 1 when people would be notified, or an outcome is error or no_data.

    \b
    perf-alerts evaluate daily_pnl_check --records daily.csv --as-of 2026-01-15 --json
    """
    from perf_alerts_dagster.bootstrap.executions import build_session_judge

    source = open_reading(records_url, as_of=as_of, periods_per_year=periods_per_year)
    reading = source.reading
    session_judge = build_session_judge(source.settings, periods_per_year=source.periods_per_year)
    with working("projecting and judging"):
        judgement = session_judge.judge_newest(
            alert,
            reading,
            run_id="evaluate",
            now=source.now,
            issued_before=_end_of_last_month(alert, reading),
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
                "evaluations": [_as_json(evaluation) for evaluation in judgement.evaluations],
            }
        )
    else:
        _show(judgement, source=reading.records.source, show_all=show_all)
    gate = source.settings.rule_preset == "evidence"
    unknown = {evaluation.outcome for evaluation in judgement.evaluations} & {
        Outcome.ERROR,
        Outcome.NO_DATA,
    }
    sys.exit(1 if unknown or notified(judgement, gate=gate) else 0)


def _end_of_last_month(alert: Alert, reading: Reading) -> Sequence[date]:
    """The session whose projection the forward test compares with; none for other alerts."""
    if reading.last_final is None or Family.FORWARD not in alert.families:
        return ()
    first = reading.last_final.replace(day=1)
    return [session for session in reading.sessions if session < first][-1:]


def _as_json(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "strategy": evaluation.strategy,
        "rule": evaluation.rule,
        "outcome": evaluation.outcome.value,
        "severity": evaluation.severity.value if evaluation.severity else None,
        "value": evaluation.value,
        "limit": evaluation.limit,
        "observations": evaluation.observations,
        "required": evaluation.required,
        "evidence": evaluation.evidence.value if evaluation.evidence else None,
        "p_year": evaluation.p_year,
        "false_alarm_rate": evaluation.false_alarm_rate,
        "power": evaluation.power,
        "days_to_half": evaluation.days_to_half,
        "kind": evaluation.kind.value,
        "session": evaluation.session.isoformat() if evaluation.session else None,
        "projection": evaluation.projection,
        "provisional": evaluation.provisional,
        "message": evaluation.message,
        "parts": dict(evaluation.parts),
    }


def _show(judgement: Judgement, *, source: str, show_all: bool) -> None:
    state = ", provisional" if judgement.provisional else ""
    numeric = ("value", "limit", "p a year")
    rows = table(
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
    for evaluation in judgement.evaluations:
        if evaluation.outcome in (Outcome.OK, Outcome.INSUFFICIENT_DATA) and not show_all:
            quiet += 1
            continue
        rows.add_row(
            escape(evaluation.strategy),
            evaluation.rule,
            styled(evaluation.outcome.value),
            styled(evaluation.severity.value) if evaluation.severity else "",
            number(evaluation.value),
            number(evaluation.limit),
            number(evaluation.p_year),
            evaluation.evidence.value if evaluation.evidence else "",
            escape(evaluation.message),
        )
    OUT.print(rows)
    if quiet:
        ERR.print(f"{quiet} more evaluations are ok or lack data; --all shows them")
