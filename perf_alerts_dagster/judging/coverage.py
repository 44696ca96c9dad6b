"""What a strategy is judged by now, and what it is judged by from when on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from perf_alerts_dagster.judging.context import LACKING, day_of_row
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.rules.catalogue import RULES
from perf_alerts_dagster.judging.summary import watched_for
from perf_alerts_dagster.records.model import StrategyRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The titles of the rules by when they judge a strategy with `live` and `backtest` rows.

    `now` are those that have an outcome. `later` has the number of live rows and the day, about,
    from which on the others have one. `lacking` has what the rest lacks that time does not
    bring: backtest rows, trades, rows that vary.
    """

    live: int
    backtest: int
    now: tuple[str, ...]
    later: tuple[tuple[int, date, tuple[str, ...]], ...] = ()
    lacking: tuple[tuple[str, tuple[str, ...]], ...] = ()


def coverage_of(record: StrategyRecord, evaluations: Sequence[Evaluation]) -> Coverage:
    """The coverage of a strategy by the evaluations of its newest session."""
    live = int(record.live.sum())
    later: dict[int, list[str]] = {}
    lacking: dict[str, list[str]] = {}
    for rule in RULES:
        own = [each for each in evaluations if each.rule == rule.id]
        if not own or any(each.outcome is not Outcome.INSUFFICIENT_DATA for each in own):
            continue
        observations, required = own[0].observations or 0, own[0].required or 0
        if LACKING not in own[0].parts and observations < required:
            later.setdefault(live + required - observations, []).append(rule.title)
            continue
        what = own[0].message
        if LACKING in own[0].parts:
            what = f"{required} {own[0].parts[LACKING]} are needed"
        lacking.setdefault(what, []).append(rule.title)
    return Coverage(
        live=live,
        backtest=len(record) - live,
        now=watched_for(evaluations),
        later=tuple(
            (rows, day_of_row(record.dates, rows - live), tuple(titles))
            for rows, titles in sorted(later.items())
        ),
        lacking=tuple((what, tuple(titles)) for what, titles in lacking.items()),
    )
