"""The page of a message's link: what it shows, what its button does, and what it gives away."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http.paths import is_page, logged
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Resolution, Status
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.store.links import SqlLinks
from perf_alerts_tests.incidents.incident_desk import DAILY, breach, event, judged
from perf_alerts_tests.pages import incident_states as states
from perf_alerts_tests.pages.test_events import words_of
from perf_alerts_tests.pages.test_routes import HOSTILE, browser, login
from perf_alerts_tests.server.apps import KEYS, Proxy

URL = "https://alerts.example"
MAIL = "mailto:0123abcd"
UNKNOWN = "A" * 22
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
OVER = "This link has ended"
BUTTON = "I look after it: hold the escalation for 2 hours"


def desk(**settings: str) -> Proxy:
    """A proxy with one event of two incidents, the leader's and a hostile one's name aside."""
    proxy = Proxy(None, **({"ALERT_PUBLIC_URL": URL} | settings))
    parts = {"headline": "-15.0 % on Mon 5 Jan", "owner": "vol-desk"}
    day = event(strategy=HOSTILE, severity=Severity.CRITICAL, parts=parts, message="lost 15.0 %")
    proxy.incidents.add_judgement(judged(day, breach(strategy=HOSTILE)))
    lifecycle_of(proxy).apply_judgements(DAILY, run_id="run", now=proxy.time())
    return proxy


def lifecycle_of(proxy: Proxy) -> Lifecycle:
    return Lifecycle(store=proxy.incidents, settings=NotificationSettings(channels=("mail",)))


def event_id(proxy: Proxy) -> str:
    return next(iter(proxy.incidents.event_rows))


def link_of(proxy: Proxy, channel: str = MAIL) -> str:
    """The path of the link that a message to a channel holds."""
    link = proxy.links.links_of([event_id(proxy)], channel).get(event_id(proxy))
    assert link is not None
    assert link.startswith(f"{URL}/a/")
    return link.removeprefix(URL)


@pytest.fixture
def proxy() -> Proxy:
    return desk()


@pytest.fixture
async def page(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(proxy) as client:
        yield client


async def press(page: httpx.AsyncClient, path: str, **headers: str) -> httpx.Response:
    return await page.post(path, content=b"", headers=FORM | headers)


async def test_a_link_shows_its_event_without_a_login(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    answer = await page.get(link_of(proxy))

    assert answer.status_code == 200
    for part in (
        "\u221215.0\u00a0% on Mon 5 Jan",
        "lost 15.0\u00a0%",
        "the drawdown is 30\u00a0%",
        "vol-desk",
        "by nobody yet",
        "Mon 5 Jan",
        "&lt;script&gt;",
        BUTTON,
        'href="/incidents/',
    ):
        assert part in answer.text
    assert "<script" not in answer.text
    assert "set-cookie" not in answer.headers
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a_link_shows_what_its_message_did_with_the_button_first() -> None:
    """The loss in money, how rare it is, what to do, and the picture; nothing of another event."""
    proxy = Proxy(ALERT_PUBLIC_URL=URL, ALERT_RUNBOOK_URL="https://wiki.example/runbooks")
    states.one(proxy)
    states.judge(proxy, states.crash("other", message="of another"))
    lead = states.only(proxy, strategy="short_vol", rule="daily_exceedance")
    event = states.event_of(proxy, "short_vol")
    link = proxy.links.links_of([event], MAIL)[event].removeprefix(URL)
    async with browser(proxy) as page:
        text = (await page.get(link)).text
        said = words_of(text)
        states.keep_plot(proxy, lead, HOSTILE)
        hostile = (await page.get(link)).text

    assert text.index("<form") < text.index("lost 15.0\u00a0%") < text.index("<svg")
    for part in (
        "short_vol (vol, owner vol-desk) lost 15.0 % = USD 112,500 on Mon 5 Jan.",
        "Fewer than 1 in 700 healthy years hold such a day.",
        "Do: is the row right?",
        "Owner vol-desk",
        "Since Mon 5 Jan, open since today 18:00 UTC, just now",
    ):
        assert part in said
    assert 'href="https://wiki.example/runbooks/daily_exceedance" rel="noreferrer"' in text
    assert "other" not in said.replace("other rule", "")
    assert "<script" not in hostile


async def test_reading_a_link_changes_nothing(proxy: Proxy, page: httpx.AsyncClient) -> None:
    """Mail programs, chats and scanners read links, also several times and by HEAD."""
    path = link_of(proxy)
    before = (dict(proxy.incidents.by_id), dict(proxy.incidents.event_rows), stored(proxy))
    for headers in ({}, {"User-Agent": "Slackbot-LinkExpanding 1.0"}, {"Purpose": "prefetch"}):
        assert (await page.get(path, headers=headers)).status_code == 200
        head = await page.head(path, headers=headers)
        assert (head.status_code, head.content) == (200, b"")
        assert "set-cookie" not in head.headers

    assert (proxy.incidents.by_id, proxy.incidents.event_rows, stored(proxy)) == before
    assert proxy.incidents.audit == []


def stored(proxy: Proxy) -> list[object]:
    with proxy.database.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT * FROM links"))]


async def test_its_button_holds_the_event_for_two_hours_under_the_links_name(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    path = link_of(proxy)
    answer = await press(page, path, Origin="http://localhost")
    shown = await page.get(path)

    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert "set-cookie" not in answer.headers
    for one in proxy.incidents.by_id.values():
        assert one.status is Status.ACKNOWLEDGED
        assert one.acknowledged is not None
        assert one.acknowledged.by == f"link:{MAIL}"
        assert one.acknowledged.until == proxy.time() + timedelta(hours=2)
    (change,) = proxy.incidents.audit
    assert (change.actor, change.action) == (f"link:{MAIL}", "acknowledge")
    assert change.target == f"events/{event_id(proxy)}"
    assert path.rpartition("/")[2] not in str(change)
    assert BUTTON not in shown.text
    assert "held by the link sent to mail until today 20:00 UTC" in shown.text
    assert MAIL not in shown.text


async def test_a_second_press_says_who_holds_it_until_when(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    path = link_of(proxy)
    await press(page, path)
    again = await press(page, path)
    other = await press(page, link_of(proxy, "webhook:hook.example:0123abcd"))

    for answer in (again, other):
        assert answer.status_code == 409
        assert "Nothing more to do" in answer.text
        assert "held by the link sent to mail until today 20:00 UTC" in answer.text
    assert len(proxy.incidents.audit) == 1


async def test_of_two_presses_at_once_one_holds_it(proxy: Proxy, page: httpx.AsyncClient) -> None:
    path = link_of(proxy)
    answers = await asyncio.gather(*(press(page, path) for _ in range(6)))

    assert sorted(one.status_code for one in answers) == [303] + [409] * 5
    assert len(proxy.incidents.audit) == 1


async def test_after_a_hold_the_event_is_open_again_and_its_link_goes_on(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    path = link_of(proxy)
    await press(page, path)
    proxy.time.now += timedelta(hours=2, minutes=1)
    lifecycle_of(proxy).sweep(proxy.time())

    assert {one.status for one in proxy.incidents.by_id.values()} == {Status.OPEN}
    assert BUTTON in (await page.get(path)).text
    assert (await press(page, path)).status_code == 303


async def test_an_event_that_is_answered_in_part_is_held_in_full(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    first = next(iter(proxy.incidents.by_id))
    lifecycle_of(proxy).acknowledge(first, by="ann", now=proxy.time())
    path = link_of(proxy)
    before = await page.get(path)
    assert (await press(page, path)).status_code == 303
    after = await page.get(path)

    assert BUTTON in before.text
    for part in ("acknowledged by ann", "held by the link sent to mail"):
        assert part in after.text


async def test_a_link_may_only_show_or_acknowledge_without_end() -> None:
    reading, full = desk(ALERT_LINK_ACK="off"), desk(ALERT_LINK_ACK="full")
    async with browser(reading) as page:
        path = link_of(reading)
        shown = await page.get(path)
        assert shown.status_code == 200
        assert "<form" not in shown.text
        refused = await press(page, path)
        assert refused.status_code == 403
        assert "ALERT_LINK_ACK" in refused.text
    assert reading.incidents.audit == []
    async with browser(full) as page:
        path = link_of(full)
        assert "I look after it: stop the escalation" in (await page.get(path)).text
        assert (await press(page, path)).status_code == 303
        assert "acknowledged by the link sent to mail" in (await page.get(path)).text
    for one in full.incidents.by_id.values():
        assert one.acknowledged is not None
        assert one.acknowledged.until is None


async def expired(proxy: Proxy) -> str:
    path = link_of(proxy)
    proxy.time.now += timedelta(days=7)
    return path


async def resolved(proxy: Proxy) -> str:
    path = link_of(proxy)
    lifecycle_of(proxy).resolve_event(
        event_id(proxy), by="ann", now=proxy.time(), outcome=Resolution.KNOWN
    )
    return path


async def forgotten(proxy: Proxy) -> str:
    path = link_of(proxy)
    proxy.incidents.event_rows.clear()
    return path


async def unknown(proxy: Proxy) -> str:
    return f"/a/{UNKNOWN}"


@pytest.mark.parametrize("case", [expired, resolved, forgotten, unknown])
async def test_what_has_ended_and_what_never_was_is_one_and_the_same_page(
    proxy: Proxy, page: httpx.AsyncClient, case: object
) -> None:
    path = await case(proxy)  # type: ignore[operator] # one of those above
    reference = await page.get("/a/nothing")
    answers = [await page.get(path), await press(page, path)]

    for answer in answers:
        assert (answer.status_code, answer.text) == (404, reference.text)
        assert OVER in answer.text
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in answer.headers
    assert [one for one in proxy.incidents.audit if one.actor.startswith("link:")] == []


async def test_a_later_message_makes_a_link_last_longer(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    path = link_of(proxy)
    proxy.time.now += timedelta(days=6)
    assert link_of(proxy) == path
    proxy.time.now += timedelta(days=6)

    assert (await page.get(path)).status_code == 200


async def test_an_event_that_is_resolved_while_the_button_is_pressed_has_ended(
    proxy: Proxy, page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = link_of(proxy)
    acknowledge = Lifecycle.acknowledge_event

    def late(self: Lifecycle, event_id: str, **values: object) -> object:
        now = proxy.time()
        self.resolve_event(event_id, by="ann", now=now, outcome=Resolution.KNOWN)
        return acknowledge(self, event_id, **values)  # type: ignore[arg-type] # handed on

    monkeypatch.setattr(Lifecycle, "acknowledge_event", late)
    answer = await press(page, path)

    assert (answer.status_code, OVER in answer.text) == (404, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_the_form_of_another_site_presses_no_button(
    proxy: Proxy, page: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await press(page, link_of(proxy), **headers)

    assert answer.status_code == 403
    assert proxy.incidents.audit == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null"},
        {"Origin": URL, "Host": "alerts.example"},
        {},
    ],
)
async def test_its_own_form_does_though_the_page_sends_no_referrer(
    proxy: Proxy, page: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await press(page, link_of(proxy), **headers)).status_code == 303


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data"])
async def test_only_a_form_presses_the_button(
    proxy: Proxy, page: httpx.AsyncClient, kind: str
) -> None:
    answer = await page.post(link_of(proxy), content=b"{}", headers={"Content-Type": kind})

    assert answer.status_code == 415
    assert proxy.incidents.audit == []


async def test_the_button_works_where_authentication_is_off() -> None:
    proxy = desk(ALERT_AUTH_ENABLED="false", ALERT_PUBLIC_URL="http://localhost:8089")
    link = proxy.links.links_of([event_id(proxy)], MAIL).get(event_id(proxy))
    assert link is not None
    async with browser(proxy) as page:
        own = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
        path = link.removeprefix("http://localhost:8089")
        assert (await press(page, path, **own)).status_code == 303
        foreign = await press(page, path, Origin="null")
        assert foreign.status_code == 403


async def test_a_link_gives_away_nothing_else(proxy: Proxy, page: httpx.AsyncClient) -> None:
    path = link_of(proxy)
    await page.get(path)
    shown = next(iter(proxy.incidents.by_id))

    for other in ("/incidents", f"/incidents/{shown}", f"{path}/../../incidents"):
        assert (await page.get(other)).status_code in (303, 404)
    for method in ("PUT", "DELETE", "PATCH"):
        answer = await page.request(method, path)
        assert answer.status_code == 405
        assert path.rpartition("/")[2] not in answer.text
    assert not is_page(path)
    assert (await login(page, next_=path)).headers["location"] == "/"


async def test_a_session_changes_nothing_of_a_link(proxy: Proxy, page: httpx.AsyncClient) -> None:
    await login(page, "viewer")
    path = link_of(proxy)
    answer = await page.get(path)
    assert "viewer" not in answer.text
    assert (await press(page, path)).status_code == 303

    assert proxy.incidents.audit[0].actor == f"link:{MAIL}"


# Bytes that a client can send in a path, as they are or percent-encoded.
TOKENS = st.one_of(
    st.text(max_size=60),
    st.from_regex(r"[A-Za-z0-9_-]{22}", fullmatch=True),
    st.from_regex(r"(\.\./|//|[A-Za-z0-9_-]){1,30}", fullmatch=True),
)


@settings(deadline=None, max_examples=5)
@given(st.lists(TOKENS, min_size=20, max_size=30))
@example(
    ["", "/" * 30, "\x00", UNKNOWN + "\n", UNKNOWN + "=", "' OR 1=1 --", "%2e%2e%2f", "\ud800"]
)
def test_a_hostile_token_is_a_link_that_has_ended(tokens: list[str]) -> None:
    proxy = Proxy(DESK, ALERT_AUTH_FAILURES_PER_MINUTE="1000000", ALERT_PUBLIC_URL=URL)

    async def ask() -> None:
        async with browser(proxy) as page:
            for token in tokens:
                path = "/a/" + quote(token, safe="", errors="surrogatepass")
                for answer in (await page.get(path), await press(page, path)):
                    assert answer.status_code == 404
                    # No route takes a line's end: that is no path of ours at all.
                    assert OVER in answer.text or "\n" in token

    asyncio.run(ask())
    assert proxy.incidents.audit == []


DESK = desk()


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged, but by httpx, which stands for the browser."""
    own = [one for one in caplog.records if not one.name.startswith(("httpx", "httpcore"))]
    return [one.getMessage() for one in own]


async def test_guesses_are_bounded_like_wrong_keys_and_a_right_link_is_never_held_up(
    proxy: Proxy, page: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    path = link_of(proxy)
    guesses = [f"/a/{hashlib.sha256(bytes([n])).hexdigest()[:22]}" for n in range(14)]
    with caplog.at_level(logging.DEBUG):
        answers = [await page.get(guess) for guess in guesses]

    assert [one.status_code for one in answers] == [404] * 10 + [429] * 4
    assert int(answers[-1].headers["retry-after"]) > 0
    assert answers[-1].headers["content-type"].startswith("text/html")
    assert answers[-1].headers["referrer-policy"] == "no-referrer"
    assert (await page.get(path)).status_code == 200
    assert (await press(page, path)).status_code == 303
    # A wrong key has no further attempt of its own.
    assert (await page.post("/login", data={"api_key": "wrong"})).status_code == 429
    assert (await page.post("/login", data={"api_key": KEYS["viewer"]})).status_code == 303
    said = "\n".join(lines_of(caplog))
    assert "wrong_link" in said
    assert [guess for guess in guesses if guess.rpartition("/")[2] in said] == []


async def test_guesses_are_audited_without_their_tokens(proxy: Proxy) -> None:
    async with browser(proxy) as page:
        for _ in range(3):
            await page.get(f"/a/{UNKNOWN}")
    (row,) = [one for one in proxy.audit.rows if one.action == "wrong_link"]

    assert (row.target, row.after) == ("link", {"count": 3})
    assert UNKNOWN not in str(row)


async def test_ended_links_are_no_guesses(proxy: Proxy, page: httpx.AsyncClient) -> None:
    path = await resolved(proxy)
    answers = [await page.get(path) for _ in range(15)]

    assert {one.status_code for one in answers} == {404}
    assert [one for one in proxy.audit.rows if one.action == "wrong_link"] == []


async def test_no_log_and_no_row_holds_the_token(
    proxy: Proxy, page: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    path = link_of(proxy)
    token = path.rpartition("/")[2]
    with caplog.at_level(logging.DEBUG):
        await page.get(path)
        await page.head(path)
        await press(page, path, Origin="https://evil.example")
        await press(page, path)
        await page.request("DELETE", path)
        await page.get(f"{path}/x")
        await page.get(f"/api/performance-alerts{path}")
        await page.get(f"/incidents{path}")
    await page.aclose()

    assert any("/a/-" in line for line in lines_of(caplog))
    assert [line for line in lines_of(caplog) if token in line] == []
    assert token not in str(proxy.audit.rows)
    with proxy.database.engine.connect() as connection:
        dumped = "\n".join(str(row) for row in connection.connection.iterdump())
    assert token not in dumped
    assert hashlib.sha256(token.encode()).hexdigest() in dumped


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"/a/{UNKNOWN}", "/a/-"),
        ("/a/short", "/a/-"),
        (f"/a/{UNKNOWN}/more\nof it", "/a/-"),
        (f"//a//{UNKNOWN}", "//a/-"),
        (f"/perf/a/{UNKNOWN}", "/perf/a/-"),
        ("/a/", "/a/-"),
        ("/api/performance-alerts/strategies/a/projection", None),
        ("/incidents/0123456789abcdef", None),
        ("/alerts", None),
    ],
)
def test_a_logged_path_is_without_the_token_of_a_link(path: str, shown: str | None) -> None:
    assert logged(path) == (path if shown is None else shown)


async def test_a_link_outlives_a_new_process_and_its_secret(proxy: Proxy) -> None:
    path = link_of(proxy)
    later = Proxy(proxy, ALERT_PUBLIC_URL=URL)
    later.links = replace(
        later.links, store=SqlLinks(later.database.engine), secret=lambda: b"another"
    )
    async with browser(later) as page:
        assert (await page.get(path)).status_code == 200


async def test_a_long_event_is_shown_in_part(proxy: Proxy, page: httpx.AsyncClient) -> None:
    found = [breach(strategy=HOSTILE, rule=f"r{n}", message=f"reason {n}.") for n in range(30)]
    proxy.incidents.add_judgement(judged(*found, run_id="later"))
    lifecycle_of(proxy).apply_judgements(DAILY, run_id="later", now=proxy.time())
    answer = await page.get(link_of(proxy))

    assert answer.text.count("reason ") < 30
    assert "and 12 more" in answer.text


async def test_an_event_that_is_resolved_while_it_is_read_has_ended(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    path = link_of(proxy)
    (found,) = proxy.incidents.event_rows.values()
    await resolved(proxy)
    # As it was read before the answer.
    proxy.incidents.event_rows[found.id] = found

    assert (await page.get(path)).status_code == 404
