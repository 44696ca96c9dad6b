"""The page of the system: health, channels, keys, settings, audit and the API's description."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from perf_alerts_dagster.api.operations.schemas import FindingData
from perf_alerts_tests.api.operations.test_system import SECRET, Silent
from perf_alerts_tests.pages.test_routes import browser, login, word
from perf_alerts_tests.server.apps import KEYS, Proxy

PAGE, KEY = "/system", "/system/keys"
BELOW = (PAGE, "/system/audit", "/system/docs", "/system/openapi.json")


@pytest.fixture
def proxy() -> Proxy:
    return Proxy(None, ALERT_NOTIFY_URLS=SECRET)


@pytest.fixture
async def page(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(proxy) as client:
        yield client


async def test_a_viewer_sees_nothing_of_it(page: httpx.AsyncClient) -> None:
    await login(page, "viewer")
    answers = [await page.get(path) for path in BELOW]

    assert [each.status_code for each in answers] == [403] * 4
    assert {each.headers["content-type"].partition(";")[0] for each in answers} == {"text/html"}


async def test_an_operator_sees_health_and_channels_and_nothing_of_admins(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    proxy.scheduler.heartbeat = None
    await login(page)
    text = (await page.get(PAGE)).text

    assert "1 of 7 checks fail" in text
    assert "What to do: start the stack" in text
    assert "has not examined the system" in text
    assert "nobody is notified of anything" in text
    for heading in ("Keys", "Settings", "Audit"):
        assert f">{heading}</h2>" not in text
    assert (await page.get("/system/audit")).status_code == 403
    for path in ("/system/test", KEY, "/system/keys/revoke"):
        answer = await page.post(path, data={"form_word": await word(page, PAGE)})
        assert answer.status_code == 403


async def test_the_doctors_findings_are_there_once_somebody_has_asked(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    proxy.findings = [FindingData(where="disk", problem="has 3 MiB left", fix="free space")]
    await login(page)
    asked = (await page.get(PAGE, params={"examine": "now"})).text
    later = (await page.get(PAGE)).text

    for text in (asked, later):
        assert "1 finding." in text
        assert "has 3 MiB left" in text
        assert "What to do: free space" in text


async def test_a_test_goes_to_every_channel_and_says_what_came_of_it(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page, "admin")
    form = {"form_word": await word(page, PAGE)}
    without = await page.post("/system/test", data=form)
    proxy.channels.append(Silent())
    done = await page.post("/system/test", data=form)

    assert without.status_code == 409
    assert "no channel is configured" in without.text
    assert done.status_code == 200
    assert "accepted</span> mail" in done.text
    assert proxy.audit.entries().rows[0].action == "test_notification"


async def test_a_new_key_is_shown_once_works_and_is_ended(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page, "admin")
    form = {"form_word": await word(page, PAGE), "role": "operator", "name": "ci-bot"}
    made = await page.post(KEY, data=form)
    found = re.search(r'<code class="secret">([^<]+)</code>', made.text)
    assert found is not None
    again = (await page.get(PAGE)).text
    taken = await page.post(KEY, data=form)
    id_ = re.search(r'name="key_id" value="([0-9a-f]+)"', again)
    assert id_ is not None
    async with browser(proxy) as other:
        inside = await other.post("/login", data={"api_key": found[1]})
    ended = await page.post("/system/keys/revoke", data=form | {"key_id": id_[1]})

    assert made.headers["cache-control"] == "no-store"
    assert found[1] not in again
    assert "operator:ci-bot" in again
    assert (inside.status_code, ended.status_code) == (303, 303)
    assert (taken.status_code, "choose another name" in taken.text) == (409, True)
    assert 'value="ci-bot"' in taken.text
    assert "revoked" in (await page.get(PAGE)).text


@pytest.mark.parametrize(
    "changes", [{"name": "a b"}, {"role": "king"}, {"expires_at": "2020-01-01T00:00"}]
)
async def test_a_key_that_is_wrong_is_refused_by_its_field(
    page: httpx.AsyncClient, changes: dict[str, str]
) -> None:
    await login(page, "admin")
    form = {"form_word": await word(page, PAGE), "role": "viewer", "name": "wall"} | changes
    answer = await page.post(KEY, data=form)

    assert answer.status_code == 422
    assert f"{next(iter(changes))}: " in answer.text
    assert "secret" not in answer.text.partition("Settings")[0]


async def test_only_a_master_makes_a_master(page: httpx.AsyncClient) -> None:
    await login(page, "admin")
    form = {"form_word": await word(page, PAGE), "role": "master", "name": "two"}

    assert (await page.post(KEY, data=form)).status_code == 403


async def test_settings_have_their_source_and_no_secret(page: httpx.AsyncClient) -> None:
    await login(page, "admin")
    text = (await page.get(PAGE)).text

    row = text[text.index("ALERT_NOTIFY_URLS</code></th>") :].partition("</tr>")[0]
    assert ">set</td><td>environment</td>" in row
    assert "verysecret" not in text
    assert [key for key in KEYS.values() if key in text] == []


async def test_the_audit_is_filtered_over_all_of_it_and_paged(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    for _ in range(60):
        async with browser(proxy) as other:
            await login(other, "viewer")
    await login(page, "admin")
    first = (await page.get("/system/audit", params={"action": "login"})).text
    more = re.search(r'href="(/system/audit\?[^"]+cursor=[^"]+)"', first)
    assert more is not None
    second = (await page.get(more[1].replace("&amp;", "&"))).text
    nobody = await page.get("/system/audit", params={"actor": "nobody"})
    wrong = await page.get("/system/audit", params={"since": "yesterday"})

    assert first.count("<tr>") == 51
    assert second.count("<tr>") == 12
    assert "No entry fits" in nobody.text
    assert (wrong.status_code, "since: a date and a time" in wrong.text) == (422, True)
    assert 'value="yesterday"' in wrong.text


async def test_a_session_opens_the_description_of_the_api(page: httpx.AsyncClient) -> None:
    await login(page)
    text = (await page.get("/system/docs")).text
    document = (await page.get("/system/openapi.json")).json()

    assert "/api/performance-alerts/alerts" in text
    assert "/api/performance-alerts/alerts" in document["paths"]
