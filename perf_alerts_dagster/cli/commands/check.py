"""The command `check`: the settings, what the record holds, and what is judged of it."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from perf_alerts_dagster.cli import output
from perf_alerts_dagster.cli.commands.record import Source, note_faults, read_source
from perf_alerts_dagster.cli.session import change_of
from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK

if TYPE_CHECKING:
    from perf_alerts_dagster.judging.coverage import Coverage
    from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome

_MAXIMUM_NAMES, _FEW = 8, 100


@click.command()
@click.option("--accept", is_flag=True, help="Accept the source as it is, also where it shrank.")
def check(*, accept: bool) -> None:
    """Check every ALERT_* variable and read the record once; change nothing without --accept.

    All faults are listed together, each with the variable, its value (secrets masked) and what
    is accepted. Then what each strategy is judged by now, and from when on by the rest. Exit
    code 2 when a variable is wrong, 1 when the record has bad rows.
    """
    from perf_alerts_dagster.bootstrap.desk import accept_source, compared
    from perf_alerts_dagster.bootstrap.notifications import open_all_channels

    settings = output.settings_with_warnings()
    channels = open_all_channels(settings)
    if accept:
        change = change_of("accept", "source", datetime.now(UTC))
        output.say(accept_source(settings, change))
    source = read_source(None, as_of=None)
    reading, lacking = compared(settings, source.reading, source.now)
    source = replace(source, reading=reading)
    note_faults(reading)
    records = reading.records
    shadows = [one.shadow for one in records.strategies.values() if one.shadow is not None]
    bad = len(records.faults) + len(records.table_faults)
    bad += sum(bool(shadow.faults) for shadow in shadows)
    output.say(
        f"settings are fine (version {settings.settings_version}); "
        f"{records.source}: {len(records.strategies)} strategies and "
        f"groups, newest session {reading.as_of}" + (f", {bad} with bad rows" if bad else "")
    )
    names = ", ".join(channel.name for channel in channels)
    output.say(f"notifies {names}" if names else "notifies nobody: ALERT_NOTIFY_URLS is not set")
    for line in lacking:
        output.say(line)
    for section in _SECTIONS:
        for line in section(source):
            output.say(line)
    sys.exit(1 if bad else 0)


def shadow_lines(source: Source) -> Iterator[str]:
    """Which strategies have a shadow, with its days, model versions and faults, and a benchmark."""
    import numpy as np

    from perf_alerts_dagster.judging.summary import listed

    records = source.reading.records.strategies
    count = len(records) - len(source.reading.groups)
    shadows = {name: one.shadow for name, one in records.items() if one.shadow is not None}
    whole = [each for each in shadows.values() if len(each)]
    if whole:
        first, last = (min(each.dates[0] for each in whole), max(each.dates[-1] for each in whole))
        on_live_dates = sum(
            int(np.isin(each.dates, records[name].dates[records[name].live]).sum())
            for name, each in shadows.items()
        )
        versions = sorted({str(one) for each in whole for one in np.unique(each.versions)} - {""})
        rest = len(versions) - _MAXIMUM_NAMES
        more = [f"{rest} more"] if rest > 0 else []
        stated = listed([*versions[:_MAXIMUM_NAMES], *more]) if versions else "not stated"
        yield (
            f"shadow: {len(whole)} of {count} strategies, {sum(map(len, whole))} rows from {first} "
            f"to {last}, {on_live_dates} of them on live dates; model versions: {stated}"
        )
    for name, each in shadows.items():
        yield from (f"shadow of {name}: {fault}" for fault in each.faults)
    if compared := sum(one.benchmark is not None for one in records.values()):
        yield f"benchmark: {compared} of {count} strategies"


def coverage_lines(source: Source) -> Iterator[str]:
    """What strategies and groups are judged by, a line for all that are alike."""
    from perf_alerts_dagster.bootstrap.executions import build_session_judge
    from perf_alerts_dagster.judging.coverage import coverage_of
    from perf_alerts_dagster.judging.summary import by_strategy, listed

    reading = source.reading
    whole = build_session_judge(source.settings)
    # Whether a rule has an outcome does not depend on their number, which is most of the time.
    issuer = replace(whole.issuer, paths=_FEW, lives=_FEW)
    session_judge = replace(whole, issuer=issuer)
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
            text = _covered(coverage_of(record.until(reading.as_of), own), own)
        alike.setdefault(text, []).append(name)
    for text, names in alike.items():
        rest = len(names) - _MAXIMUM_NAMES
        more = [f"{rest} more"] if rest > 0 else []
        yield f"{listed([*names[:_MAXIMUM_NAMES], *more])}: {text}"


def _covered(coverage: "Coverage", evaluations: "Sequence[Evaluation]") -> str:
    from perf_alerts_dagster.judging.evaluation import Outcome
    from perf_alerts_dagster.judging.summary import listed, summary_of

    summary = summary_of(evaluations)
    if summary.outcome in (Outcome.ERROR, Outcome.NO_DATA):
        return _missing(evaluations, summary.outcome) or summary.note
    if not coverage.now:
        # Too few rows for anything, or wiped out.
        breaches = [each.message for each in evaluations if each.outcome is Outcome.BREACH]
        return summary.note or listed(breaches)
    later = [
        f"from {rows} live rows{f' (about {day})' if day else ''} {listed(titles)}"
        for rows, day, titles in coverage.later
    ]
    later += [f"{listed(titles)}: {what}" for what, titles in coverage.lacking]
    missing = _missing(evaluations, Outcome.PARTIAL)
    partial = [f"partial: {missing}"] if missing else []
    if not later:
        return "; ".join(["judged by all rules that apply", *partial])
    backtest = f"{coverage.backtest} backtest rows" if coverage.backtest else "no backtest"
    rows = f"{coverage.live} live rows, {backtest}"
    return f"{rows}: " + "; ".join([f"now {listed(coverage.now)}", *later, *partial])


def _missing(evaluations: "Sequence[Evaluation]", outcome: "Outcome") -> str:
    """What rows are missing, without a message's numbers, which rest on few simulations here."""
    from perf_alerts_dagster.judging.summary import listed

    for each in evaluations:
        missing = each.parts.get("missing")
        if each.outcome is outcome and isinstance(missing, list):
            return f"no row of {listed([str(one) for one in missing[:_MAXIMUM_NAMES]])}"
    return ""


def calendar_lines(source: Source) -> Iterator[str]:
    """Whose calendar is which, and whether the daily check runs before a day's rows are final."""
    from perf_alerts_dagster.records.calendars import finality_notes

    settings = source.settings
    yield from finality_notes(
        source.reading.calendars,
        daily=time.fromisoformat(settings.time_of(DAILY_PNL_CHECK)),
        now=source.now,
        zone=ZoneInfo(settings.timezone),
    )


def weight_lines(source: Source) -> Iterator[str]:
    """The members of each group, largest first, with their shares of its capital."""
    from perf_alerts_dagster.judging.summary import listed

    for name, group in sorted(source.reading.groups.items()):
        found = group.at(source.reading.as_of, source.reading.last_final)
        heaviest = sorted(found.weights.items(), key=lambda pair: (-pair[1], pair[0]))
        shares = [f"{member} {share:.1%}" for member, share in heaviest[:_MAXIMUM_NAMES]]
        shares += [f"{len(heaviest) - len(shares)} more"] if len(heaviest) > len(shares) else []
        lacking = f"; missing: {listed(sorted(found.missing))}" if found.missing else ""
        if shares:
            yield f"{name}: {', '.join(shares)} of the capital{lacking}"


def budget_lines(source: Source) -> Iterator[str]:
    """What the false-alarm budget costs a year, and what it sees."""
    from perf_alerts_dagster.bootstrap.desk import store_engine
    from perf_alerts_dagster.bootstrap.ledger import cost_of, is_gated
    from perf_alerts_dagster.judging.cost import cost_lines

    settings, reading = source.settings, source.reading
    if not is_gated(settings):
        yield (
            "ALERT_RULE_PRESET=documented: documented limits notify without evidence, and no "
            "false-alarm budget holds"
        )
        return
    with output.working("drawing healthy years"), store_engine(settings) as engine:
        cost = cost_of(settings, reading, engine, source.now)
    yield from cost_lines(cost)


# Printed below the summary, in this order.
_SECTIONS: tuple[Callable[[Source], Iterator[str]], ...] = (
    shadow_lines,
    calendar_lines,
    weight_lines,
    coverage_lines,
    budget_lines,
)
