"""The links of messages: what they hold, how long, and what is stored of them."""

import hashlib
import logging
import re
import stat
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from perf_alerts_dagster.bootstrap.notifications import LINK_SECRET_FILE, build_links
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.files import kept_secret
from perf_alerts_dagster.incidents.store.links import SqlLinks
from perf_alerts_dagster.notifications.links import LIFETIME, Link, Links
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.incidents.incident_desk import START

EVENT, MAIL = "5f2b1c0a9d8e7f6a5b4c3d2e", "mailto:0123abcd"
URL = "https://alerts.example"


def links_of(store: Any, **changes: Any) -> Links:
    given: dict[str, Any] = {
        "public_url": URL,
        "secret": lambda: b"secret",
        "clock": lambda: START,
    }
    return Links(store=store, **(given | changes))


def token_of(link: str | None) -> str:
    assert link is not None
    found = re.fullmatch(rf"{URL}/a/([A-Za-z0-9_-]{{22}})", link)
    assert found is not None
    return found[1]


def test_every_attempt_of_a_message_holds_the_same_link(engine: Engine) -> None:
    first, again = [links_of(SqlLinks(engine)).links_of([EVENT], MAIL).get(EVENT) for _ in range(2)]

    assert token_of(first) == token_of(again)


def test_a_link_is_of_one_event_and_one_channel(engine: Engine) -> None:
    links = links_of(SqlLinks(engine))
    pairs = [(EVENT, MAIL), (EVENT, "webhook"), ("0" * 24, MAIL)]
    tokens = [token_of(links.links_of([pair[0]], pair[1])[pair[0]]) for pair in pairs]

    assert len(set(tokens)) == 3
    for token, (event_id, channel) in zip(tokens, pairs, strict=True):
        until = START + LIFETIME
        assert links.find(token) == Link(event_id=event_id, channel=channel, expires_at=until)
    assert timedelta(days=7) == LIFETIME


def test_only_the_hash_of_a_token_is_stored(sqlite_engine: Engine) -> None:
    token = token_of(links_of(SqlLinks(sqlite_engine)).links_of([EVENT], MAIL).get(EVENT))
    with sqlite_engine.connect() as connection:
        (row,) = connection.execute(text("SELECT * FROM links")).mappings()

    assert row["token_hash"] == hashlib.sha256(token.encode()).hexdigest()
    assert token not in str(dict(row))


def test_another_secret_makes_other_links(engine: Engine) -> None:
    store = SqlLinks(engine)
    first, other = [
        token_of(links_of(store, secret=lambda made=made: made).links_of([EVENT], MAIL).get(EVENT))
        for made in (b"secret", b"other")
    ]

    assert first != other


def test_without_a_public_address_there_is_no_link_and_no_secret(tmp_path: Path) -> None:
    def refuse() -> bytes:
        raise AssertionError("nobody needs it")

    assert links_of(None, public_url=None, secret=refuse).links_of([EVENT], MAIL).get(EVENT) is None


class Broken:
    """A store that cannot be used."""

    def keep(self, events: Mapping[str, str], **values: object) -> None:
        raise StoreUnavailable("the disk is full")

    def find(self, token_hash: str) -> None:
        raise StoreUnavailable("the disk is full")


def test_a_message_whose_link_cannot_be_stored_goes_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert links_of(Broken()).links_of([EVENT], MAIL).get(EVENT) is None

    assert "a message to mailto:0123abcd has no link: the disk is full" in caplog.text


def test_a_message_goes_without_a_link_where_its_secret_cannot_be_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    links = links_of(Broken(), secret=lambda: kept_secret(tmp_path / "file" / "link_secret", "x"))
    with caplog.at_level(logging.WARNING):
        assert links.links_of([EVENT], MAIL).get(EVENT) is None

    assert "cannot be written" in caplog.text


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{0,21}|[A-Za-z0-9_-]{23,40}", fullmatch=True))
def test_what_has_not_the_form_of_a_token_is_not_even_looked_up(token: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]{22}", token, re.ASCII):
        assert links_of(Broken()).find(token) is None


@given(st.from_regex(r"[A-Za-z0-9_-]{22}", fullmatch=True))
def test_what_has_the_form_of_a_token_is_looked_up_by_its_hash(token: str) -> None:
    asked: list[str] = []

    class Empty(Broken):
        def find(self, token_hash: str) -> None:
            asked.append(token_hash)

    assert links_of(Empty()).find(token) is None
    assert asked == [hashlib.sha256(token.encode()).hexdigest()]


def test_the_secret_is_made_at_the_first_link_and_kept_for_its_owner(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    settings = load_settings(
        {"ALERT_STATE_DIR": str(tmp_path / "kept"), "ALERT_PUBLIC_URL": URL}, dotenv=None
    )
    file = tmp_path / "kept" / LINK_SECRET_FILE
    links = build_links(settings, sqlite_engine)
    assert not file.exists()
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: links.links_of([EVENT], MAIL).get(EVENT), range(16)))

    assert len(made) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token_of(made.pop()) not in file.read_text()
    assert build_links(settings, sqlite_engine).links_of([EVENT], MAIL).get(EVENT) is not None


def test_a_damaged_secret_is_no_link(
    sqlite_engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings(
        {"ALERT_STATE_DIR": str(tmp_path), "ALERT_PUBLIC_URL": URL}, dotenv=None
    )
    (tmp_path / LINK_SECRET_FILE).write_text("short")
    with caplog.at_level(logging.WARNING):
        assert build_links(settings, sqlite_engine).links_of([EVENT], MAIL).get(EVENT) is None

    assert "is damaged; delete it" in caplog.text
