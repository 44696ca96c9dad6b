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
from perf_alerts_dagster.projections.calibration import LIVES
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
from perf_alerts_tests.projections.honest import RULES

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

    for values in stored.arrays.values():
        assert np.isfinite(values).all()
        assert len(values) == 101
    found = stored_calibration(stored)
    assert set(found.worst) == RULES
    assert set(found.factors) == {"warning", "critical"}
    assert (found.year, found.lives) == (252, LIVES)
    assert found.decay == decay_reference(np.log1p(a_strategy(rows=420).returns[:BACKTEST]))


def test_the_monthly_alert_issues_a_current_and_the_daily_one_a_launch_projection() -> None:
    for alert, kinds in ((DAILY, {"launch", "calibration"}), (MONTHLY, {"current", "judging"})):
        store = MemoryProjections()
        found = reading(a_strategy(rows=420))
        projections_issuer(store).issue_for(alert, found, found.as_of, run_id="run")
        kept = {
            kind
            for kind in ("launch", "calibration", "current", "judging")
            if store.projections(kind=kind, on_or_before=found.as_of)
        }
        assert kinds <= kept


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
    assert issued == {f"launch:{day(299)}", f"launch:{day(551)}"}


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
