"""The command `check`: the settings, what the record holds, and what is judged of it."""

import sys
from collections.abc import Callable, Iterator

import click
from rich.markup import escape

from perf_alerts_dagster.bootstrap.executions import build_session_judge
from perf_alerts_dagster.cli import output
from perf_alerts_dagster.cli.commands.record import Source, note_faults, read_source
from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK
from perf_alerts_dagster.judging.coverage import Coverage, coverage_of
from perf_alerts_dagster.judging.summary import Summary, by_strategy, listed, summary_of

_MAXIMUM_NAMES = 8


@click.command()
def check() -> None:
    """Check every ALERT_* variable and read the record once; change nothing.

    All faults are listed together, each with the variable, its value (secrets masked) and what
    is accepted. Then what each strategy is judged by now, and from when on by the rest. Exit
    code 2 when a variable is wrong, 1 when the record has bad rows.
    """
    settings = output.settings_with_warnings()
    source = read_source(None, as_of=None)
    reading = source.reading
    note_faults(reading)
    bad = len(reading.records.faults)
    output.OUT.print(
        f"settings are fine (version {settings.settings_version}); "
        f"{escape(reading.records.source)}: {len(reading.records.strategies)} strategies and "
        f"groups, newest session {reading.as_of}" + (f", {bad} with bad rows" if bad else "")
    )
    for section in _SECTIONS:
        for line in section(source):
            output.OUT.print(escape(line), highlight=False, soft_wrap=True)
    sys.exit(1 if bad else 0)


def coverage_lines(source: Source) -> Iterator[str]:
    """What strategies and groups are judged by, a line for all that are alike."""
    reading = source.reading
    session_judge = build_session_judge(source.settings)
    with output.working("judging"):
        judgement = session_judge.judge_newest(
            DAILY_PNL_CHECK, reading, run_id="check", now=source.now
        )
    evaluations = by_strategy(judgement)
    alike: dict[str, list[str]] = {}
    for name, record in sorted(reading.records.strategies.items()):
        text = f"not judged on {reading.as_of} ({record.status.value})"
        if name in evaluations:
            own = evaluations[name]
            text = _covered(coverage_of(record.until(reading.as_of), own), summary_of(own))
        alike.setdefault(text, []).append(name)
    for text, names in alike.items():
        rest = len(names) - _MAXIMUM_NAMES
        more = [f"{rest} more"] if rest > 0 else []
        yield f"{listed([*names[:_MAXIMUM_NAMES], *more])}: {text}"


def _covered(coverage: Coverage, summary: Summary) -> str:
    if not coverage.now:
        return summary.note
    later = [
        f"from {rows} live rows{f' (about {day})' if day else ''} {listed(titles)}"
        for rows, day, titles in coverage.later
    ]
    later += [f"{listed(titles)}: {what}" for what, titles in coverage.lacking]
    if summary.too_little is None:
        return "; ".join(["judged", *later])
    backtest = f"{coverage.backtest} backtest rows" if coverage.backtest else "no backtest"
    rows = f"{coverage.live} live rows, {backtest}"
    return f"{rows}: " + "; ".join([f"now {listed(coverage.now)}", *later])


# Printed below the summary, in this order.
_SECTIONS: tuple[Callable[[Source], Iterator[str]], ...] = (coverage_lines,)
