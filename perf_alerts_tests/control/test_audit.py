"""The record of all changes, in SQLite and in PostgreSQL."""

from dataclasses import asdict
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.audit import (
    LONGEST_CHANGE,
    AuditFilter,
    AuditOutcome,
    AuditPage,
    AuditRow,
)
from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_tests.storage.changes import NOON, change


@pytest.fixture
def audit(engine: Engine) -> SqlAudit:
    return SqlAudit(engine)


def only(audit: SqlAudit) -> AuditRow:
    (row,) = audit.entries().rows
    return row


def test_an_intent_is_kept_with_all_that_was_said(audit: SqlAudit) -> None:
    asked = change(before={"é": [1, None]}, target='"; DROP TABLE audit; --')

    row_id = audit.intent(asked)

    found = only(audit)
    assert {**asdict(asked), "id": row_id, "outcome": AuditOutcome.OPEN} == asdict(found)


@pytest.mark.parametrize("outcome", [AuditOutcome.DONE, AuditOutcome.FAILED])
def test_an_outcome_closes_its_intent_and_says_how_it_ended(
    audit: SqlAudit, outcome: AuditOutcome
) -> None:
    row_id = audit.intent(change())

    audit.outcome(row_id, outcome, {"run_id": "x"})

    assert (only(audit).outcome, only(audit).after) == (outcome, {"run_id": "x"})


def test_an_outcome_that_says_nothing_more_leaves_what_the_intent_said(audit: SqlAudit) -> None:
    row_id = audit.intent(change())

    audit.outcome(row_id, AuditOutcome.DONE)

    assert only(audit).after == {"as_of": "2026-01-05"}


def test_history_does_not_change_a_second_outcome_is_not_taken(audit: SqlAudit) -> None:
    row_id = audit.intent(change())
    audit.outcome(row_id, AuditOutcome.DONE)

    audit.outcome(row_id, AuditOutcome.FAILED, {"late": True})

    assert (only(audit).outcome, only(audit).after) == (
        AuditOutcome.DONE,
        {"as_of": "2026-01-05"},
    )


def test_what_a_crash_left_open_is_unknown_and_what_may_be_at_work_is_left_alone(
    audit: SqlAudit,
) -> None:
    left = audit.intent(change())
    done = audit.intent(change())
    audit.outcome(done, AuditOutcome.DONE)
    young = audit.intent(change(at=NOON + timedelta(microseconds=1)))

    assert audit.sweep_open(NOON + LONGEST_CHANGE + timedelta(microseconds=1)) == 1
    found = {row.id: row.outcome for row in audit.entries().rows}
    assert found == {
        left: AuditOutcome.UNKNOWN,
        done: AuditOutcome.DONE,
        young: AuditOutcome.OPEN,
    }


def test_a_change_that_was_only_slow_may_still_record_its_outcome_after_the_sweep(
    audit: SqlAudit,
) -> None:
    row_id = audit.intent(change())
    audit.sweep_open(NOON + timedelta(hours=1))

    audit.outcome(row_id, AuditOutcome.DONE)

    assert only(audit).outcome is AuditOutcome.DONE


def test_pages_join_without_a_gap_or_a_repetition_while_rows_are_added(audit: SqlAudit) -> None:
    ids = [audit.intent(change(request_id=str(number))) for number in range(7)]
    seen: list[int] = []
    before = None
    while True:
        page = audit.entries(before=before, limit=3)
        seen += [row.id for row in page.rows]
        audit.intent(change(request_id="new"))
        if page.last is None:
            break
        before = page.last

    assert seen == list(reversed(ids))


def test_a_page_that_is_exactly_full_is_the_last_one(audit: SqlAudit) -> None:
    for _ in range(3):
        audit.intent(change())

    assert audit.entries(limit=3).last is None
    assert audit.entries(limit=2).last is not None


def test_rows_since_a_time_include_that_time(audit: SqlAudit) -> None:
    audit.intent(change(at=NOON - timedelta(microseconds=1)))
    wanted = audit.intent(change())

    assert [row.id for row in audit.entries(AuditFilter(since=NOON)).rows] == [wanted]


def test_an_empty_audit_is_an_empty_last_page(audit: SqlAudit) -> None:
    assert audit.entries() == AuditPage(rows=())


def test_a_time_without_a_zone_is_refused_and_nothing_is_kept(audit: SqlAudit) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        audit.intent(change(at=NOON.replace(tzinfo=None)))

    assert audit.entries().rows == ()


def test_a_store_that_cannot_be_reached_refuses_the_intent(sqlite_url: str) -> None:
    with pytest.raises(StoreUnavailable):
        SqlAudit(open_engine(sqlite_url)).intent(change())
