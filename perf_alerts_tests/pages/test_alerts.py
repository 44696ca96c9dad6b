"""The page of the alerts: their sessions, their switches, and a run of one now."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from perf_alerts_dagster.scheduler.port import RunState, SchedulerUnreachable
from perf_alerts_tests.pages.admin_desk import desk
from perf_alerts_tests.pages.test_routes import browser, login, word
from perf_alerts_tests.server.apps import Proxy
from perf_alerts_tests.server.fakes import alert_run

RUN, OFF, ON = (f"/alerts/{verb}/daily_pnl_check" for verb in ("run", "disable", "enable"))


@pytest.fixture
def proxy() -> Proxy:
    return desk(40)


@pytest.fixture
async def page(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(proxy) as client:
        yield client


async def test_each_alert_has_a_cell_for_each_session_and_says_what_was_not_judged(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page, "viewer")
    text = (await page.get("/alerts")).text

    assert text.count("<section") == 5
    daily = text[: text.index("Weekly stability check")]
    assert 'class="unjudged"' in daily
    assert "1 critical, 2 ok" in daily
    # Days as people write them.
    assert re.search(
        r">(Mon|Tue|Wed|Thu|Fri) \d+ [A-Z][a-z]{2}( 2025)?<|>\d+ [A-Z][a-z]{2} 2025<", daily
    )
    assert not re.search(r">[^<]*20\d\d-\d\d-\d\d", daily)
    assert re.search(r"\d+ judged, of them \d+ not ok; 2 not judged", daily)
    assert "<form" not in text.partition("<main")[2]


async def test_before_the_first_judgement_it_says_when_the_first_run_is_due() -> None:
    async with browser(Proxy()) as page:
        await login(page)
        text = (await page.get("/alerts")).text

    assert text.count("No session was judged yet; the first run is due") == 5


async def test_what_was_judged_is_shown_while_dagster_does_not_answer(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    proxy.scheduler.fault = SchedulerUnreachable("nothing answers")
    await login(page)
    answer = await page.get("/alerts")

    assert answer.status_code == 200
    assert "Dagster does not answer: whether the alerts run" in answer.text
    assert answer.text.count("<section") == 5
    assert "1 critical, 2 ok" in answer.text
    # Nothing can be switched or run without it.
    assert "<form" not in answer.text.partition("<main")[2]


async def test_nothing_is_said_to_be_due_while_dagster_does_not_answer() -> None:
    proxy = Proxy()
    proxy.scheduler.fault = SchedulerUnreachable("nothing answers")
    async with browser(proxy) as page:
        await login(page)
        text = (await page.get("/alerts")).text

    assert text.count("No session was judged yet; when the first run is due is not known") == 5


async def test_a_run_that_failed_says_why(proxy: Proxy, page: httpx.AsyncClient) -> None:
    proxy.scheduler.history.append(
        alert_run(state=RunState.FAILURE, error="RecordsUnavailable: <b>", attempts=3)
    )
    await login(page, "viewer")
    text = (await page.get("/alerts")).text

    assert "RecordsUnavailable: &lt;b&gt;" in text
    assert '<span class="badge critical">failed</span>' in text


async def test_an_operator_runs_an_alert_for_a_day_and_sees_its_run(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page)
    form = {"form_word": await word(page, "/alerts"), "as_of": "2026-01-29"}
    answer = await page.post(RUN, data=form)
    shown = (await page.get(answer.headers["location"])).text

    (made,) = proxy.scheduler.launched
    assert (made.alert, str(made.as_of)) == ("daily_pnl_check", "2026-01-29")
    run_id = proxy.scheduler.history[0].run_id
    assert f'href="http://127.0.0.1:3000/runs/{run_id}"' in shown
    assert proxy.audit.entries().rows[0].action == "trigger"


@pytest.mark.parametrize("day", ["2999-01-01", "5 Jan"])
async def test_a_day_that_cannot_be_judged_is_refused_and_stays_in_the_form(
    proxy: Proxy, page: httpx.AsyncClient, day: str
) -> None:
    await login(page)
    answer = await page.post(RUN, data={"form_word": await word(page, "/alerts"), "as_of": day})

    assert answer.status_code == 422
    assert "as_of: a date YYYY-MM-DD" in answer.text
    assert f'value="{day}"' in answer.text
    assert proxy.scheduler.launched == []


async def test_too_many_runs_are_said_on_the_page(proxy: Proxy, page: httpx.AsyncClient) -> None:
    await login(page)
    form = {"form_word": await word(page, "/alerts")}
    days = ("2026-01-26", "2026-01-27", "2026-01-28", "2026-01-29")
    answers = [await page.post(RUN, data=form | {"as_of": day}) for day in days]

    assert [each.status_code for each in answers] == [303, 303, 303, 429]
    assert "ALERT_MAX_TRIGGERED_RUNS" in answers[-1].text


async def test_an_operator_switches_an_alert_off_with_a_reason_and_an_end_and_on_again(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page)
    form = {"form_word": await word(page, "/alerts")}
    off = await page.post(OFF, data=form | {"reason": "holiday", "until": "2026-02-02T07:00"})
    paused = (await page.get("/alerts")).text
    on = await page.post(ON, data=form)

    assert (off.status_code, on.status_code) == (303, 303)
    assert "none: it is off until" in paused
    assert "because: holiday" in paused
    assert proxy.scheduler.disabled == set()


@pytest.mark.parametrize(
    "sent", [{"until": "2020-01-01T00:00"}, {"until": "soon"}, {"until": "2026-13-01T00:00"}]
)
async def test_an_end_that_is_none_is_refused_with_what_was_typed(
    proxy: Proxy, page: httpx.AsyncClient, sent: dict[str, str]
) -> None:
    await login(page)
    form = {"form_word": await word(page, "/alerts"), "reason": "typed before"} | sent
    answer = await page.post(OFF, data=form)

    assert answer.status_code == 422
    assert "until: " in answer.text
    assert 'value="typed before"' in answer.text
    assert proxy.scheduler.disabled == set()


@pytest.mark.parametrize("path", [RUN, OFF, ON])
async def test_a_viewer_and_a_forged_form_change_nothing(
    proxy: Proxy, page: httpx.AsyncClient, path: str
) -> None:
    await login(page, "viewer")
    form = {"form_word": await word(page, "/alerts")}
    assert (await page.post(path, data=form)).status_code == 403
    async with browser(proxy) as operator:
        await login(operator)
        assert (await operator.post(path, data={"form_word": "0" * 64})).status_code == 403
        mine = {"form_word": await word(operator, "/alerts")}
        assert (await operator.post("/alerts/run/nothing", data=mine)).status_code == 404

    assert (proxy.scheduler.launched, proxy.scheduler.disabled) == ([], set())


async def test_what_was_typed_is_shown_again_after_an_expired_session(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page)
    form = {"form_word": await word(page, "/alerts"), "reason": "long typed", "until": ""}
    page.cookies.clear()
    answer = await page.post(OFF, data=form)

    assert answer.status_code == 403
    assert 'value="long typed"' in answer.text
    assert proxy.scheduler.disabled == set()
