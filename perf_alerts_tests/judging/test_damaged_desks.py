"""Random desks, whole and damaged: no missing row makes anything look better, or hides a breach."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.incidents.model import Resolution
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import Judgement, Outcome, notified
from perf_alerts_dagster.judging.judge import Judge
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.judging.summary import outcomes
from perf_alerts_dagster.records.desk import Seen
from perf_alerts_dagster.records.model import (
    Dates,
    RecordFault,
    StrategyRecord,
    TrackRecords,
)
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_tests.builders import MARKET
from perf_alerts_tests.fakes import FakeRecordsSource
from perf_alerts_tests.incidents.incident_desk import IncidentDesk

DAILY = BY_NAME["daily_pnl_check"]
JUDGED = (Outcome.OK, Outcome.BREACH, Outcome.PARTIAL)
BY_ITSELF = (Resolution.RECOVERED, Resolution.RESTATED)
A_DAY = timedelta(days=1)
LOSS = 0.03
FIRST = np.datetime64("2025-01-01")
ROWS = 380
JUDGE = Judge(
    book=limit_book({}, {"default": {"daily_loss": LOSS, "monthly_loss": 0.05}}),
    max_lag_sessions=2,
    budgets=Budgets(),
    settings_version="test",
)
FAULT = (RecordFault(where="daily.csv", rule="is bad"),)


def sessions_of(record: StrategyRecord, last: date) -> Dates:
    days = np.arange(record.dates[0], np.datetime64(last, "D") + 1)
    return days if record.calendar == "24/7" else days[np.is_busday(days)]


@dataclass(frozen=True)
class Desk:
    """Strategies, and those of them whose rows are faulty, or that the source no longer has."""

    strategies: Mapping[str, StrategyRecord]
    faulty: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        """Short, for the examples that Hypothesis prints."""
        rows = {name: (len(one), str(one.dates[-1])) for name, one in self.strategies.items()}
        return f"Desk({rows}, faulty={set(self.faulty)}, gone={set(self.gone)})"

    def records(self) -> TrackRecords:
        lost = self.faulty | self.gone
        return TrackRecords(
            source="test",
            strategies={name: one for name, one in self.strategies.items() if name not in lost},
            faults=dict.fromkeys(self.faulty, FAULT),
            faulty={
                name: (self.strategies[name].group, self.strategies[name].currency)
                for name in self.faulty
            },
        )

    def reading(self, as_of: date) -> Reading:
        made = read(
            FakeRecordsSource(self.records()),
            MARKET,
            as_of=as_of,
            now=datetime.combine(as_of, time(23), tzinfo=UTC),
            timezone=ZoneInfo("UTC"),
        )
        return made.grouped({name: self.seen(name) for name in self.gone})

    def seen(self, name: str) -> Seen:
        record = self.strategies[name]
        assert record.capital is not None
        days = record.dates.astype(object).tolist()
        return Seen(
            rows=len(days),
            first=days[0],
            last=days[-1],
            capital=float(record.capital[-1]),
            group=record.group,
            currency=record.currency,
        )

    def judge(self, as_of: date) -> Judgement:
        at = datetime.combine(as_of, time(23), tzinfo=UTC)
        reading = self.reading(as_of)
        return JUDGE.judge(DAILY, reading, as_of, run_id="run", now=at)


@st.composite
def desks(draw: st.DrawFn) -> Desk:
    """Three to six strategies with a backtest, in groups, in up to two currencies."""
    made = {}
    for place in range(draw(st.integers(3, 6))):
        name = f"s{place}"
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        calendar = draw(st.sampled_from(["weekdays", "weekdays", "24/7"]))
        days = FIRST + np.arange(ROWS)
        days = days if calendar == "24/7" else days[np.is_busday(days)]
        capital = np.round(rng.uniform(1.0, 9.0) * rng.uniform(0.9, 1.1, len(days)), 2) * 1000
        returns = rng.normal(0.0005, 0.01, len(days))
        falls = draw(st.lists(st.integers(1, 25), max_size=3))
        returns[[-fall for fall in falls]] = -draw(st.sampled_from([0.04, 0.08, 0.3]))
        made[name] = StrategyRecord(
            strategy=name,
            dates=days,
            returns=returns,
            live=days >= FIRST + draw(st.integers(100, 340)),
            pnl=returns * capital,
            capital=capital,
            currency=draw(st.sampled_from(["USD", "USD", "EUR"])),
            group=draw(st.sampled_from([None, "g", "h"])),
            calendar=calendar,
        )
    return Desk(made)


@st.composite
def damaged(draw: st.DrawFn, desk: Desk, newest: int = 0) -> Desk:
    """The desk without rows of its newest sessions, and without some strategies at all.

    Nothing is removed before the newest `newest` days.
    """
    strategies, lost = dict(desk.strategies), {"faulty": set[str](), "gone": set[str]()}
    for name, record in desk.strategies.items():
        kind = draw(st.sampled_from(["whole", "rows", "late", "faulty", "gone"]))
        if kind in lost:
            lost[kind].add(name)
        rows = len(record)
        out: list[int] = []
        if kind == "late":
            out = list(range(draw(st.integers(1, newest or 20))))
        elif kind == "rows":
            out = draw(st.lists(st.integers(0, (newest or 20) - 1), max_size=5))
        kept = np.setdiff1d(np.arange(rows), [rows - 1 - place for place in out])
        strategies[name] = picked(record, kept)
    if len(lost["faulty"] | lost["gone"]) == len(strategies):
        return damaged_but_one(desk, lost)
    return Desk(strategies, frozenset(lost["faulty"]), frozenset(lost["gone"]))


def damaged_but_one(desk: Desk, lost: Mapping[str, set[str]]) -> Desk:
    """A desk of which one strategy is left."""
    return Desk(
        desk.strategies, frozenset(lost["faulty"] - {"s0"}), frozenset(lost["gone"] - {"s0"})
    )


def picked(record: StrategyRecord, rows: np.ndarray) -> StrategyRecord:
    assert record.pnl is not None
    assert record.capital is not None
    return replace(
        record,
        dates=record.dates[rows],
        returns=record.returns[rows],
        live=record.live[rows],
        pnl=record.pnl[rows],
        capital=record.capital[rows],
    )


def last_day(desk: Desk) -> date:
    last: date = max(one.dates[-1] for one in desk.strategies.values()).astype(object)
    return last


def is_never_better(data: st.DataObject) -> None:
    desk = data.draw(desks())
    worse = data.draw(damaged(desk))
    day = last_day(desk)
    whole, found = desk.judge(day), worse.judge(day)
    good = {(one.strategy, one.rule) for one in whole.evaluations if one.outcome is Outcome.OK}

    for one in found.evaluations:
        assert one.outcome is not Outcome.OK or (one.strategy, one.rule) in good, one
    hides_no_breach(worse, found, day)
    judges_what_is_readable(worse, found, day)


def hides_no_breach(desk: Desk, found: Judgement, day: date) -> None:
    """A loss of a day that the readable members alone show is notified."""
    losses = {
        one.strategy: one for one in notified(found, gate=True) if one.rule == "policy_daily_loss"
    }
    reading = desk.reading(day)
    for name, group in reading.groups.items():
        pnl, capital = by_day(desk, members_of(desk, name)).get(day, (0.0, 0.0))
        record = group.record
        is_judged = record.judged_from is not None and record.judged_from <= day
        alive = not (record.returns <= -1.0).any()
        if is_judged and alive and capital and pnl / capital < -LOSS - 1e-9:
            assert name in losses, (name, pnl / capital)


def judges_what_is_readable(desk: Desk, found: Judgement, day: date) -> None:
    """Every strategy with its newest row is judged, and each group of which half is readable."""
    outcome = {
        name: {one.outcome for one in found.evaluations if one.strategy == name}
        for name in outcomes(found)
    }
    total = readable = judged = 0.0
    for name, record in desk.strategies.items():
        capital = desk.seen(name).capital
        total += capital
        if name not in desk.faulty | desk.gone and record.dates[-1] == sessions_of(record, day)[-1]:
            readable += capital
            judged += capital * bool(outcome[name] & set(JUDGED))
    assert judged / total >= readable / total - 0.01
    for name, group in desk.reading(day).groups.items():
        begun = group.record.judged_from is not None and group.record.judged_from <= day
        if begun and group.at(day).share >= 0.5:
            assert outcome[name] & set(JUDGED), name


def members_of(desk: Desk, name: str) -> list[StrategyRecord]:
    """The readable members of a group, by its name."""
    parts = name.split(":")
    readable = [
        one for known, one in desk.strategies.items() if known not in desk.faulty | desk.gone
    ]
    if parts[0] == "group":
        readable = [one for one in readable if one.group == parts[1]]
        parts = parts[1:]
    return [one for one in readable if len(parts) == 1 or one.currency == parts[1]]


def by_day(desk: Desk, members: list[StrategyRecord]) -> dict[date, tuple[float, float]]:
    """P&L and capital of live members on each day, in plain loops."""
    last = last_day(desk)
    sums: dict[date, list[float]] = defaultdict(lambda: [0.0, 0.0])
    with_rows: set[date] = set()
    for record in members:
        assert record.pnl is not None
        assert record.capital is not None
        rows = {
            day: (pnl, capital)
            for day, pnl, capital, live in zip(
                record.dates.astype(object), record.pnl, record.capital, record.live, strict=True
            )
            if live and (record.judged_until is None or day <= record.judged_until)
        }
        if not rows:
            continue
        own = set(sessions_of(record, last).astype(object).tolist())
        money, is_late = None, False
        for day in (min(rows) + A_DAY * place for place in range((last - min(rows)).days + 1)):
            if record.judged_until is not None and day > record.judged_until:
                break
            is_late |= day in own and day > max(rows)
            if day in rows:
                pnl, money = rows[day]
                with_rows.add(day)
                sums[day][0] += pnl
                sums[day][1] += money
            elif day not in own and not is_late and money is not None:
                sums[day][1] += money
    return {day: (pnl, capital) for day, (pnl, capital) in sums.items() if day in with_rows}


def resolves_nothing(data: st.DataObject) -> None:
    desk = data.draw(desks())
    worse = data.draw(damaged(desk, newest=2))
    last = last_day(desk)
    days = [day for day in sessions_of(desk.strategies["s0"], last).astype(object)][-6:]
    resolved = []
    for kind in (desk, worse):
        incidents = IncidentDesk(settings=NotificationSettings(gate=False, close_after=1000))
        for place, day in enumerate(days):
            # What is missing is missing on the last two days; then the newest is judged again.
            judgement = (kind if place >= 4 else desk).judge(day)
            incidents.judge(*judgement.evaluations, as_of=day)
            incidents.wait(A_DAY)
        again = kind.judge(days[-1])
        incidents.judge(*again.evaluations, as_of=days[-1], restated=True)
        resolved.append(
            {
                one.dedup_key
                for one in incidents.all()
                if one.resolved and one.resolved.outcome in BY_ITSELF
            }
        )

    assert resolved[1] <= resolved[0]


def adds_up(data: st.DataObject) -> None:
    desk = data.draw(desks())
    ends = {
        name: data.draw(st.sampled_from([None, None, one.dates[-30].astype(object)]))
        for name, one in desk.strategies.items()
    }
    desk = data.draw(
        damaged(
            Desk(
                {
                    name: replace(one, judged_until=ends[name])
                    for name, one in desk.strategies.items()
                }
            )
        )
    )
    lost = desk.faulty | desk.gone
    # A day after all of these have ended is a session of none.
    readable = [one for name, one in desk.strategies.items() if name not in lost]
    reading = desk.reading(max(one.dates[-1] for one in readable).astype(object))
    for name, group in reading.groups.items():
        wanted = by_day(desk, members_of(desk, name))
        live = group.record.live
        days = group.record.dates[live].astype(object).tolist()
        assert days == sorted(wanted)
        assert group.record.pnl is not None
        assert group.record.capital is not None
        pairs = np.array([wanted[day] for day in days]).reshape(-1, 2)
        np.testing.assert_allclose(group.record.pnl[live], pairs[:, 0], rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(group.record.capital[live], pairs[:, 1], rtol=1e-9)


def a_newcomer_changes_nothing_before(data: st.DataObject) -> None:
    desk = data.draw(desks())
    begun = {name: one.dates[one.live][0] for name, one in desk.strategies.items()}
    newest = max(begun, key=lambda name: (begun[name], name))
    before = Desk({name: one for name, one in desk.strategies.items() if name != newest})
    last = last_day(desk)
    later = desk.reading(last).groups
    for name, group in before.reading(last).groups.items():
        if name not in later or begun[newest] == group.record.judged_from:
            continue
        eve = (begun[newest] - 1).astype(object)
        assert (
            group.record.until(eve).content_hash() == later[name].record.until(eve).content_hash()
        )


PROPERTIES = [
    is_never_better,
    resolves_nothing,
    adds_up,
    a_newcomer_changes_nothing_before,
]


def hold(check: Callable[[st.DataObject], None], count: int) -> None:
    settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        # Arrays from a seed do not shrink.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(given(st.data())(check))()


@pytest.mark.parametrize("check", PROPERTIES, ids=lambda check: check.__name__)
def test_a_damaged_desk(check: Callable[[st.DataObject], None]) -> None:
    hold(check, 12)


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("check", PROPERTIES, ids=lambda check: check.__name__)
def test_thousands_of_damaged_desks(check: Callable[[st.DataObject], None]) -> None:
    hold(check, 2000)
