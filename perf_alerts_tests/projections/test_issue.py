"""What is issued when, kept how, and in force for which day."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS
from perf_alerts_dagster.projections import issue
from perf_alerts_dagster.projections.issue import ProjectionIssuer
from perf_alerts_dagster.projections.ports import (
    MemoryProjections,
    ProjectionStore,
    StoredProjection,
)
from perf_alerts_dagster.projections.stored import stored_calibration
from perf_alerts_dagster.records.model import Floats, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_dagster.statistics.decay import decay_reference
from perf_alerts_tests.builders import MARKET
from perf_alerts_tests.executions.trading_desk import (
    BACKTEST,
    DAILY,
    MONTHLY,
    Desk,
    a_strategy,
    after_close,
    dates,
    day,
)
from perf_alerts_tests.fakes import FakeRecordsSource

PATHS = 200
LAST_BACKTEST = day(BACKTEST - 1)


def projections_issuer(store: ProjectionStore | None = None, **changes: Any) -> ProjectionIssuer:
    made = ProjectionIssuer(
        store=store or MemoryProjections(),
        paths=PATHS,
        haircut=0.0,
        settings_version="test",
        limits=lambda strategy: DOCUMENTED_LIMITS,
        weights=Budgets().weights_of,
        lives=200,
    )
    return replace(made, **changes)


def records(*strategies: StrategyRecord) -> TrackRecords:
    return TrackRecords(source="test", strategies={one.strategy: one for one in strategies})


def reading(*strategies: StrategyRecord) -> Reading:
    longest = max(len(one) for one in strategies)
    return read(
        FakeRecordsSource(records(*strategies)),
        MARKET,
        as_of=None,
        now=after_close(longest - 1),
        timezone=ZoneInfo("UTC"),
    )


def issued(
    *strategies: StrategyRecord, kind: str = "launch", at: int | None = None, **changes: Any
) -> Mapping[str, StoredProjection]:
    """What is issued for these strategies on their newest row, or on that of row `at`."""
    now = reading(*strategies)
    as_of = now.as_of if at is None else day(at)
    issuing = projections_issuer(**changes)
    issuing.issue_launch(now, as_of, run_id="run")
    issuing.issue_current(now, as_of, run_id="run")
    found = issuing.store.projections(kind=kind, on_or_before=as_of)
    return {name: one for name, one in found.items() if name != "ALL"}


def same(one: StoredProjection, other: StoredProjection) -> bool:
    return one.facts == other.facts and all(
        np.array_equal(values, other.arrays[name]) for name, values in one.arrays.items()
    )


def changed(record: StrategyRecord, returns: Floats) -> StrategyRecord:
    return replace(record, returns=returns)


def test_a_launch_projection_is_dated_at_the_last_backtest_row_and_never_sees_a_live_one() -> None:
    plain = a_strategy(rows=420)
    other = plain.returns.copy()
    other[BACKTEST:] = 0.09
    (found,) = issued(plain).values()
    (again,) = issued(changed(plain, other)).values()

    assert (found.issued_on, found.horizon, found.seed) == (LAST_BACKTEST, 252, again.seed)
    assert same(found, again)


def test_a_restated_backtest_row_gives_another_projection_with_another_data_hash() -> None:
    plain = a_strategy(rows=420)
    other = plain.returns.copy()
    other[BACKTEST - 5] = -0.09
    (found,), (again,) = issued(plain).values(), issued(changed(plain, other)).values()

    assert found.data_hash != again.data_hash
    assert not same(found, again)


def test_it_is_issued_again_at_its_end_from_the_same_reference() -> None:
    store = MemoryProjections()
    for rows in (551, 552, 553):
        projections_issuer(store).issue_launch(
            reading(a_strategy(rows=rows)), day(rows - 1), run_id="run"
        )
    first = store.projections(kind="launch", on_or_before=day(550))["trend"]
    second = store.projections(kind="launch", on_or_before=day(551))["trend"]

    assert (first.issued_on, second.issued_on) == (LAST_BACKTEST, day(551))
    for name in ("mean", "sigma", "log_mean", "log_sigma", "rows"):
        assert first.facts[name] == second.facts[name]
    # That day's volatility, and draws of its own.
    assert not np.array_equal(first.arrays["bands"], second.arrays["bands"])


def test_without_a_backtest_it_waits_for_756_live_rows() -> None:
    plain = a_strategy(rows=760)
    live = replace(plain, live=np.ones(760, dtype=bool))

    assert not issued(live, at=754)
    (found,) = issued(live).values()
    assert (found.issued_on, found.facts["rows"]) == (day(755), 756)


@pytest.mark.parametrize("rows", [251, 252])
def test_a_backtest_of_252_rows_is_enough(rows: int) -> None:
    plain = a_strategy(rows=420)
    live = replace(plain, live=np.arange(420) >= rows)

    assert len(issued(live)) == (rows == 252)


@pytest.mark.parametrize("kind", ["launch", "current", "calibration"])
def test_no_strategys_projection_depends_on_another_nor_on_the_order(kind: str) -> None:
    two = [a_strategy("alpha", 420, seed=1), a_strategy("beta", 420, seed=2)]
    third = replace(a_strategy("gamma", 500, seed=3).rows(60, 420), strategy="gamma")
    alone = issued(two[0], kind=kind)["alpha"]
    together = issued(*two, third, kind=kind)
    backwards = issued(third, *two[::-1], kind=kind)

    assert {"alpha", "beta"} <= set(together) == set(backwards)
    for found in (together, backwards):
        assert same(alone, found["alpha"])


def test_a_haircut_lowers_the_launch_projection_and_not_the_current_one() -> None:
    plain = a_strategy(rows=420, seed=4)
    for kind, is_lower in (("launch", True), ("current", False)):
        (full,), (cut,) = (issued(plain, kind=kind, haircut=share).values() for share in (0.0, 0.5))
        assert (cut.facts["expected"] < full.facts["expected"]) is is_lower  # type: ignore[operator]


@pytest.mark.parametrize(
    "make",
    [
        lambda plain: np.zeros(420),
        lambda plain: np.full(420, 0.001),
        lambda plain: np.where(np.arange(420) == 100, -1.0, plain),
    ],
    ids=["all cash", "constant", "wiped out"],
)
def test_what_cannot_be_projected_is_left_out_and_the_others_are_not(make: object) -> None:
    plain = a_strategy("alpha", 420)
    odd = changed(a_strategy("odd", 420), make(plain.returns))  # type: ignore[operator]
    found = issued(plain, odd)

    assert set(found) == {"alpha"}
    assert same(found["alpha"], issued(plain)["alpha"])


def test_a_strategy_of_one_row_has_no_projection() -> None:
    assert set(issued(a_strategy("alpha", 420), a_strategy("young", 1))) == {"alpha"}


def test_a_month_is_projected_once_and_every_third_one_judges_for_its_63_rows() -> None:
    store = MemoryProjections()
    for rows in range(321, 321 + 8 * 21, 21):
        for _ in range(2):
            projections_issuer(store).issue_current(
                reading(a_strategy(rows=rows)), day(rows - 1), run_id="run"
            )
    last = day(900)
    months = {day(rows - 1) for rows in range(321, 321 + 8 * 21, 21)}
    judging = [
        store.projections(kind="judging", on_or_before=one)["trend"].issued_on
        for one in sorted(months)
    ]

    assert store.projections(kind="current", on_or_before=last)["trend"].issued_on == max(months)
    assert sorted(set(judging)) == [day(320), day(383), day(446)]


def test_the_outlook_of_a_day_holds_what_was_in_force_on_it() -> None:
    store = MemoryProjections()
    whole = a_strategy(rows=600)
    for rows in (400, 421, 600):
        issuing = projections_issuer(store)
        cut = reading(whole.rows(0, rows))
        issuing.issue_current(cut, day(rows - 1), run_id="run")
        issuing.issue_launch(cut, day(rows - 1), run_id="run")
    outlooks = {
        place: projections_issuer(store).outlook(day(place), {"trend": 252.0})
        for place in (298, 430, 599)
    }
    launches = {
        place: force.launch.issued_on
        for place, one in outlooks.items()
        if (force := one.in_force.get("trend")) and force.launch
    }

    assert launches == {430: LAST_BACKTEST, 599: day(551)}
    assert outlooks[430].projected == {"trend"}
    assert set(outlooks[430].calibrations) == {"trend"}
    before, now = (outlooks[430].expectations or {})["trend"]
    assert now is not None
    assert date.fromisoformat(now.issued_on) == day(420)
    # The month before: none where both were issued in one month.
    assert before is None or date.fromisoformat(before.issued_on) < day(420).replace(day=1)


def test_what_was_stored_judges_as_what_was_made() -> None:
    (stored,) = issued(a_strategy(rows=420), kind="calibration").values()

    found = stored_calibration(stored)
    assert all(np.isfinite(values).all() for values in stored.arrays.values())
    assert {len(values) for values in found.worst.values()} == {len(found.tails)}
    assert {"drawdown_1", "mean_shortfall_252_2"} <= set(found.worst)
    assert set(found.factors) == {"warning", "critical"}
    assert (found.year, found.lives) == (252, 200)
    assert found.decay == decay_reference(np.log1p(a_strategy(rows=420).returns[:BACKTEST]))


def test_the_monthly_alert_issues_a_current_and_the_daily_one_a_launch_projection() -> None:
    daily = {"launch", "judging", "calibration"}
    for alert, kinds in ((DAILY, daily), (MONTHLY, {*daily, "current"})):
        store = MemoryProjections()
        found = reading(a_strategy(rows=420))
        projections_issuer(store).issue_for(alert, found, found.as_of, run_id="run")
        kept = {
            kind
            for kind in ("launch", "calibration", "current", "judging")
            if store.projections(kind=kind, on_or_before=found.as_of)
        }
        assert kept == kinds


def whole(rows: int) -> TrackRecords:
    return records(a_strategy(rows=600).rows(0, rows))


def test_sessions_that_are_caught_up_are_judged_by_the_projection_of_their_own_day() -> None:
    # The launch projection of row 299 ends with row 551, and the next one is issued there.
    one_by_one, at_once = Desk(), Desk()
    for desk in (one_by_one, at_once):
        desk.run(whole(546), after_close(545))
    for place in range(546, 556):
        one_by_one.run(whole(place + 1), after_close(place))
    caught_up = at_once.run(whole(556), after_close(555))

    assert dates(caught_up) == [day(place) for place in range(546, 556)]
    for judgement in caught_up.judgements:
        (alone,) = [
            one for one in one_by_one.store.judgements(limit=50) if one.as_of == judgement.as_of
        ]
        assert alone.evaluations == judgement.evaluations, judgement.as_of
    issued = {
        one.projection
        for judgement in caught_up.judgements
        for one in judgement.evaluations
        if one.rule == "interval_breach" and one.projection
    }
    assert issued == {f"launch:{day(299)}", f"launch:{day(551)}", f"judging:{day(488)}"}


@pytest.mark.parametrize("alert", [DAILY, MONTHLY], ids=lambda alert: alert.name)
@pytest.mark.parametrize("days_ago", [1, 5])
def test_one_strategy_that_was_wiped_out_leaves_the_others_judged(
    alert: Alert, days_ago: int
) -> None:
    names = ("alpha", "beta", "gamma")
    three = [a_strategy(name, 420, seed=place) for place, name in enumerate(names)]
    gone = three[2].returns.copy()
    gone[-days_ago] = -1.0
    healthy = Desk().run(records(*three), after_close(419), alert=alert)
    found = Desk().run(records(*three[:2], changed(three[2], gone)), after_close(419), alert=alert)

    for name in names[:2]:
        one, other = (
            [each for each in run.judgements[0].evaluations if each.strategy == name]
            for run in (healthy, found)
        )
        assert [(each.rule, each.value) for each in one] == [
            (each.rule, each.value) for each in other
        ]
    if alert is DAILY:
        (wiped,) = [
            each
            for each in found.judgements[0].evaluations
            if (each.strategy, each.rule) == ("gamma", "wipe_out")
        ]
        assert wiped.outcome is Outcome.BREACH


def kept(store: ProjectionStore, kind: str, strategy: str = "trend") -> list[date]:
    """The days on which projections of a kind were issued."""
    found = store.issued(kind=kind, first=date.min, last=date.max, strategies=[strategy])
    return [one.issued_on for one in found]


def first_start(rows: int, store: ProjectionStore | None = None, **changes: Any) -> ProjectionStore:
    """The store after the first execution over a strategy of so many rows."""
    store = store or MemoryProjections()
    now = reading(a_strategy(rows=rows))
    projections_issuer(store, **changes).issue_for(DAILY, now, now.as_of, run_id="run")
    return store


def test_a_first_start_issues_the_whole_life() -> None:
    store = first_start(300 + 252 + 70)

    assert kept(store, "launch") == [LAST_BACKTEST, day(551)]
    assert kept(store, "judging") == [day(299 + 63 * window) for window in range(6)]
    # Of the projection in force alone: nothing is judged by the others.
    assert kept(store, "calibration") == [day(551)]
    assert kept(store, "current") == []


def test_what_a_first_start_issues_is_what_was_issued_then() -> None:
    at_once, then = first_start(622), MemoryProjections()
    for place in (320, 551):
        first_start(place + 1, then)

    for kind in ("launch", "judging"):
        for issued_on in kept(then, kind):
            one, other = (
                store.projections(kind=kind, on_or_before=issued_on)["trend"]
                for store in (at_once, then)
            )
            assert same(one, other), (kind, issued_on)


def test_of_a_long_life_the_last_five_launches_are_issued() -> None:
    store = first_start(300 + 7 * 252 + 10)

    launches = [day(299 + 252 * year) for year in range(3, 8)]
    assert kept(store, "launch") == launches
    assert kept(store, "judging")[0] == launches[0]
    assert len(kept(store, "judging")) == 4 * 4 + 1


def test_without_a_backtest_the_life_begins_when_there_is_a_reference() -> None:
    plain = a_strategy(rows=300 + 5 * 252)
    live = replace(plain, live=np.ones(len(plain), dtype=bool))
    store, now = MemoryProjections(), reading(live)
    projections_issuer(store).issue_for(DAILY, now, now.as_of, run_id="run")

    # The first 756 rows are the reference, and no look ahead makes an earlier one.
    assert kept(store, "launch") == [day(755), day(1007), day(1259), day(1511)]


def test_a_life_that_has_a_launch_in_force_is_not_issued_anew() -> None:
    plain = a_strategy(rows=700)
    store = MemoryProjections()
    first = reading(plain.rows(0, 560))
    alone = projections_issuer(store, whole_life=False)
    alone.issue_launch(first, day(551), run_id="run")
    stored = kept(store, "launch"), kept(store, "judging")
    now = reading(plain)
    projections_issuer(store).issue_for(DAILY, now, now.as_of, run_id="run")

    assert stored == ([day(551)], [])
    assert (kept(store, "launch"), kept(store, "judging")) == stored


def test_without_a_store_only_what_judges_now_is_issued() -> None:
    alone, whole = first_start(622, whole_life=False), first_start(622)

    assert (kept(alone, "launch"), kept(alone, "judging")) == ([day(551)], [day(614)])
    for kind in ("launch", "judging", "calibration"):
        one, other = (
            store.projections(kind=kind, on_or_before=day(621))["trend"] for store in (alone, whole)
        )
        assert same(one, other)


def test_the_monthly_projection_judges_once_the_windows_of_a_first_start_have_ended() -> None:
    store = first_start(321)
    for rows in (340, 362, 363, 390):
        now = reading(a_strategy(rows=rows))
        projections_issuer(store).issue_for(MONTHLY, now, now.as_of, run_id="run")

    assert kept(store, "current") == [day(rows - 1) for rows in (340, 362, 363, 390)]
    assert kept(store, "judging") == [LAST_BACKTEST, day(362)]


class Killed(Exception):
    """The process ends."""


class Dying(MemoryProjections):
    """A store whose process is killed before it saves for the `last` time."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.left = last
        self.saved: list[tuple[str, str, date]] = []

    def save_projections(self, projections: Any) -> None:
        if not self.left:
            raise Killed
        self.left -= 1
        self.saved += [(one.strategy, one.kind, one.issued_on) for one in projections]
        super().save_projections(projections)


@pytest.mark.parametrize("saves", range(6))
def test_a_killed_first_start_goes_on_where_it_stopped(
    saves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issue, "TOGETHER", 1)
    now = reading(a_strategy("alpha", 700), a_strategy("beta", 700, seed=2))
    healthy, dying = Dying(99), Dying(saves)
    lines: list[str] = []
    projections_issuer(healthy).issue_for(DAILY, now, now.as_of, run_id="run")
    with pytest.raises(Killed):
        projections_issuer(dying).issue_for(DAILY, now, now.as_of, run_id="run")
    dying.left = 99
    projections_issuer(dying).issue_for(DAILY, now, now.as_of, run_id="next", progress=lines.append)

    # What was stored is not made again, and the rest has the same bits.
    assert len(dying.saved) == len(set(dying.saved))
    assert sorted(dying.saved) == sorted(healthy.saved)
    for kind in ("launch", "judging", "calibration"):
        for name in ("alpha", "beta"):
            ones, others = (
                store.issued(kind=kind, first=date.min, last=date.max, strategies=[name])
                for store in (dying, healthy)
            )
            assert all(same(one, other) for one, other in zip(ones, others, strict=True))


def test_progress_says_how_far_the_first_start_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issue, "TOGETHER", 1)
    lines: list[str] = []
    now = reading(a_strategy("alpha", 700), a_strategy("beta", 700, seed=2))
    projections_issuer().issue_for(DAILY, now, now.as_of, run_id="run", progress=lines.append)

    # With `ALL` there are three.
    assert lines == [
        *(f"projections: {done} of 3 strategies, issue {number} of 2"
          for number in (1, 2) for done in (1, 2, 3)),
        *(f"calibrations: {done} of 3 strategies" for done in (1, 2, 3)),
    ]  # fmt: skip


def test_other_budgets_calibrate_the_projection_in_force_anew_from_the_rows_before_it() -> None:
    store, plain = MemoryProjections(), a_strategy(rows=420)
    now = reading(plain)
    projections_issuer(store).issue_for(DAILY, now, now.as_of, run_id="run")
    before = {kind: kept(store, kind) for kind in ("launch", "judging", "calibration")}
    other = replace(plain, returns=np.where(plain.live, 0.09, plain.returns))
    for seen in (plain, other):
        again = projections_issuer(store, calibrations=f"calibration-{seen is plain}")
        again.issue_for(DAILY, reading(seen), now.as_of, run_id="next")

    assert {kind: kept(store, kind) for kind in before} == before
    made = [
        store.projections(kind=kind, on_or_before=now.as_of)["trend"]
        for kind in ("calibration", "calibration-True", "calibration-False")
    ]
    assert {one.issued_on for one in made} == {LAST_BACKTEST}
    assert same(made[0], made[1])
    assert same(made[0], made[2])


def test_the_outlook_takes_the_calibrations_of_its_own_kind() -> None:
    store = first_start(420)
    issuer = projections_issuer(store, calibrations="calibration-other")

    assert "trend" not in issuer.outlook(day(419), {}).calibrations
    now = reading(a_strategy(rows=420))
    issuer.issue_for(DAILY, now, now.as_of, run_id="next")
    assert "trend" in issuer.outlook(day(419), {}).calibrations


@pytest.mark.parametrize("lost", ["band", "rows"])
def test_a_projection_without_a_band_or_without_its_rows_has_no_calibration(lost: str) -> None:
    store, plain = MemoryProjections(), a_strategy(rows=420)
    first = first_start(420)
    launch = first.projections(kind="launch", on_or_before=day(419))["trend"]
    if lost == "band":
        arrays = {name: one for name, one in launch.arrays.items() if name != "sup_below"}
        launch = replace(launch, arrays=arrays)
    else:
        plain = plain.rows(200, 420)
    store.save_projections([launch])
    now = reading(plain) if lost == "band" else replace(reading(plain), as_of=day(419))
    projections_issuer(store).issue_for(DAILY, now, day(419), run_id="run")

    assert kept(store, "launch") == [LAST_BACKTEST]
    assert kept(store, "calibration") == []
