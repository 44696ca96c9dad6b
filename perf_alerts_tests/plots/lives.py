"""Lives of strategies, judged as of their newest row, for the plots of a life."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.plots.of_life import life_plots
from perf_alerts_dagster.plots.plot import Plot
from perf_alerts_dagster.projections.ports import LAUNCH, MemoryProjections
from perf_alerts_dagster.projections.projection import InForce, launch_days
from perf_alerts_dagster.projections.stored import in_force
from perf_alerts_dagster.records.model import StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import read
from perf_alerts_tests.builders import MARKET, a_record, noise
from perf_alerts_tests.executions.trading_desk import a_session_judge
from perf_alerts_tests.fakes import FakeRecordsSource
from perf_alerts_tests.plots.gallery import BACKTEST, records

TEN_YEARS = 2_520


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Life:
    """A record, what judged it, and the judgements of its newest session."""

    record: StrategyRecord
    context: JudgeContext
    launches: Sequence[InForce]
    judgements: Sequence[Judgement]

    def plots(self, **days: Any) -> list[Plot]:
        evaluations = [each for one in self.judgements for each in one.evaluations]
        return life_plots(self.record, self.context, self.launches, evaluations, **days)


def judged(record: StrategyRecord) -> Life:
    """A strategy judged by every alert, with all the launch projections of its life."""
    newest: date = record.dates[-1].astype(object)
    now = datetime.combine(newest, datetime.min.time(), tzinfo=UTC).replace(hour=18)
    source = FakeRecordsSource(TrackRecords(source="made up", strategies={record.strategy: record}))
    reading = read(source, MARKET, as_of=None, now=now, timezone=ZoneInfo("UTC"))
    store = MemoryProjections()
    judge = a_session_judge(store).for_sessions([newest])
    days = launch_days(record, newest, None, date.min, 99)
    judgements = [
        judge.judge_session(
            alert, reading, newest, issue_on=[*days, newest], run_id="run", now=now
        )[0]
        for alert in ALERTS
    ]
    stored = store.issued(kind=LAUNCH, first=date.min, last=newest)
    found = [in_force(each) for each in stored]
    return Life(
        record=record,
        context=judge.context(ALERTS[0], reading, newest),
        launches=[each for each in found if each is not None],
        judgements=judgements,
    )


def a_long_record() -> StrategyRecord:
    """Ten years live, the last of which lose what the ones before made."""
    returns = noise(BACKTEST + TEN_YEARS, seed=60, mean=0.0005)
    returns[-300:] -= 0.0016
    return a_record(returns[BACKTEST:], backtest=returns[:BACKTEST], strategy="long")


@cache
def life(name: str) -> Life:
    """The life of a strategy of the gallery, `long`, or `fresh` without a backtest."""
    if name == "long":
        return judged(a_long_record())
    if name == "fresh":
        return judged(a_record(noise(30, seed=61), strategy="fresh"))
    found = records()[name]
    return judged(replace(found, strategy=name))
