"""Claims of requests: in memory, in SQLite, in PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from perf_alerts_dagster.scheduler.port import (
    COLLAPSE,
    KEEP,
    LEASE,
    Claim,
    ClaimStatus,
    SchedulerStore,
    TriggerRequest,
)
from perf_alerts_dagster.scheduler.sql import SqlSchedulerStore
from perf_alerts_dagster.storage.tables import claims as rows
from perf_alerts_tests.server.fakes import FakeSchedulerStore
from perf_alerts_tests.storage.changes import NOON

MOMENT = timedelta(microseconds=1)


def trigger(**changes: Any) -> TriggerRequest:
    given: dict[str, Any] = {
        "alert": "daily_pnl_check",
        "as_of": None,
        "caller": "operator",
        "key": "k1",
    }
    return TriggerRequest(**(given | changes))


@pytest.fixture(params=["fake", "sqlite", "postgres"])
def claims(request: pytest.FixtureRequest) -> SchedulerStore:
    if request.param == "fake":
        return FakeSchedulerStore()
    return SqlSchedulerStore(request.getfixturevalue(f"{request.param}_engine"))


def test_the_first_one_gets_the_claim_and_the_others_see_it_open(claims: SchedulerStore) -> None:
    first = claims.claim(trigger(), NOON)

    assert (first.status, first.run_id) == (ClaimStatus.NEW, None)
    assert first.marker
    assert claims.claim(trigger(), NOON).status is ClaimStatus.OPEN


def test_a_settled_claim_has_its_run(claims: SchedulerStore) -> None:
    first = claims.claim(trigger(), NOON)
    claims.settle(trigger(), first.marker, "run-1")

    assert claims.claim(trigger(), NOON + KEEP) == Claim(
        status=ClaimStatus.DONE, marker=first.marker, run_id="run-1"
    )


def test_the_same_key_for_another_request_is_a_mistake(claims: SchedulerStore) -> None:
    claims.claim(trigger(), NOON)

    assert claims.claim(trigger(as_of=date(2026, 1, 5)), NOON).status is ClaimStatus.OTHER
    assert claims.claim(trigger(alert="weekly_stability_check"), NOON).status is ClaimStatus.OTHER


def test_the_keys_of_two_callers_do_not_meet(claims: SchedulerStore) -> None:
    claims.claim(trigger(), NOON)

    assert claims.claim(trigger(caller="admin"), NOON).status is ClaimStatus.NEW


def test_a_key_that_looks_like_a_collapsed_request_is_not_one(claims: SchedulerStore) -> None:
    bare = trigger(key=None)
    claims.claim(bare, NOON)

    assert claims.claim(trigger(key=bare.claim_key), NOON).status is ClaimStatus.NEW


def test_an_open_claim_passes_on_with_its_marker_once_its_lease_is_over(
    claims: SchedulerStore,
) -> None:
    first = claims.claim(trigger(), NOON)

    assert claims.claim(trigger(), NOON + LEASE - MOMENT).status is ClaimStatus.OPEN
    resumed = claims.claim(trigger(), NOON + LEASE)
    assert resumed == Claim(status=ClaimStatus.RESUMED, marker=first.marker)
    assert claims.claim(trigger(), NOON + LEASE).status is ClaimStatus.OPEN
    assert claims.claim(trigger(), NOON + 2 * LEASE).status is ClaimStatus.RESUMED


@pytest.mark.parametrize(("key", "keep"), [("k1", KEEP), (None, COLLAPSE)])
def test_a_claim_counts_for_its_time_and_no_longer(
    claims: SchedulerStore, key: str | None, keep: timedelta
) -> None:
    asked = trigger(key=key)
    first = claims.claim(asked, NOON)
    claims.settle(asked, first.marker, "run-1")

    assert claims.claim(asked, NOON + keep).status is ClaimStatus.DONE
    again = claims.claim(asked, NOON + keep + MOMENT)
    assert again.status is ClaimStatus.NEW
    assert again.marker != first.marker


def test_a_released_claim_starts_anew(claims: SchedulerStore) -> None:
    first = claims.claim(trigger(), NOON)
    claims.release(trigger(), first.marker)

    again = claims.claim(trigger(), NOON)

    assert again.status is ClaimStatus.NEW
    assert again.marker != first.marker


def test_who_lost_its_claim_can_neither_settle_nor_release_the_new_one(engine: Engine) -> None:
    claims = SqlSchedulerStore(engine)
    late = claims.claim(trigger(key=None), NOON)
    now = NOON + COLLAPSE + MOMENT
    new = claims.claim(trigger(key=None), now)

    claims.settle(trigger(key=None), late.marker, "run-late")
    claims.release(trigger(key=None), late.marker)

    assert claims.claim(trigger(key=None), now) == Claim(status=ClaimStatus.OPEN, marker=new.marker)


def test_a_claim_that_has_its_run_cannot_be_released(engine: Engine) -> None:
    claims = SqlSchedulerStore(engine)
    first = claims.claim(trigger(), NOON)
    claims.settle(trigger(), first.marker, "run-1")

    claims.release(trigger(), first.marker)

    assert claims.claim(trigger(), NOON).status is ClaimStatus.DONE


def test_of_many_at_once_one_gets_the_claim(engine: Engine) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(
            pool.map(lambda _: SqlSchedulerStore(engine).claim(trigger(), NOON), range(64))
        )

    assert [one.status for one in found].count(ClaimStatus.NEW) == 1
    assert {one.status for one in found} == {ClaimStatus.NEW, ClaimStatus.OPEN}
    assert len({one.marker for one in found}) == 1


def test_many_that_resume_at_once_are_one(engine: Engine) -> None:
    SqlSchedulerStore(engine).claim(trigger(), NOON)
    with ThreadPoolExecutor(16) as pool:
        found = list(
            pool.map(lambda _: SqlSchedulerStore(engine).claim(trigger(), NOON + LEASE), range(32))
        )

    assert [one.status for one in found].count(ClaimStatus.RESUMED) == 1


def test_claims_of_yesterday_leave_the_table(engine: Engine) -> None:
    claims = SqlSchedulerStore(engine)
    for number in range(5):
        claims.claim(trigger(key=f"old-{number}"), NOON)

    claims.claim(trigger(key="new"), NOON + KEEP + MOMENT)

    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(rows)) == 1
