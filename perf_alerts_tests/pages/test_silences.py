"""The page of silences: what is muted, what one would mute, and its end."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from perf_alerts_tests.pages.admin_desk import OWNER, desk
from perf_alerts_tests.pages.test_routes import browser, login, word
from perf_alerts_tests.server.apps import Proxy

PAGE, ADD, PREVIEW = "/silences", "/silences/add", "/silences/preview"
FORM = {"strategy": "trend", "ends_at": "2026-02-02T08:00", "reason": "rebalancing"}


@pytest.fixture
def proxy() -> Proxy:
    return desk(10)


@pytest.fixture
async def page(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(proxy) as client:
        yield client


def part(text: str, title: str) -> str:
    return (
        text[text.index(f"<h2>{title}</h2>") :].partition("<h2>")[0]
        + text[text.index(f"<h2>{title}</h2>") + 4 :].partition("<h2>")[0]
    )


async def test_a_link_fills_in_the_matchers(page: httpx.AsyncClient) -> None:
    await login(page)
    text = (await page.get(PAGE, params={"strategy": "<trend>", "rule": "drawdown"})).text

    assert 'name="strategy" maxlength="200" value="&lt;trend&gt;"' in text
    assert '<option value="drawdown" selected>' in text
    assert "None: everything that notifies is sent." in text


async def test_a_preview_says_what_would_be_muted_keeps_what_was_typed_and_adds_nothing(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page)
    form = FORM | {"form_word": await word(page, PAGE)}
    answer = await page.post(PREVIEW, data=form)
    nothing = await page.post(PREVIEW, data=form | {"strategy": "trendd"})

    assert answer.status_code == 200
    assert "It would mute 2 unresolved incidents now:" in answer.text
    assert f"owner {OWNER}" in answer.text
    assert 'value="rebalancing"' in answer.text
    assert 'value="2026-02-02T08:00"' in answer.text
    assert "It would mute 0 unresolved incidents now." in nothing.text
    assert "matches nothing: no strategy or group of this name was ever judged" in nothing.text
    assert proxy.incidents.audit == []


async def test_an_operator_adds_a_silence_of_the_desks_time_and_ends_it_with_a_reason() -> None:
    proxy = desk(10, ALERT_TIMEZONE="Europe/Berlin")
    async with browser(proxy) as page:
        await login(page)
        form = FORM | {"form_word": await word(page, PAGE)}
        added = await page.post(ADD, data=form)
        shown = (await page.get(PAGE)).text
        (silence,) = proxy.incidents.silences(proxy.time())
        ended = await page.post(
            f"/silences/end/{silence.id}", data=form | {"reason": "done with it"}
        )
        after = (await page.get(PAGE)).text

    assert (added.status_code, ended.status_code) == (303, 303)
    assert silence.ends_at.isoformat() == "2026-02-02T07:00:00+00:00"
    active = shown[shown.index("<h2>Active") : shown.index("<h2>Upcoming")]
    assert "rebalancing" in active
    assert OWNER in active
    assert "rebalancing" in after[after.index("<h2>Ended") :]
    assert proxy.incidents.audit[-1].after == {"reason": "done with it"}


async def test_one_that_begins_later_is_upcoming(proxy: Proxy, page: httpx.AsyncClient) -> None:
    await login(page)
    form = FORM | {"form_word": await word(page, PAGE), "starts_at": "2026-02-01T08:00"}
    await page.post(ADD, data=form)
    text = (await page.get(PAGE)).text

    assert "rebalancing" in text[text.index("<h2>Upcoming") : text.index("<h2>Ended")]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"strategy": ""}, "matchers"),
        ({"ends_at": ""}, "ends_at"),
        ({"ends_at": "2026-01-01T00:00"}, "ends_at"),
        ({"ends_at": "2028-01-01T00:00"}, "ends_at"),
        ({"starts_at": "soon"}, "starts_at"),
        ({"reason": " "}, "reason"),
        ({"event": "xyz"}, "event"),
    ],
)
async def test_a_silence_that_is_wrong_is_refused_by_its_field_and_stays_in_the_form(
    proxy: Proxy, page: httpx.AsyncClient, changes: dict[str, str], field: str
) -> None:
    await login(page)
    form = FORM | {"form_word": await word(page, PAGE), "rule": "kept_rule"} | changes
    if field == "matchers":
        del form["rule"]
    answer = await page.post(ADD, data=form)

    assert answer.status_code == 422
    said = re.search(r'role="alert" id="error">([^<]*)<', answer.text)
    assert said is not None
    assert field in said[1]
    assert field == "matchers" or '<option value="kept_rule" selected>' in answer.text
    assert proxy.incidents.audit == []


async def test_an_end_needs_a_reason_and_a_silence_that_goes_on(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page)
    form = FORM | {"form_word": await word(page, PAGE)}
    await page.post(ADD, data=form)
    (silence,) = proxy.incidents.silences(proxy.time())
    path = f"/silences/end/{silence.id}"
    without = await page.post(path, data=form | {"reason": ""})
    done = await page.post(path, data=form)
    again = await page.post(path, data=form)

    assert [each.status_code for each in (without, done, again)] == [422, 303, 404]
    assert 'role="alert" id="error">reason: ' in without.text


async def test_a_viewer_sees_silences_and_changes_none(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page, "viewer")
    form = FORM | {"form_word": await word(page, PAGE)}
    answers = [
        await page.post(path, data=form) for path in (ADD, PREVIEW, f"/silences/end/{'0' * 24}")
    ]

    assert "<form" not in (await page.get(PAGE)).text.partition("<main")[2]
    assert [each.status_code for each in answers] == [403, 403, 403]
    assert proxy.incidents.audit == []


async def test_what_was_typed_is_shown_again_after_an_expired_session(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page)
    form = FORM | {"form_word": await word(page, PAGE)}
    page.cookies.clear()
    answer = await page.post(ADD, data=form)

    assert answer.status_code == 403
    assert 'value="rebalancing"' in answer.text
    assert proxy.incidents.audit == []
