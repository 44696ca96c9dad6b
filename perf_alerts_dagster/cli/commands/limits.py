"""`perf-alerts limits`: propose mandates; a person applies them."""

import json
import math
import shlex
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from perf_alerts_dagster.cli import options, output
from perf_alerts_dagster.cli.commands.record import Source, note_faults, read_source
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.files import replace_file

if TYPE_CHECKING:
    from perf_alerts_dagster.judging.rule import LimitBook
    from perf_alerts_dagster.projections.calibration import Calibration
    from perf_alerts_dagster.records.model import Floats, StrategyRecord

# A proposed loss is passed in at most this share of years; a drawdown is the strategy's own line.
# Both are rounded up to their unit.
_LOSS = 0.05
_UNITS = {"drawdown": 0.005, "daily_loss": 0.001, "weekly_loss": 0.001}
_WEEKS = 365.25 / 7
# Fewer losses say nothing of their tail.
_LEAST_LOSSES = 10
_HOW = (
    "a year: expected crossings a year while the strategy does not change. Of a drawdown in its "
    "simulated healthy years, at its age; of a loss in all rows of its reference with profit or "
    "loss (a week's in all windows of a week), beyond the worst twentieth by a Pareto tail. * is "
    "set already, and kept."
)
# A line and its expected crossings a year; None where there is none.
_Proposal = tuple[float | None, float | None]


@click.group()
def limits() -> None:
    """Propose mandates of a desk (ALERT_POLICY_LIMITS)."""


@limits.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("policy_limits.json"),
    show_default=True,
    help="The file to write.",
)
@options.as_of_option
@options.records_option
def suggest(out: Path, as_of: date | None, records_url: str | None) -> None:
    """Write a drawdown, a daily and a weekly loss for each strategy and group; apply nothing.

    The drawdown is the strategy's own line, which it passes in 1 of 100 healthy years (at least
    5 %, at most 50 %); each loss is passed in at most 5 of 100. The file has the form of
    ALERT_POLICY_LIMITS, with what is set there already; a person edits and applies it.
    """
    from perf_alerts_dagster.judging.limits import limit_book

    source = read_source(records_url, as_of=as_of)
    reading, policy = source.reading, source.settings.policy_limits
    note_faults(reading)
    calibrations, book = _calibrations(source), limit_book({}, policy)
    own = {name: dict(values) for name, values in policy.get("strategies", {}).items()}
    reasons = {name: ["its rows are faulty"] for name in reading.records.faults}
    headings = [f"{name} (a year)" for name in ("drawdown", "daily", "weekly")]
    rows = output.table("proposed", "strategy", *headings, numeric=tuple(headings))
    for name, whole in sorted(reading.records.strategies.items()):
        record, calibration = whole.until(reading.as_of), calibrations.get(name)
        if not record.is_judged_on(reading.as_of):
            reasons[name] = [f"not judged on {reading.as_of} ({record.status.value})"]
        elif calibration is None:
            reasons[name] = ["too little data: it has no healthy years yet, see check"]
        else:
            kept = _kept(book, name, own.get(name, {}))
            lines = _lines(record, calibration, reading.periods_per_year[name], kept)
            proposed = {each: line for each, (line, _) in lines.items() if each not in kept}
            own[name] = own.get(name, {}) | {k: line for k, line in proposed.items() if line}
            reasons[name] = [
                f"no {each}: its reference has too few losses to draw a line by"
                for each, line in proposed.items()
                if line is None
            ]
            rows.add_row(escape(name), *_cells(lines, kept))
    output.print_table(rows)
    for name, whys in sorted(reasons.items()):
        for why in whys:
            output.say(f"{name}: {why}")
    content = {**policy, "strategies": own}
    # What is written is accepted.
    limit_book({}, content)
    try:
        replace_file(out, json.dumps(content, indent=2, allow_nan=False) + "\n")
    except OSError as error:
        message = f"--out is {str(out)!r}; accepted is a file that can be written"
        raise UsageError(f"{message} ({error.strerror})") from error
    output.say(_HOW)
    output.say("Nothing is applied. Read the file, then apply it by")
    # As it is: a line that is folded cannot be copied.
    click.echo(f'export ALERT_POLICY_LIMITS="$(cat {shlex.quote(str(out))})"')


def _calibrations(source: Source) -> "Mapping[str, Calibration]":
    """The healthy years of each strategy, as an execution would judge by them."""
    from perf_alerts_dagster.bootstrap.executions import build_session_judge

    reading = source.reading
    if reading.last_final is None:
        return {}
    issuer = build_session_judge(source.settings).issuer
    with output.working("simulating healthy years"):
        issuer.issue_launch(reading, reading.last_final, run_id="limits")
    periods = reading.periods_per_year
    outlook = issuer.outlook(reading.last_final, periods, reading.baselines, monthly=False)
    return outlook.calibrations


def _kept(book: "LimitBook", strategy: str, own: Mapping[str, object]) -> dict[str, float | None]:
    """The lines that a person has set, or lifted by null."""
    values = {name: getattr(book.mandate_for(strategy), name) for name in _UNITS}
    return {name: line for name, line in values.items() if line is not None or name in own}


def _lines(
    record: "StrategyRecord",
    calibration: "Calibration",
    periods_per_year: float,
    kept: Mapping[str, float | None],
) -> dict[str, _Proposal]:
    """Each line that is kept, else proposed."""
    import numpy as np
    from numpy.lib.stride_tricks import sliding_window_view

    from perf_alerts_dagster.projections.calibration import yearly_share
    from perf_alerts_dagster.projections.projection import whole_reference
    from perf_alerts_dagster.projections.watchers import STATISTICS

    age, statistic = int(record.live.sum()), STATISTICS["drawdown"]
    rows = whole_reference(record)
    week = max(round(periods_per_year / _WEEKS), 1)
    # The worst of each window of a week since its beginning, as the mandate is judged every day.
    windows = np.cumsum(np.log1p(sliding_window_view(rows, week)), axis=1)
    weeks: Floats = np.expm1(windows.min(axis=1))

    def passed(depth: float) -> float:
        name = statistic.name_after(age, calibration.year)
        return calibration.p_year(name, statistic.badness(-depth, periods_per_year))

    def lost(losses: "Floats", a_year: float, loss: float) -> float:
        return yearly_share(-loss, losses, max(round(a_year), 1))

    shares: dict[str, Callable[[float], float]] = {"drawdown": passed}
    for name, sample, a_year in (
        ("daily_loss", rows, periods_per_year),
        ("weekly_loss", weeks, periods_per_year / week),
    ):
        moved = np.sort(sample[sample != 0.0])
        if int((moved < 0.0).sum()) >= _LEAST_LOSSES:
            shares[name] = partial(lost, moved, a_year * len(moved) / len(sample))
    if "weekly_loss" in shares and "daily_loss" in shares:
        # A day's loss is one of its week, whatever the tail of the weeks says.
        shares["weekly_loss"] = partial(_either, shares["weekly_loss"], shares["daily_loss"])
    found: dict[str, _Proposal] = {}
    for name, unit in _UNITS.items():
        line, share, crossings = kept.get(name), shares.get(name), None
        if name not in kept and name == "drawdown":
            line = round(math.ceil(calibration.emergency_depth(age) / unit - 1e-9) * unit, 4)
        elif name not in kept and share is not None:
            losses = (round(k * unit, 4) for k in range(1, round(1.0 / unit) + 1))
            line = next((loss for loss in losses if share(loss) <= _LOSS), None)
        if line is not None and share is not None:
            crossings = -math.log1p(-min(share(line), 0.999))
        found[name] = (line, crossings)
    return found


def _either(one: Callable[[float], float], other: Callable[[float], float], loss: float) -> float:
    return max(one(loss), other(loss))


def _cells(lines: Mapping[str, _Proposal], kept: Mapping[str, object]) -> Iterator[str]:
    for each, (line, a_year) in lines.items():
        shown = "-" if line is None else f"{100 * line:.3g} %"
        often = "" if a_year is None else f" ({a_year:.2g})"
        yield f"{shown}{'*' if each in kept else ''}{often}"
