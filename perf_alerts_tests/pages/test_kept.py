"""What was typed into a form whose session had ended: shown again after the login, never sent."""

import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import httpx
import pytest

from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.pages.session import Kept
from perf_alerts_tests.incidents.incident_desk import DAILY, breach, judged
from perf_alerts_tests.pages.test_routes import (
    COOKIE,
    browser,
    decayed,
    gone,
    login,
    path_of,
    proxy,
    word,
)
from perf_alerts_tests.server.apps import KEYS, Proxy

__all__ = ["proxy"]

TYPED = 'I <b>saw</b> "it"\r\n&amp; {{7*7}} ü'


@pytest.fixture
async def page(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(proxy) as client:
        yield client


def form_in(text: str) -> tuple[str, dict[str, str]]:
    """The path and the fields of the login form of a page."""
    action, form = re.findall(
        r'<form method="post" action="([^"]*)" class="panel">(.*?)</form>', text, re.DOTALL
    )[0]
    fields = re.findall(r'name="([^"]*)"[^>]*? value="([^"]*)"', form)
    return html.unescape(action), {name: html.unescape(value) for name, value in fields}


def is_untouched(proxy: Proxy) -> bool:
    return {one.status for one in proxy.incidents.by_id.values()} == {Status.OPEN}


async def expired(proxy: Proxy, page: httpx.AsyncClient) -> httpx.Response:
    """The answer to an acknowledgement that was sent after the session's end."""
    await login(page)
    path = path_of(proxy)
    form = {"form_word": await word(page, path), "comment": TYPED, "of": "event"}
    proxy.time.now += timedelta(minutes=61)
    return await page.post(f"{path}/acknowledge", data=form)


async def test_what_was_typed_is_shown_again_after_the_login_and_not_sent(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    answer = await expired(proxy, page)
    action, fields = form_in(answer.text)

    assert (answer.status_code, action) == (403, path_of(proxy))
    assert "<b>" not in answer.text
    assert fields["kept.comment"] == TYPED
    assert "form_word" not in "".join(fields)
    back = await page.post(action, data=fields | {"api_key": KEYS["operator"]})
    assert back.status_code == 200
    assert f">{html.escape(TYPED, quote=False)}</textarea>".replace(
        "&quot;", "&#34;"
    ) in back.text.replace("&#34;", '"')
    assert "Nothing was sent yet" in back.text
    assert TYPED not in str(back.headers)
    assert is_untouched(proxy)

    fresh = {"form_word": await word(page, action), "comment": TYPED}
    assert (await page.post(f"{action}/acknowledge", data=fresh)).status_code == 303
    assert "Nothing was sent yet" not in (await page.get(action)).text


async def test_a_wrong_key_first_loses_nothing(proxy: Proxy, page: httpx.AsyncClient) -> None:
    action, fields = form_in((await expired(proxy, page)).text)
    wrong = await page.post(action, data=fields | {"api_key": "wrong"})
    again, kept = form_in(wrong.text)

    assert (wrong.status_code, again) == (401, action)
    assert "is not accepted" in wrong.text
    assert COOKIE not in wrong.cookies
    assert kept["kept.comment"] == TYPED
    right = await page.post(again, data=kept | {"api_key": KEYS["admin"]})
    assert (right.status_code, "saw" in right.text) == (200, True)
    assert is_untouched(proxy)


async def test_guesses_with_a_kept_form_are_counted_like_others(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    action, fields = form_in((await expired(proxy, page)).text)
    for _ in range(12):
        answer = await page.post(action, data=fields | {"api_key": "wrong"})

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert form_in(answer.text)[1]["kept.comment"] == TYPED


async def test_the_form_of_another_session_is_shown_again_with_its_text(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page)
    path = path_of(proxy)
    form = {"form_word": "0" * 64, "comment": TYPED}
    answer = await page.post(f"{path}/acknowledge", data=form)

    assert answer.status_code == 403
    assert "Nothing was sent yet" in answer.text
    assert "saw" in answer.text
    assert "form_word" in answer.text
    assert is_untouched(proxy)


async def test_a_login_form_sent_again_shows_the_page_again(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    """A person reloads the page that came after the login."""
    action, fields = form_in((await expired(proxy, page)).text)
    for _ in range(2):
        answer = await page.post(action, data=fields | {"api_key": KEYS["operator"]})
        assert (answer.status_code, "saw" in answer.text) == (200, True)
    assert is_untouched(proxy)


async def test_a_viewer_who_logs_in_instead_sees_the_page_without_its_forms(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    action, fields = form_in((await expired(proxy, page)).text)
    answer = await page.post(action, data=fields | {"api_key": KEYS["viewer"]})

    assert answer.status_code == 200
    assert "</textarea>" not in answer.text


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_nothing_is_kept_of_the_form_of_another_site(
    proxy: Proxy, page: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    path = path_of(proxy)
    form = {"comment": TYPED, "kept.comment": TYPED, "api_key": KEYS["operator"]}
    for action in (path, f"{path}/acknowledge"):
        answer = await page.post(action, data=form, headers=headers)
        assert (answer.status_code, "saw" in answer.text) == (403, False)
        assert "set-cookie" not in answer.headers
    await login(page)
    for action in (path, f"{path}/acknowledge"):
        answer = await page.post(action, data=form, headers=headers)
        assert (answer.status_code, "saw" in answer.text) == (403, False)


async def test_what_is_kept_is_bounded_and_never_a_secret(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    path = path_of(proxy)
    answer = await page.post(f"{path}/acknowledge", data={"comment": "x" * 20_000})
    action, fields = form_in(answer.text)
    assert (answer.status_code, action, fields["next"]) == (403, "/login", path)
    assert "x" * 100 not in answer.text

    sent = {f"kept.{name}": "evil" for name in ("form_word", "api_key", "a b", "__x__")}
    back = await page.post(path, data=sent | {"api_key": KEYS["operator"], "kept_form": "x"})
    assert (back.status_code, "evil" in back.text) == (200, False)


async def test_the_page_opens_at_the_first_field_that_was_filled_in(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    action, fields = form_in((await expired(proxy, page)).text)
    back = await page.post(action, data=fields | {"api_key": KEYS["operator"]})

    assert re.findall(r'id="([^"]*)"[^>]* autofocus>', back.text) == ["comment"]
    assert "autofocus" not in (await page.get(action)).text


@pytest.mark.parametrize(
    ("page_of", "form"),
    [
        ("/silences", ("/silences/add", "strategy", "event", "starts_at", "ends_at", "reason")),
        ("/alerts", ("/alerts/run/daily_pnl_check", "as_of")),
        ("/alerts", ("/alerts/disable/daily_pnl_check", "reason", "until")),
        ("/rules/drawdown", ("/rules/drawdown/limits", "drawdown_warning")),
        ("/rules/mandates", ("/rules/mandates/set", "drawdown", "daily_loss")),
        ("/system", ("/system/keys", "name", "expires_at")),
    ],
)
async def test_every_form_is_shown_again_with_all_that_was_typed(
    proxy: Proxy, page: httpx.AsyncClient, page_of: str, form: tuple[str, ...]
) -> None:
    sent_to, *names = form
    typed = {name: f"typed {place}" for place, name in enumerate(names)}
    action, fields = form_in((await page.post(sent_to, data=typed)).text)
    back = await page.post(action, data=fields | {"api_key": KEYS["admin"]})

    assert (back.status_code, action) == (200, page_of)
    for name, text in typed.items():
        assert re.search(rf'name="{name}"[^>]* value="{text}"[^>]* autofocus', back.text), name


@pytest.mark.parametrize(
    ("made", "form", "typed"),
    [
        (decayed, "rebaseline", {"from": "2026-01-02", "haircut": "35", "reason": "crowded"}),
        (gone, "retire", {"from": "2026-01-02", "reason": "closed"}),
    ],
)
async def test_a_decision_about_a_strategy_is_shown_again_and_not_taken(
    proxy: Proxy,
    page: httpx.AsyncClient,
    made: Callable[[Proxy, httpx.AsyncClient], Awaitable[str]],
    form: str,
    typed: dict[str, str],
) -> None:
    path = await made(proxy, page)
    sent = typed | {"form_word": await word(page, path)}
    proxy.time.now += timedelta(minutes=61)
    action, fields = form_in((await page.post(f"{path}/{form}", data=sent)).text)
    back = await page.post(action, data=fields | {"api_key": KEYS["operator"]})

    assert (back.status_code, action) == (200, path)
    for name, text in typed.items():
        assert re.search(rf'name="{name}"[^>]* value="{text}"[^>]* autofocus>', back.text), name
    kept = proxy.desk.kept()
    assert (kept.baselines, kept.retired) == ({}, {})


async def test_only_this_incident_stays_chosen_where_the_session_ended(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    lifecycle = Lifecycle(store=proxy.incidents, settings=NotificationSettings())
    both = (breach(strategy="short_vol", rule=rule) for rule in ("rolling_sharpe", "mean_shift"))
    proxy.incidents.add_judgement(judged(*both, run_id="both"))
    lifecycle.apply_judgements(DAILY, run_id="both", now=proxy.time())
    one = [each.id for each in proxy.incidents.by_id.values() if each.rule == "rolling_sharpe"]
    path = f"/incidents/{one[-1]}"
    typed = {"of": "event", "only": "1", "comment": "a roll"}
    action, fields = form_in((await page.post(f"{path}/acknowledge", data=typed)).text)
    back = (await page.post(action, data=fields | {"api_key": KEYS["operator"]})).text

    assert re.search(r"<details open>\s*<summary>For all 2 incidents", back)
    assert re.search(r'name="only" value="1" checked>', back)
    assert is_untouched(proxy)


async def test_what_was_chosen_in_a_filtered_list_is_shown_again_in_that_list(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    (event,) = proxy.incidents.event_rows
    path = "/incidents?status=all&text=e&order=newest"
    await login(page)
    chosen = {f"event_{event}": "1", "comment": TYPED, "answer": "acknowledge"}
    form = {"form_word": await word(page, path), **chosen}
    proxy.time.now += timedelta(minutes=61)
    action, fields = form_in((await page.post(path, data=form)).text)
    back = await page.post(action, data=fields | {"api_key": KEYS["operator"]})

    assert (action, back.status_code) == (path, 200)
    assert re.search(rf'name="event_{event}"[^>]* checked', back.text)
    assert '<option value="newest" selected>' in back.text
    assert "saw" in back.text
    assert is_untouched(proxy)


async def test_a_form_without_anything_typed_leads_to_its_page(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    path = path_of(proxy)
    action, fields = form_in((await page.post(f"{path}/acknowledge", data={"comment": ""})).text)
    answer = await page.post(action, data=fields | {"api_key": KEYS["operator"]})

    assert (answer.status_code, answer.headers["location"]) == (303, path)


async def test_a_form_whose_page_is_unknown_leads_to_the_login(page: httpx.AsyncClient) -> None:
    for path in ("/logout", "/sessions/end", "/login/x"):
        answer = await page.post(path, data={"a": "b"}, headers={"Accept": "text/html"})
        assert (answer.status_code, 'name="api_key"' in answer.text) == (403, True)


async def test_a_refused_value_leaves_the_rest_of_the_form_as_it_was_typed(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page)
    path = path_of(proxy)
    form = {"form_word": await word(page, path), "outcome": "", "comment": TYPED}
    answer = await page.post(f"{path}/resolve", data=form)

    assert (answer.status_code, "saw" in answer.text) == (422, True)


def test_the_text_of_one_form_is_not_shown_in_another() -> None:
    kept = Kept("resolve", {"comment": "x", "empty": "", "form_word": "secret"})

    assert (kept["comment"], kept["empty"], kept["form_word"], kept["other"]) == ("x", "", "", "")
    assert kept("resolve")["comment"] == "x"
    assert kept("acknowledge")["comment"] == ""
    assert Kept("x", {"comment": "x" * 17_000})["comment"] == ""
    assert Kept("x", {f"f{number}": "x" for number in range(56)})["f0"] == "x"
    assert Kept("x", {f"f{number}": "x" for number in range(57)})["f0"] == ""
