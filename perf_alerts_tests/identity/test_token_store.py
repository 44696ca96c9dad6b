"""Revoked tokens and the uses of keys, in SQLite and in PostgreSQL."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.audit import AuditOutcome
from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.identity.sessions import SqlSessions
from perf_alerts_dagster.identity.usage import SqlKeyUse
from perf_alerts_tests.storage.changes import NOON, change

HOUR = timedelta(hours=1)


@pytest.fixture
def sessions(engine: Engine) -> SqlSessions:
    return SqlSessions(engine)


def test_a_revoked_token_is_known_to_every_process_and_recorded(
    sessions: SqlSessions, engine: Engine
) -> None:
    sessions.end("t1", NOON + HOUR, change(action="logout", target="t1"))

    assert SqlSessions(engine).state("t1")[0]
    assert not sessions.state("t2")[0]
    (row,) = SqlAudit(engine).entries().rows
    assert (row.action, row.target, row.outcome) == ("logout", "t1", AuditOutcome.DONE)


def test_a_revocation_that_cannot_be_recorded_does_not_happen(
    sessions: SqlSessions,
) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        sessions.end("t1", NOON + HOUR, change(at=NOON.replace(tzinfo=None)))

    assert not sessions.state("t1")[0]


def test_revoking_twice_is_fine(sessions: SqlSessions) -> None:
    for _ in range(2):
        sessions.end("t1", NOON + HOUR, change())

    assert sessions.state("t1")[0]


def test_a_token_that_ran_out_by_itself_is_forgotten_and_not_a_moment_before(
    sessions: SqlSessions,
) -> None:
    sessions.end("t1", NOON + HOUR, change())

    assert sessions.prune(NOON + HOUR - timedelta(microseconds=1)) == 0
    assert sessions.state("t1")[0]
    assert sessions.prune(NOON + HOUR) == 1
    assert not sessions.state("t1")[0]


def test_the_last_use_of_a_key_never_moves_back(engine: Engine) -> None:
    uses = SqlKeyUse(engine)
    uses.used({"a": NOON, "b": NOON})

    uses.used({"a": NOON - HOUR, "b": NOON + HOUR, "c": NOON})

    assert uses.last_used() == {"a": NOON, "b": NOON + HOUR, "c": NOON}
