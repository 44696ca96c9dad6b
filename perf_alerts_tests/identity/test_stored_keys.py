"""Stored keys and sessions, in SQLite and in PostgreSQL."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.identity.sessions import Kind, Session, SqlSessions
from perf_alerts_dagster.identity.stored_keys import (
    KeyRefused,
    SqlKeys,
    StoredKey,
    UnknownKey,
    make_key,
)
from perf_alerts_tests.storage.changes import NOON, change

HOUR = timedelta(hours=1)


def a_key(name: str = "ci", role: str = "operator") -> StoredKey:
    return make_key(role, name, by="admin", at=NOON, expires_at=NOON + HOUR)[1]


def a_session(token_id: str, user_id: str = "operator", **changes: object) -> Session:
    session = Session(
        token_id=token_id,
        user_id=user_id,
        key_id="k1",
        kind=Kind.PAGE,
        address="127.0.0.1",
        began_at=NOON,
        seen_at=NOON,
        expires_at=NOON + HOUR,
    )
    return replace(session, **changes)  # type: ignore[arg-type] # a builder


def test_a_stored_key_comes_back_and_changes_once(engine: Engine) -> None:
    keys, key = SqlKeys(engine), a_key()
    keys.create(key, change())

    assert keys.all() == [key]
    assert keys.unrevoked() == {key.hash: key}
    later = keys.expire(key.key_id, NOON + 2 * HOUR, change(at=NOON))
    assert later == replace(key, expires_at=NOON + 2 * HOUR)
    ended = keys.revoke(key.key_id, change(at=NOON + HOUR, actor="boss"))
    assert (ended.revoked_at, ended.revoked_by) == (NOON + HOUR, "boss")
    assert keys.unrevoked() == {}
    with pytest.raises(KeyRefused, match="revoked already"):
        keys.revoke(key.key_id, change())
    with pytest.raises(UnknownKey):
        keys.revoke("0" * 16, change())
    assert len(SqlAudit(engine).entries().rows) == 3


def test_an_expired_key_is_made_anew_and_not_revived(engine: Engine) -> None:
    keys, key = SqlKeys(engine), a_key()
    keys.create(key, change(at=NOON))
    with pytest.raises(KeyRefused, match="has expired"):
        keys.expire(key.key_id, NOON + 3 * HOUR, change(at=NOON + HOUR))
    keys.create(a_key(), change(at=NOON + HOUR))

    assert len(keys.all()) == 2


def test_of_many_who_take_a_name_at_once_one_gets_it(engine: Engine) -> None:
    outcomes = []

    def take() -> None:
        try:
            SqlKeys(engine).create(a_key(), change(at=NOON))
            outcomes.append("made")
        except KeyRefused:
            outcomes.append("refused")

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["made", *["refused"] * 7]


def test_sessions_are_listed_by_user_and_key_and_end_as_revoked_tokens(engine: Engine) -> None:
    stored = SqlSessions(engine)
    for session in (
        a_session("a"),
        a_session("b", key_id="k2"),
        a_session("c", "viewer"),
        a_session("d", expires_at=NOON),
    ):
        stored.begin(session, change())

    assert {one.token_id for one in stored.listed(NOON)} == {"a", "b", "c"}
    assert [one.token_id for one in stored.listed(NOON, user_id="operator", key_id="k1")] == ["a"]
    assert stored.end_all(change(at=NOON), user_id="operator") == 2
    assert [stored.state(one)[0] for one in "abcd"] == [True, True, False, False]
    assert stored.end_all(change(at=NOON)) == 1
    assert stored.listed(NOON) == []


def test_the_sessions_of_a_key_that_has_ended_are_not_listed(engine: Engine) -> None:
    stored, keys = SqlSessions(engine), SqlKeys(engine)
    for name in ("revoked", "expired", "live"):
        key = a_key(name)
        keys.create(key, change(at=NOON))
        stored.begin(a_session(name, key_id=key.key_id, expires_at=NOON + 9 * HOUR), change())
        if name == "revoked":
            keys.revoke(key.key_id, change(at=NOON))
        if name == "live":
            keys.expire(key.key_id, NOON + 8 * HOUR, change(at=NOON))

    assert {one.token_id for one in stored.listed(NOON)} == {"expired", "live"}
    assert [one.token_id for one in stored.listed(NOON + HOUR)] == ["live"]


def test_the_last_request_of_a_session_never_moves_back(engine: Engine) -> None:
    stored = SqlSessions(engine)
    stored.begin(a_session("a"), change())
    stored.used({"a": NOON + HOUR / 2, "gone": NOON})
    stored.used({"a": NOON})
    _, session = stored.state("a")

    assert session == a_session("a", seen_at=NOON + HOUR / 2)
