"""Claims of requests: in memory, in SQLite, in PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from perf_alerts_dagster.scheduler.idempotency import (
    COLLAPSE,
    KEEP,
    LEASE,
    Claimed,
    Claims,
    Place,
    Wanted,
)
from perf_alerts_dagster.scheduler.sql import SqlClaims
from perf_alerts_dagster.storage.tables import claims as rows
from perf_alerts_tests.server.fakes import FakeClaims
from perf_alerts_tests.storage.changes import NOON

MOMENT = timedelta(microseconds=1)


def wanted(**changes: Any) -> Wanted:
    given: dict[str, Any] = {
        "alert": "daily_pnl_check",
        "as_of": None,
        "caller": "operator",
        "key": "k1",
    }
    return Wanted(**(given | changes))


@pytest.fixture(params=["fake", "sqlite", "postgres"])
def claims(request: pytest.FixtureRequest) -> Claims:
    if request.param == "fake":
        return FakeClaims()
    return SqlClaims(request.getfixturevalue(f"{request.param}_engine"))


def test_the_first_one_gets_the_claim_and_the_others_see_it_open(claims: Claims) -> None:
    first = claims.claim(wanted(), NOON)

    assert (first.place, first.run_id) == (Place.NEW, None)
    assert first.marker
    assert claims.claim(wanted(), NOON).place is Place.OPEN


def test_a_settled_claim_tells_its_run(claims: Claims) -> None:
    first = claims.claim(wanted(), NOON)
    claims.settle(wanted(), first.marker, "run-1", NOON)

    assert claims.claim(wanted(), NOON + KEEP) == Claimed(
        place=Place.DONE, marker=first.marker, run_id="run-1"
    )


def test_the_same_key_for_another_request_is_a_mistake(claims: Claims) -> None:
    claims.claim(wanted(), NOON)

    assert claims.claim(wanted(as_of=date(2026, 1, 5)), NOON).place is Place.OTHER
    assert claims.claim(wanted(alert="weekly_stability_check"), NOON).place is Place.OTHER


def test_the_keys_of_two_callers_do_not_meet(claims: Claims) -> None:
    claims.claim(wanted(), NOON)

    assert claims.claim(wanted(caller="admin"), NOON).place is Place.NEW


def test_a_key_that_looks_like_a_collapsed_request_is_not_one(claims: Claims) -> None:
    bare = wanted(key=None)
    claims.claim(bare, NOON)

    assert claims.claim(wanted(key=bare.claim_key), NOON).place is Place.NEW


def test_an_open_claim_passes_on_with_its_marker_once_its_lease_is_over(claims: Claims) -> None:
    first = claims.claim(wanted(), NOON)

    assert claims.claim(wanted(), NOON + LEASE - MOMENT).place is Place.OPEN
    resumed = claims.claim(wanted(), NOON + LEASE)
    assert resumed == Claimed(place=Place.RESUMED, marker=first.marker)
    assert claims.claim(wanted(), NOON + LEASE).place is Place.OPEN
    assert claims.claim(wanted(), NOON + 2 * LEASE).place is Place.RESUMED


@pytest.mark.parametrize(("key", "keep"), [("k1", KEEP), (None, COLLAPSE)])
def test_a_claim_counts_for_its_time_and_no_longer(
    claims: Claims, key: str | None, keep: timedelta
) -> None:
    asked = wanted(key=key)
    first = claims.claim(asked, NOON)
    claims.settle(asked, first.marker, "run-1", NOON)

    assert claims.claim(asked, NOON + keep).place is Place.DONE
    again = claims.claim(asked, NOON + keep + MOMENT)
    assert again.place is Place.NEW
    assert again.marker != first.marker


def test_a_released_claim_starts_anew(claims: Claims) -> None:
    first = claims.claim(wanted(), NOON)
    claims.release(wanted(), first.marker)

    again = claims.claim(wanted(), NOON)

    assert again.place is Place.NEW
    assert again.marker != first.marker


def test_who_lost_its_claim_can_neither_settle_nor_release_the_new_one(engine: Engine) -> None:
    claims = SqlClaims(engine)
    late = claims.claim(wanted(key=None), NOON)
    now = NOON + COLLAPSE + MOMENT
    new = claims.claim(wanted(key=None), now)

    claims.settle(wanted(key=None), late.marker, "run-late", now)
    claims.release(wanted(key=None), late.marker)

    assert claims.claim(wanted(key=None), now) == Claimed(place=Place.OPEN, marker=new.marker)


def test_a_claim_that_has_its_run_cannot_be_released(engine: Engine) -> None:
    claims = SqlClaims(engine)
    first = claims.claim(wanted(), NOON)
    claims.settle(wanted(), first.marker, "run-1", NOON)

    claims.release(wanted(), first.marker)

    assert claims.claim(wanted(), NOON).place is Place.DONE


def test_of_many_at_once_one_gets_the_claim(engine: Engine) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: SqlClaims(engine).claim(wanted(), NOON), range(64)))

    assert [one.place for one in found].count(Place.NEW) == 1
    assert {one.place for one in found} == {Place.NEW, Place.OPEN}
    assert len({one.marker for one in found}) == 1


def test_many_that_resume_at_once_are_one(engine: Engine) -> None:
    SqlClaims(engine).claim(wanted(), NOON)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: SqlClaims(engine).claim(wanted(), NOON + LEASE), range(32)))

    assert [one.place for one in found].count(Place.RESUMED) == 1


def test_claims_of_yesterday_leave_the_table(engine: Engine) -> None:
    claims = SqlClaims(engine)
    for number in range(5):
        claims.claim(wanted(key=f"old-{number}"), NOON)

    claims.claim(wanted(key="new"), NOON + KEEP + MOMENT)

    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(rows)) == 1
