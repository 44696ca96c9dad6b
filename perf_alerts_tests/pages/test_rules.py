"""The pages of the rules: the catalogue, one rule, mandates, and their forms."""

from collections.abc import AsyncIterator

import httpx
import pytest

from perf_alerts_dagster.control.sql import SqlThresholds
from perf_alerts_dagster.judging.rules.catalogue import RULES
from perf_alerts_tests.pages.admin_desk import OWNER, desk
from perf_alerts_tests.pages.test_routes import HOSTILE, browser, login, word
from perf_alerts_tests.server.apps import Proxy

PAGE, LIMITS = "/rules/drawdown", "/rules/drawdown/limits"
MANDATES, SET = "/rules/mandates", "/rules/mandates/set"


@pytest.fixture
def proxy() -> Proxy:
    return desk(10)


@pytest.fixture
async def page(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(proxy) as client:
        yield client


def content(proxy: Proxy) -> dict[str, object]:
    current = SqlThresholds(proxy.database.engine).current()
    return {} if current is None else dict(current.content)


async def test_a_viewer_sees_every_rule_and_no_form(page: httpx.AsyncClient) -> None:
    await login(page, "viewer")
    text = (await page.get("/rules")).text.replace("\u00a0", " ")
    one, mandates = await page.get(PAGE), await page.get(MANDATES)

    assert [rule.id for rule in RULES if f'href="/rules/{rule.id}"' not in text] == []
    assert "40.0 %" in text
    for limit in ("warning 8.0 %", "low 0.50 x", "warning chance 5.0 %"):
        assert limit in text
    for each in (one, mandates):
        assert each.status_code == 200
        assert "<form" not in each.text.partition("<main")[2]


async def test_a_desk_without_a_judgement_says_so(page: httpx.AsyncClient) -> None:
    async with browser(Proxy()) as empty:
        await login(empty, "viewer")
        assert "Nothing was judged yet" in (await empty.get("/rules")).text
        assert "None are set" in (await empty.get(MANDATES)).text
        assert (await empty.get("/rules/nothing")).status_code == 404


async def test_an_admin_sets_limits_by_default_and_of_a_strategy_and_keeps_the_rest(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page, "admin")
    form = {"form_word": await word(page, PAGE), "version": "0", "strategy": ""}
    first = await page.post(LIMITS, data=form | {"drawdown_warning": "0.07"})
    own = form | {"version": "1", "strategy": HOSTILE, "drawdown_warning": "0.05"}
    second = await page.post(LIMITS, data=own)
    mandate = form | {"version": "2", "drawdown": "0.2", "severity": "warning"}
    third = await page.post(SET, data=mandate)
    shown = (await page.get("/rules/drawdown", params={"strategy": HOSTILE})).text

    assert [each.status_code for each in (first, second, third)] == [303, 303, 303]
    assert content(proxy) == {
        "default": {"drawdown_warning": 0.07},
        "strategies": {HOSTILE: {"drawdown_warning": 0.05}},
        "mandates": {"default": {"drawdown": 0.2, "severity": "warning"}, "strategies": {}},
    }
    assert f"owner {OWNER}" in shown
    assert 'value="0.05"' in shown
    assert "&lt;script" in shown
    assert "<script" not in shown
    listed = (await page.get("/rules")).text
    assert "Limits of version 3, set" in listed
    assert "other for 1" in listed
    assert "20.0 %" in (await page.get(MANDATES)).text


async def test_an_empty_field_goes_back_to_the_default(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page, "admin")
    form = {"form_word": await word(page, PAGE), "strategy": "carry"}
    await page.post(LIMITS, data=form | {"version": "0", "drawdown_warning": "0.05"})
    await page.post(LIMITS, data=form | {"version": "1", "drawdown_warning": ""})
    await page.post(SET, data=form | {"version": "2", "weekly_loss": "0.05"})
    await page.post(SET, data=form | {"version": "3", "weekly_loss": " "})

    assert content(proxy) == {
        "default": {},
        "strategies": {},
        "mandates": {"default": {}, "strategies": {}},
    }


@pytest.mark.parametrize(
    ("path", "field", "text"),
    [
        (LIMITS, "drawdown_warning", "a lot"),
        (LIMITS, "drawdown_warning", "nan"),
        (LIMITS, "drawdown_warning", "1.5"),
        (LIMITS, "drawdown_warning", "0.5"),
        (SET, "daily_loss", "8 %"),
        (SET, "daily_loss", "-1"),
    ],
)
async def test_a_limit_that_is_none_is_refused_with_what_was_typed(
    proxy: Proxy, page: httpx.AsyncClient, path: str, field: str, text: str
) -> None:
    await login(page, "admin")
    form = {"form_word": await word(page, PAGE), "version": "0", "strategy": "", field: text}
    answer = await page.post(path, data=form)

    assert answer.status_code == 422
    assert field in answer.text[answer.text.index('role="alert"') :]
    assert f'value="{text}"' in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert content(proxy) == {}


@pytest.mark.parametrize("path", [LIMITS, SET])
async def test_who_saw_another_version_is_told_and_keeps_what_was_typed(
    proxy: Proxy, page: httpx.AsyncClient, path: str
) -> None:
    await login(page, "admin")
    form = {"form_word": await word(page, PAGE), "version": "0", "strategy": ""}
    await page.post(LIMITS, data=form | {"drawdown_warning": "0.07"})
    late = form | {"drawdown_warning": "0.06", "daily_loss": "0.06"}
    answer = await page.post(path, data=late)

    assert answer.status_code == 412
    assert "changed meanwhile, and are at version 1" in answer.text
    assert 'value="0.06"' in answer.text
    assert 'name="version" value="1"' in answer.text
    assert content(proxy)["default"] == {"drawdown_warning": 0.07}


@pytest.mark.parametrize("role", ["viewer", "operator"])
@pytest.mark.parametrize("path", [LIMITS, SET])
async def test_nobody_but_an_admin_sets_limits(
    proxy: Proxy, page: httpx.AsyncClient, role: str, path: str
) -> None:
    await login(page, role)
    form = {"form_word": await word(page, PAGE), "version": "0", "drawdown_warning": "0.07"}

    assert (await page.post(path, data=form)).status_code == 403
    assert content(proxy) == {}


async def test_a_form_without_its_version_is_refused(proxy: Proxy, page: httpx.AsyncClient) -> None:
    await login(page, "admin")
    form = {"form_word": await word(page, PAGE), "drawdown_warning": "0.07"}

    assert (await page.post(LIMITS, data=form)).status_code == 422
    assert (await page.post("/rules/nothing/limits", data=form)).status_code == 404
    assert content(proxy) == {}
