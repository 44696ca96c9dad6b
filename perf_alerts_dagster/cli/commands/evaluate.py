"""`perf-alerts evaluate`: what would be notified, a line of what was judged, and why."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from perf_alerts_dagster.cli import options, output
from perf_alerts_dagster.cli.commands.record import note_faults, read_source
from perf_alerts_dagster.core.alerts import Alert, Family
from perf_alerts_dagster.core.wording import counted, percent

if TYPE_CHECKING:
    from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement
    from perf_alerts_dagster.records.reading import Reading


@click.command()
@options.alert_argument
@options.as_of_option
@options.records_option
@options.periods_option
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
    from perf_alerts_dagster.bootstrap.executions import build_session_judge
    from perf_alerts_dagster.bootstrap.ledger import is_gated
    from perf_alerts_dagster.judging.summary import summaries

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
        _print_notified(judgement, gate=is_gated(source.settings))
        _print_rules(judgement, source=reading.records.source, show_all=show_all)
    note_faults(reading)
    sys.exit(1 if any(evaluation.notifies for evaluation in judgement.evaluations) else 0)


def _end_of_last_month(alert: Alert, reading: "Reading") -> Sequence[date]:
    """The session of the projection that the forward test compares with; none for other alerts."""
    if reading.last_final is None or Family.FORWARD not in alert.families:
        return ()
    first = reading.last_final.replace(day=1)
    return [session for session in reading.sessions if session < first][-1:]


def _print_notified(judgement: "Judgement", *, gate: bool) -> None:
    """A line for each strategy that would be notified of, worst first; then the counts."""
    from perf_alerts_dagster.judging.evaluation import Outcome, severity_of
    from perf_alerts_dagster.judging.summary import by_strategy, summary_of
    from perf_alerts_dagster.records.groups import is_group

    def badness(one: "Evaluation") -> tuple[int, float]:
        # What has no probability is missing, or a limit that a person has set.
        return (-severity_of(one, gate=gate).rank, -1.0 if one.p_year is None else one.p_year)

    evaluations = by_strategy(judgement)
    worst: dict[str, list[Evaluation]] = {}
    for one in sorted((each for each in judgement.evaluations if each.notifies), key=badness):
        worst.setdefault(one.strategy, []).append(one)
    for name, (first, *others) in worst.items():
        severity = first.severity if first.outcome is not Outcome.BREACH else None
        word = (severity or severity_of(first, gate=gate)).value
        more = f" (and {counted(len(others), 'more rule')})" if others else ""
        said = first.parts.get("headline") or first.message
        output.say_under(output.styled(word), f"{name} {said}{more}")
    # A group lacks what its members lack, and is not counted again.
    own = [each for name, each in evaluations.items() if not is_group(name)]
    count = Counter(summary_of(each).outcome for each in own)
    gone = sum(any("last_seen" in one.parts for one in each) for each in own)
    unjudged = (Outcome.ERROR, Outcome.NO_DATA, Outcome.INSUFFICIENT_DATA)
    judged = len(own) - sum(count[outcome] for outcome in unjudged)
    groups = len(evaluations) - len(own)
    and_groups = f" and {counted(groups, 'group')}" if groups else ""
    words = [f"{counted(judged, 'strategy')}{and_groups} judged", f"{len(worst)} would notify"]
    for number, what in (
        (count[Outcome.ERROR], "with rows that are faulty"),
        (count[Outcome.NO_DATA] - gone, "late"),
        (gone, "gone from the source"),
        (count[Outcome.INSUFFICIENT_DATA], "with too little data"),
        (count[Outcome.PARTIAL], "with rows missing"),
    ):
        words += [f"{number} {what}"] if number else []
    output.say(", ".join(words), style="bold")


def _print_rules(judgement: "Judgement", *, source: str, show_all: bool) -> None:
    from perf_alerts_dagster.defs.values import value_text
    from perf_alerts_dagster.judging.evaluation import UNMEASURED, Outcome
    from perf_alerts_dagster.judging.summary import too_little_notes
    from perf_alerts_dagster.records.groups import is_group

    state = ", provisional" if judgement.provisional else ""
    rows = output.table(
        escape(f"{judgement.alert} over {source}, as of {judgement.as_of}{state}"),
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
        numeric=("value", "limit", "p a year"),
        sentences=("why",),
        optional=("evidence", "p a year", "limit", "outcome", "notifies"),
    )
    quiet = Counter[Outcome]()
    unmeasured: set[tuple[str, str]] = set()
    # What is notified first: of the rules of a strategy without data it stands for all.
    for one in sorted(judgement.evaluations, key=lambda each: (each.strategy, not each.notifies)):
        if one.outcome in UNMEASURED:
            if (one.strategy, one.message) in unmeasured:
                continue
            unmeasured.add((one.strategy, one.message))
        of_member = one.outcome is Outcome.PARTIAL and is_group(one.strategy)
        is_quiet = one.outcome in (Outcome.OK, Outcome.INSUFFICIENT_DATA) or of_member
        if is_quiet and not one.notifies and not show_all:
            quiet[one.outcome] += 1
            continue
        rows.add_row(
            escape(one.strategy),
            one.rule,
            output.styled(one.outcome.value),
            output.styled(one.severity.value) if one.severity else "",
            value_text(one.rule, one.value),
            value_text(one.rule, one.limit),
            "" if one.p_year is None else percent(one.p_year),
            one.evidence.value if one.evidence else "",
            "yes" if one.notifies else "",
            escape("; ".join(filter(None, (one.message, one.why, one.worth)))),
        )
    if rows.rows:
        output.print_table(rows)
    for name, note in too_little_notes(judgement).items():
        output.say(f"{name}: {note}")
    if quiet:
        partial = quiet[Outcome.PARTIAL]
        output.ERR.print(
            f"{quiet[Outcome.OK]} more evaluations are ok, {quiet[Outcome.INSUFFICIENT_DATA]} lack "
            f"data{f', {partial} of groups lack rows of members' if partial else ''}; "
            "--all shows them"
        )
