"""Links that log in once, in SQLite and in PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select

from perf_alerts_dagster.identity.keys import Key
from perf_alerts_dagster.identity.login_links import LIFETIME, LoginLinkEnded, SqlLoginLinks
from perf_alerts_dagster.identity.sessions import Kind, Session, SqlSessions
from perf_alerts_dagster.identity.trail import change_in
from perf_alerts_dagster.storage.event_tables import login_links
from perf_alerts_dagster.storage.tables import sessions

NOW = datetime(2026, 1, 5, 18, tzinfo=UTC)
KEY = Key(role="admin", name="ann", hash=bytes(32))
CHANGE = change_in({}, "create_login_link", "login_links/admin:ann", at=NOW, actor="cli:me")
SESSION = Session(
    token_id="0" * 32, user_id=KEY.user_id, key_id=KEY.key_id, kind=Kind.PAGE, address="",
    began_at=NOW, seen_at=NOW, expires_at=NOW + timedelta(hours=12),
)  # fmt: skip


def test_a_link_lasts_ten_minutes_and_is_forgotten_with_the_next(engine: Engine) -> None:
    links = SqlLoginLinks(engine)
    token = links.issue(KEY, CHANGE)
    assert links.holder(token, NOW + LIFETIME - timedelta(seconds=1)) == (KEY.user_id, KEY.key_id)
    assert links.holder(token, NOW + LIFETIME) is None
    assert links.holder(token + "x", NOW) is None

    links.issue(KEY, replace(CHANGE, at=NOW + LIFETIME))
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(login_links)).scalar_one() == 1


def test_of_many_at_once_one_begins_a_session(engine: Engine) -> None:
    token = SqlLoginLinks(engine).issue(KEY, CHANGE)

    def use(number: int) -> bool:
        session = replace(SESSION, token_id=f"{number:032}")
        try:
            SqlSessions(engine).begin(session, replace(CHANGE, action="login"), link=token)
        except LoginLinkEnded:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(use, range(4))) == [False, False, False, True]
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(sessions)).scalar_one() == 1


def test_a_session_that_cannot_be_stored_leaves_the_link(engine: Engine) -> None:
    token = SqlLoginLinks(engine).issue(KEY, CHANGE)
    store = SqlSessions(engine)
    store.begin(SESSION, replace(CHANGE, action="login"))

    with pytest.raises(Exception, match=r"(?i)unique|duplicate|cannot|store"):
        store.begin(SESSION, replace(CHANGE, action="login"), link=token)
    assert SqlLoginLinks(engine).holder(token, NOW) == (KEY.user_id, KEY.key_id)
