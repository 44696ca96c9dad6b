"""Healthy twins: what is rare, what is seen, when they are drawn again."""

from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime, time
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from perf_alerts_dagster.projections import shadow_lives
from perf_alerts_dagster.projections.calibration import TAILS
from perf_alerts_dagster.projections.ports import MemoryProjections
from perf_alerts_dagster.projections.shadow_lives import (
    FAULTS,
    KIND,
    ShadowCalibration,
    calibrate,
    due,
    in_force,
    issue,
)
from perf_alerts_dagster.records.model import Floats, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_dagster.statistics.shadow.pairs import Pairs, pairs_of
from perf_alerts_tests.builders import MARKET, a_record, noise
from perf_alerts_tests.executions.trading_desk import DAILY
from perf_alerts_tests.fakes import FakeRecordsSource
from perf_alerts_tests.projections.test_issue import projections_issuer
from perf_alerts_tests.shadowed import PLANTED, a_pair, a_shadowed

LONG = pytest.mark.long
BACKTEST = noise(300)
LEVEL = 0.035
# Few lives where only the way is tested.
FEW = 200


def pairs_from(live: Floats, model: Floats) -> Pairs:
    record = a_shadowed(live, model, backtest=BACKTEST)
    assert record.shadow is not None
    return pairs_of(record, record.shadow)


def share_seen(kind: str, fault: str | None, count: int, rows: int, seed: int) -> list[float]:
    """The share of lives seen at the level within 21 and 63 sessions of a fault, or a year."""
    generator, least = np.random.default_rng(seed), []
    for each in range(count):
        live, model = a_pair(generator, PLANTED + rows, kind=kind, fault=fault)
        pairs = pairs_from(live, model)
        twins = calibrate(pairs, PLANTED, each, 1_000)
        least.append(twins.p_years(pairs.statistics()[:, PLANTED - 63 + 1 :]))
    path = np.stack(least)
    return [float((path[:, :within].min(axis=1) <= LEVEL).mean()) for within in (21, rows)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "within_21", "within_63"),
    [
        ("lag", 0.95, 0.95),
        pytest.param("sign", 0.95, 0.95, marks=LONG),
        pytest.param("whole", 0.95, 0.95, marks=LONG),
        ("size", 0.6, 0.95),
        pytest.param("missed", 0.0, 0.7, marks=LONG),
        pytest.param("cost", 0.0, 0.6, marks=LONG),
    ],
)
def test_a_planted_fault_is_seen(fault: str, within_21: float, within_63: float) -> None:
    # A tenth is four standard errors of what 100 lives show.
    seen = share_seen("t4", fault, 100, 63, seed=101)

    assert seen[0] >= within_21 - 0.05
    assert seen[1] >= within_63 - 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["t4", *(pytest.param(kind, marks=LONG) for kind in ("ar", "burst"))]
)
def test_healthy_lives_keep_the_level(kind: str) -> None:
    # 100 years at 3.5 %: eight or more in one of a thousand such hundreds at twice the level.
    assert share_seen(kind, None, 100, 252, seed=103)[1] <= 0.09


@pytest.fixture(scope="module")
def twins() -> ShadowCalibration:
    live, model = a_pair(np.random.default_rng(8), 252)
    return calibrate(pairs_from(live, model), 252, 1)


def test_the_joint_share_is_the_share_of_twins_with_so_small_a_share(
    twins: ShadowCalibration,
) -> None:
    # What one statistic reaches in 1 % of twins is reached by some statistic in more.
    at = np.array([twins.worst[0][np.searchsorted(TAILS, 0.01)], 0.0, 0.0, 0.0])
    share = twins.shares(at)
    assert share[1:].tolist() == [1.0, 1.0, 1.0]
    assert share[0] == pytest.approx(0.01, rel=0.1)
    joint = twins.p_years(at)
    assert share[0] < joint < 0.05
    assert twins.p_years(np.zeros(4)) == 1.0
    assert twins.p_years(np.full(4, 1e6)) == pytest.approx(1.0 / 5_000, rel=0.01)
    rising = twins.p_years(np.array([np.linspace(3, 9, 50), *np.zeros((3, 50))]))
    assert (np.diff(rising) <= 0.0).all()


def test_days_are_counted_and_no_twin_is_between_two_counts(twins: ShadowCalibration) -> None:
    shares = [float(twins.shares(np.array([0.0, 0.0, 0.0, days]))[3]) for days in (3, 4, 5, 21)]

    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)
    assert shares[3] <= 0.01


def test_what_is_seen_rises_with_the_level_and_the_sessions(twins: ShadowCalibration) -> None:
    low, high = twins.seen_at(0.005), twins.seen_at(0.04)

    assert set(high) == set(FAULTS)
    for fault in FAULTS:
        assert 0.0 <= high[fault][0] <= high[fault][1] <= 1.0
        assert low[fault][1] <= high[fault][1]
    assert high["lag"] == [1.0, 1.0]
    assert high["size 0.8"][1] > 0.9


def test_the_same_pairs_have_the_same_twins() -> None:
    live, model = a_pair(np.random.default_rng(9), 100)
    first, again = (calibrate(pairs_from(live, model), 84, 7, FEW) for _ in range(2))

    assert np.array_equal(first.worst, again.worst)
    assert np.array_equal(first.least, again.least)
    assert all(np.array_equal(first.seen[each], again.seen[each]) for each in FAULTS)


def test_equal_pairs_are_never_rare() -> None:
    _, model = a_pair(np.random.default_rng(10), 400)
    pairs = pairs_from(model, model)
    twins = calibrate(pairs, 252, 1, FEW)

    assert twins.p_years(pairs.statistics()).min() == 1.0
    assert twins.seen_at(LEVEL)["lag"] == [1.0, 1.0]


def a_reading(*strategies: StrategyRecord) -> Reading:
    newest = strategies[0].dates[-1].astype(object)
    return read(
        FakeRecordsSource(
            TrackRecords(source="test", strategies={one.strategy: one for one in strategies})
        ),
        MARKET,
        as_of=None,
        now=datetime.combine(newest, time(23), tzinfo=UTC),
        timezone=ZoneInfo("UTC"),
    )


@pytest.fixture
def few_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    made = partial(calibrate, lives=FEW)
    monkeypatch.setattr(shadow_lives, "calibrate", made)


def issued(store: MemoryProjections, record: StrategyRecord) -> list[tuple[date, int]]:
    """The days and reference pairs of what is stored after an issue as of the newest row."""
    now = a_reading(record)
    issue(store, now, now.as_of, run_id="run", settings_version="test")
    assert not due(store, now, now.as_of)
    found = store.issued(kind=KIND, first=date.min, last=now.as_of)
    return [(each.issued_on, each.horizon) for each in found]


@pytest.mark.usefixtures("few_lives")
def test_twins_are_drawn_at_63_pairs_and_with_each_21_more_up_to_252() -> None:
    live, model = a_pair(np.random.default_rng(11), 300, kind="normal")
    whole = a_shadowed(live, model, backtest=BACKTEST)
    days = whole.dates[whole.live].astype(object).tolist()
    store = MemoryProjections()

    assert issued(store, whole.until(days[61])) == []
    assert issued(store, whole.until(days[62])) == [(days[62], 63)]
    assert issued(store, whole.until(days[82])) == [(days[62], 63)]
    assert issued(store, whole.until(days[83]))[-1] == (days[83], 84)
    assert issued(store, whole.until(days[299]))[-1] == (days[251], 252)
    assert in_force(store, days[83])["trend"].rows == 84
    assert issued(MemoryProjections(), whole) == [(days[62], 63), (days[251], 252)]


@pytest.mark.usefixtures("few_lives")
def test_what_may_be_a_fault_is_not_learnt_as_normal() -> None:
    live, model = a_pair(np.random.default_rng(12), 300, kind="normal", fault="lag", planted=150)
    record = a_shadowed(live, model, backtest=BACKTEST)

    rows = [rows for _, rows in issued(MemoryProjections(), record)]

    assert rows == [63, 147]


@pytest.mark.usefixtures("few_lives")
def test_a_new_version_has_twins_of_its_own() -> None:
    live, model = a_pair(np.random.default_rng(13), 140, kind="normal")
    versions = np.array(["1"] * 70 + ["2"] * 70)
    record = a_shadowed(live, model, backtest=BACKTEST, versions=versions)
    days = record.dates[record.live].astype(object).tolist()
    store = MemoryProjections()

    assert issued(store, record.until(days[69])) == [(days[62], 63)]
    assert issued(store, record.until(days[131])) == [(days[62], 63)]
    assert issued(store, record)[-1] == (days[132], 63)
    assert in_force(store, days[131])["trend"].first == days[0]
    assert in_force(store, days[139])["trend"].first == days[70]


@pytest.mark.usefixtures("few_lives")
def test_a_model_that_does_not_vary_has_no_twins() -> None:
    live, _ = a_pair(np.random.default_rng(14), 140)
    model = np.full(140, 0.001)

    assert issued(MemoryProjections(), a_shadowed(live, model, backtest=BACKTEST)) == []
    assert issued(MemoryProjections(), a_shadowed(live, model[:0], backtest=BACKTEST)) == []
    assert issued(MemoryProjections(), a_shadowed(live, 0.0 * model, backtest=BACKTEST)) == []


def test_an_execution_draws_twins_once_and_its_outlook_has_them_as_they_were_stored() -> None:
    live, model = a_pair(np.random.default_rng(15), 64)
    now = a_reading(
        a_shadowed(live, model, backtest=BACKTEST), a_record(live, backtest=BACKTEST, strategy="b")
    )
    issuer = projections_issuer()
    turns = []

    def turn() -> AbstractContextManager[None]:
        turns.append(1)
        return nullcontext()

    for _ in range(2):
        issuer.issue_for(DAILY, now, now.as_of, run_id="run", turn=turn)
    found = issuer.outlook(now.as_of, now.periods_per_year).shadows

    assert turns == [1]
    assert list(found) == ["trend"]
    record = now.records.strategies["trend"]
    assert record.shadow is not None
    again = calibrate(
        pairs_of(record, record.shadow), 63, record.dates[-2].astype(object).toordinal()
    )
    assert np.array_equal(found["trend"].worst, again.worst)
    assert np.array_equal(found["trend"].seen["lag"], again.seen["lag"])
    assert (found["trend"].rows, found["trend"].lives) == (63, 5_000)
