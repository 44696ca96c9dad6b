"""The pages for people: who gets in, what is shown, and what no other page can make them do."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.routing import APIRoute

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http.paths import needs_no_credential
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.pages.routes import ROUTERS
from perf_alerts_dagster.records.desk import Seen, SourceReading
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_tests.builders import a_record
from perf_alerts_tests.incidents.incident_desk import DAILY, MONDAY, breach, fine, judged
from perf_alerts_tests.projections.test_baselines import spread
from perf_alerts_tests.server.apps import KEYS, Proxy, transport_of

COOKIE = "perf_alerts_session"
HOSTILE = "<script>alert(1)</script>\"'>&{{7*7}}"


@pytest.fixture
def proxy() -> Proxy:
    made = Proxy()
    store = made.incidents
    store.add_judgement(
        judged(
            breach(
                strategy=HOSTILE,
                severity=Severity.CRITICAL,
                parts={"explained": {"line": f"{HOSTILE} -4.1 % that day"}},
            )
        )
    )
    lifecycle = Lifecycle(store=store, settings=NotificationSettings(channels=("mail",)))
    lifecycle.apply_judgements(DAILY, run_id="run", now=made.time())
    return made


@asynccontextmanager
async def browser(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        transport_of(proxy) as transport,
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


@pytest.fixture
async def page(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(proxy) as client:
        yield client


async def login(page: httpx.AsyncClient, role: str = "operator", next_: str = "") -> httpx.Response:
    form = {"api_key": KEYS[role]} | ({"next": next_} if next_ else {})
    return await page.post("/login", data=form)


async def word(page: httpx.AsyncClient, path: str) -> str:
    found = re.search(r'name="form_word" value="([0-9a-f]{64})"', (await page.get(path)).text)
    assert found is not None
    return found[1]


def path_of(proxy: Proxy) -> str:
    return f"/incidents/{next(iter(proxy.incidents.by_id))}"


async def test_nobody_sees_anything_without_a_session(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    path = path_of(proxy)
    for asked in (path, "/incidents", "/"):
        answer = await page.get(asked)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/login?next={asked.replace('/', '%2F')}"
    assert (await page.get("/", follow_redirects=True)).url.path == "/login"
    assert (await page.post(f"{path}/acknowledge", data={})).status_code == 403
    assert proxy.incidents.by_id[path.rpartition("/")[2]].status is Status.OPEN


async def test_a_login_leads_back_to_the_page_that_was_asked_for(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    path = path_of(proxy)
    form = await page.get(f"/login?next={path}")
    assert f'name="next" value="{path}"' in form.text
    answer = await login(page, next_=path)

    assert (answer.status_code, answer.headers["location"]) == (303, path)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"):
        assert part in cookie
    assert (await page.get(path)).status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        "/rules/drawdown",
        "/rules/mandates?strategy=short_vol",
        "/system/audit?action=login",
        "/system/docs",
        "/strategies/group%3Avol",
    ],
)
async def test_a_login_leads_back_to_what_is_below_a_page(
    page: httpx.AsyncClient, asked: str
) -> None:
    assert (await login(page, next_=asked)).headers["location"] == asked


@pytest.mark.parametrize(
    "evil",
    [
        "/incidents/..",
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/login",
        "/incidents/../x",
        "/incidents?status=a\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "/incidents//evil",
        "/incidentsevil",
        "/assets",
    ],
)
async def test_a_login_leads_nowhere_else(page: httpx.AsyncClient, evil: str) -> None:
    assert (await login(page, next_=evil)).headers["location"] == "/"


def test_every_page_is_let_in_to_ask_for_its_session() -> None:
    paths = [
        route.path for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)
    ]

    assert "/incidents" in paths
    assert [path for path in paths if not needs_no_credential("GET", path)] == []


async def test_over_https_the_cookie_is_bound_to_this_host() -> None:
    proxy = Proxy(ALERT_PUBLIC_URL="https://alerts.example")
    async with browser(proxy) as page:
        page.headers["Host"] = "alerts.example"
        cookie = (await login(page)).headers["set-cookie"]

    assert cookie.startswith(f"__Host-{COOKIE}=")
    assert "Secure" in cookie
    assert "Max-Age=43200" in cookie


@pytest.mark.parametrize("host", ["127.0.0.1:8089", "localhost:8089", "[::1]:8089"])
async def test_past_the_https_proxy_on_this_machine_the_cookie_reaches_the_web_ui(
    host: str,
) -> None:
    async with browser(Proxy(ALERT_PUBLIC_URL="https://alerts.example")) as page:
        page.headers["Host"] = host
        cookie = (await login(page)).headers["set-cookie"]
        inside = await page.get("/incidents", headers={"Cookie": cookie.partition(";")[0]})
        forwarded = await page.post(
            "/login",
            data={"api_key": KEYS["operator"]},
            headers={"X-Forwarded-Proto": "https", "Cookie": ""},
        )

    assert cookie.startswith(f"{COOKIE}=")
    assert "Secure" not in cookie
    assert inside.status_code == 200
    assert forwarded.headers["set-cookie"].startswith(f"__Host-{COOKIE}=")


UI = "http://localhost:3000"


async def test_a_login_leads_back_to_the_web_ui_under_the_same_host_name(
    page: httpx.AsyncClient,
) -> None:
    wanted = f"{UI}/runs/8b462620?tab=logs"
    form = await page.get("/login", params={"next": wanted})
    policy = form.headers["content-security-policy"]
    answer = await login(page, next_=wanted)
    again = await page.get("/login", params={"next": wanted})

    assert f"form-action 'self' {UI};" in policy
    assert (answer.status_code, answer.headers["location"]) == (303, wanted)
    assert (again.status_code, again.headers["location"]) == (303, wanted)


@pytest.mark.parametrize(
    ("host", "evil"),
    [
        ("localhost", "http://127.0.0.1:3000/"),
        ("localhost", "https://localhost:3000/"),
        ("localhost", "http://localhost:3001/"),
        ("localhost", "http://localhost:3000@evil.example/"),
        ("localhost", "http://localhost:3000.evil.example/"),
        ("localhost", "http://localhost:30001"),
        ("localhost", "http://localhost:3000\\@evil.example"),
        ("localhost", "http://localhost:3000/\r\nSet-Cookie: a=b"),
        ("localhost", "http://localhost:3000/#x"),
        ("localhost", " http://localhost:3000/"),
        ("localhost", "//localhost:3000/"),
        ("evil.example", "http://evil.example:3000/"),
        ("evil.example:8089", "http://evil.example:3000/"),
        ("localhost.evil.example", "http://localhost.evil.example:3000/"),
        ("LOCALHOST:x", "http://localhost:3000/"),
    ],
)
async def test_a_login_leads_to_no_other_host_port_or_scheme(
    page: httpx.AsyncClient, host: str, evil: str
) -> None:
    page.headers["Host"] = host
    answer = await page.post("/login", data={"api_key": KEYS["viewer"], "next": evil})

    assert answer.headers["location"] == "/"


async def test_the_login_page_names_who_is_logged_in(page: httpx.AsyncClient) -> None:
    assert "You are" not in (await page.get("/login")).text
    await login(page)

    assert "You are operator" in (await page.get("/login")).text


async def test_a_page_lists_the_persons_sessions_and_ends_them_all(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    async with httpx.AsyncClient(transport=page._transport, base_url="http://localhost") as other:
        await login(other)
        await login(page)
        text = (await page.get("/sessions")).text
        forged = await page.post("/sessions/end", data={"form_word": "x"})
        ended = await page.post("/sessions/end", data={"form_word": await word(page, "/sessions")})

        assert text.count(">the pages</strong> from 127.0.0.1") == 2
        assert "last request <time" in text
        assert text.count("(this one)") == 1
        assert forged.status_code == 403
        assert (ended.status_code, ended.headers["location"]) == (303, "/login")
        for browser_ in (page, other):
            assert (await browser_.get("/incidents")).status_code == 303
    assert proxy.audit.rows[-1].action == "end_sessions"
    assert proxy.audit.rows[-1].after == {"ended": 2}


async def test_a_person_ends_one_session_of_theirs_and_of_nobody_else(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    async with (
        httpx.AsyncClient(transport=page._transport, base_url="http://localhost") as other,
        httpx.AsyncClient(transport=page._transport, base_url="http://localhost") as viewer,
    ):
        await login(page)
        (own,) = sessions_on(await page.get("/sessions"))
        await login(other)
        await login(viewer, "viewer")
        (foreign,) = sessions_on(await viewer.get("/sessions"))
        (theirs,) = set(sessions_on(await page.get("/sessions"))) - {own}
        form = {"form_word": await word(page, "/sessions")}

        refused = await page.post("/sessions/end", data=form | {"session": foreign})
        assert (refused.status_code, "has ended already" in refused.text) == (404, True)
        ended = await page.post("/sessions/end", data=form | {"session": theirs})
        assert (ended.status_code, ended.headers["location"]) == (303, "/sessions")
        assert proxy.audit.rows[-1].action == "logout"
        assert proxy.audit.rows[-1].target == theirs
        assert [(await each.get("/incidents")).status_code for each in (page, other, viewer)] == [
            200,
            303,
            200,
        ]
        last = await page.post("/sessions/end", data=form | {"session": own})
        assert last.headers["location"] == "/login"
        assert (await page.get("/incidents")).status_code == 303


def sessions_on(answer: httpx.Response) -> list[str]:
    return re.findall(r'name="session" value="([0-9a-f]{32})"', answer.text)


@pytest.mark.parametrize(("role", "status"), [("operator", 303), ("admin", 303), ("viewer", 200)])
async def test_a_session_of_who_may_act_ends_after_an_hour_without_a_request(
    proxy: Proxy, page: httpx.AsyncClient, role: str, status: int
) -> None:
    await login(page, role)
    for _ in range(3):
        proxy.time.now += timedelta(minutes=59)
        assert (await page.get("/incidents")).status_code == 200
    proxy.time.now += timedelta(minutes=61)

    assert (await page.get("/incidents")).status_code == status
    proxy.time.now += timedelta(hours=12)
    assert (await page.get("/incidents")).status_code == 303


async def test_the_open_incidents_are_not_all_there_is_to_look_at(proxy: Proxy) -> None:
    SqlAlertStore(proxy.database.engine).record(
        judged(fine(), fine(strategy=HOSTILE, outcome=Outcome.PARTIAL, message="no row of Monday")),
        watermark=None,
    )
    async with browser(proxy) as page:
        await login(page)
        shown, resolved = [
            (await page.get(f"/incidents?status={status}")).text for status in ("open", "resolved")
        ]

    assert "<h2>Not judged in full</h2>" in shown
    assert "&lt;script&gt;" in shown.split("Not judged in full")[1]
    assert "partial <small>no row of Monday</small>" in shown
    assert "<strong>trend" not in shown
    assert "Not judged" not in resolved


async def test_a_password_manager_can_keep_the_key_and_a_person_can_find_it(
    page: httpx.AsyncClient,
) -> None:
    for answer in (await page.get("/login"), await page.post("/login", data={"api_key": "wrong"})):
        form = answer.text[answer.text.index("<form") :]
        name, key = form.index('autocomplete="username"'), form.index('autocomplete="current-pass')
        assert name < key < form.index('<button type="submit">')
        assert 'autocomplete="off"' not in answer.text
        assert "perf-alerts up" in form
        assert "ALERT_ADMIN_API_KEY" in form
        assert '="wrong"' not in answer.text


async def test_a_wrong_key_is_refused_and_counted(page: httpx.AsyncClient) -> None:
    for wrong in ("", "wrong", "ü"):
        answer = await page.post("/login", data={"api_key": wrong})
        assert answer.status_code == 401
        assert "is not accepted" in answer.text
        assert "set-cookie" not in answer.headers
    for _ in range(10):
        answer = await page.post("/login", data={"api_key": "wrong"})
    assert answer.status_code == 429
    assert "retry-after" in answer.headers


async def test_the_api_takes_no_cookie_and_the_pages_no_key(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page, "admin")
    assert (await page.get("/incidents")).status_code == 200
    assert (await page.get("/api/performance-alerts/incidents")).status_code == 401

    async with browser(proxy) as other:
        answer = await other.get("/incidents", headers={"X-Alert-API-Key": KEYS["admin"]})
        assert answer.status_code == 303


async def test_an_incident_is_shown_in_full_and_harmless(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page)
    for path in (path_of(proxy), "/incidents"):
        answer = await page.get(path)
        assert "<script" not in answer.text
        assert "&lt;script&gt;" in answer.text
        assert "{{7*7}}" in answer.text
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
    text = (await page.get(path_of(proxy))).text
    for part in (
        "critical",
        "\u22120.3",
        "\u22120.2",
        "1\u00a0% of healthy years",
        "Why: &lt;script&gt;",
        "opened",
        ">I look after it</button>",
    ):
        assert part in text


async def test_an_operator_acknowledges_and_resolves(proxy: Proxy, page: httpx.AsyncClient) -> None:
    await login(page)
    path = path_of(proxy)
    form = {"form_word": await word(page, path), "comment": "on it"}
    answer = await page.post(f"{path}/acknowledge", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert "by operator" in (await page.get(path)).text

    again = await page.post(f"{path}/acknowledge", data=form)
    assert again.status_code == 409
    assert "operator acknowledged it on" in again.text
    assert "nothing more to do" in again.text

    form |= {"outcome": "data_error"}
    assert (await page.post(f"{path}/resolve", data=form)).status_code == 303
    text = (await page.get(path)).text
    assert "wrong data" in text
    assert '<form method="post" action="/incidents' not in text
    assert [one.action for one in proxy.incidents.audit] == ["acknowledge", "resolve"]


@pytest.mark.parametrize("outcome", ["", "recovered", "nonsense"])
async def test_an_outcome_has_to_be_chosen(
    proxy: Proxy, page: httpx.AsyncClient, outcome: str
) -> None:
    await login(page)
    path = path_of(proxy)
    form = {"form_word": await word(page, path), "outcome": outcome}
    answer = await page.post(f"{path}/resolve", data=form)

    assert answer.status_code == 422
    assert "choose what it was" in answer.text


async def test_a_viewer_sees_and_does_not_answer(proxy: Proxy, page: httpx.AsyncClient) -> None:
    await login(page, "viewer")
    path = path_of(proxy)
    text = (await page.get(path)).text
    assert '<form method="post" action="/incidents' not in text

    form = {"form_word": await word(page, path), "outcome": "true"}
    for action in ("acknowledge", "resolve"):
        assert (await page.post(f"{path}/{action}", data=form)).status_code == 403
    assert proxy.incidents.audit == []


async def test_the_form_of_another_page_or_session_is_refused(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page)
    path = path_of(proxy)
    good = await word(page, path)
    async with browser(proxy) as other:
        proxy.time.now = proxy.time().replace(minute=59)
        await login(other)
        foreign = await word(other, path)
    attempts: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({"form_word": ""}, {}),
        ({"form_word": foreign}, {}),
        ({"form_word": good}, {"Origin": "https://evil.example"}),
        ({"form_word": good}, {"Origin": "null"}),
        ({"form_word": good}, {"Sec-Fetch-Site": "cross-site"}),
        ({"form_word": good}, {"Sec-Fetch-Site": "same-site"}),
    ]
    for form, headers in attempts:
        for action in (f"{path}/acknowledge", f"{path}/resolve", "/logout"):
            answer = await page.post(action, data=form | {"outcome": "true"}, headers=headers)
            assert answer.status_code == 403, (action, form, headers)
    assert proxy.incidents.audit == []
    json = await page.post(f"{path}/acknowledge", json={"form_word": good})
    assert json.status_code == 415
    assert (
        await page.post(
            f"{path}/acknowledge",
            data={"form_word": good},
            headers={"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        )
    ).status_code == 303


async def test_a_logout_ends_the_session_everywhere(proxy: Proxy, page: httpx.AsyncClient) -> None:
    await login(page)
    kept = page.cookies[COOKIE]
    form = {"form_word": await word(page, "/incidents")}
    answer = await page.post("/logout", data=form)

    assert answer.headers["location"] == "/login"
    assert COOKIE not in page.cookies
    page.cookies.set(COOKIE, kept)
    assert (await page.get("/incidents")).status_code == 303


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", "x" * 5000])
async def test_a_cookie_that_is_none_of_ours_is_no_session(
    page: httpx.AsyncClient, cookie: str
) -> None:
    page.cookies.set(COOKIE, cookie)

    assert (await page.get("/incidents")).status_code == 303


@pytest.mark.parametrize("id_", ["0" * 24, "nope", "%00", "..%2f..%2flogin"])
async def test_an_incident_that_is_not_there_is_a_page(page: httpx.AsyncClient, id_: str) -> None:
    await login(page)
    answer = await page.get(f"/incidents/{id_}")

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith(("text/html", "application/problem+json"))


async def test_the_list_is_chosen_by_status(proxy: Proxy, page: httpx.AsyncClient) -> None:
    await login(page)

    assert "&lt;script" in (await page.get("/incidents?status=open")).text
    assert "&lt;script" not in (await page.get("/incidents?status=resolved")).text
    assert "&lt;script" in (await page.get("/incidents?status=all")).text
    assert (await page.get("/incidents?status=evil")).status_code == 422
    assert (await page.get("/incidents?cursor=evil")).status_code == 422


async def test_without_authentication_there_is_no_login(proxy: Proxy) -> None:
    open_ = Proxy(proxy, ALERT_AUTH_ENABLED="false")
    async with browser(open_) as page:
        path = path_of(proxy)
        assert (await page.get(path)).status_code == 200
        answer = await page.post(
            f"{path}/acknowledge",
            data={"form_word": await word(page, path)},
            headers={"Origin": "https://evil.example"},
        )
        assert answer.status_code == 403


async def test_the_stylesheet_is_open(page: httpx.AsyncClient) -> None:
    answer = await page.get("/assets/pages.css")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")


async def gone(proxy: Proxy, page: httpx.AsyncClient, role: str = "operator") -> str:
    """The path of the incident of a strategy that vanished, with a session."""
    parts = {"last_seen": MONDAY.isoformat()}
    missing = breach(strategy="gone", rule="no_data", outcome=Outcome.NO_DATA, parts=parts)
    proxy.incidents.add_judgement(judged(missing, run_id="later"))
    lifecycle = Lifecycle(store=proxy.incidents, settings=NotificationSettings())
    lifecycle.apply_judgements(DAILY, run_id="later", now=proxy.time())
    seen = Seen(rows=1, first=MONDAY, last=MONDAY, capital=1.0)
    proxy.desk.save_source("daily.csv", SourceReading(vanished={"gone": seen}))
    await login(page, role)
    found = [one.id for one in proxy.incidents.by_id.values() if one.strategy == "gone"]
    return f"/incidents/{found[0]}"


async def test_an_operator_retires_a_strategy_that_vanished(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    path = await gone(proxy, page)
    form = {"form_word": await word(page, path), "from": "2026-01-05", "reason": "closed"}
    assert "Retire gone" in (await page.get(path)).text
    answer = await page.post(f"{path}/retire", data=form)

    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert "known already: closed" in (await page.get(path)).text
    assert proxy.desk.kept().retired["gone"].by == "operator"
    assert (await page.post(f"{path}/retire", data=form)).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [("from", ""), ("from", "2999-01-01"), ("from", "5 Jan"), ("reason", " "), ("reason", "x\n")],
)
async def test_a_retirement_without_a_day_or_reason_is_refused(
    proxy: Proxy, page: httpx.AsyncClient, field: str, value: str
) -> None:
    path = await gone(proxy, page)
    form = {"form_word": await word(page, path), "from": "2026-01-05", "reason": "closed"}
    answer = await page.post(f"{path}/retire", data=form | {field: value})

    assert answer.status_code == 422
    assert f"{field}: " in answer.text
    assert proxy.desk.kept().retired == {}


async def test_nobody_else_retires_it(proxy: Proxy, page: httpx.AsyncClient) -> None:
    path = await gone(proxy, page, "viewer")
    assert "Retire gone" not in (await page.get(path)).text
    form = {"form_word": await word(page, path), "from": "2026-01-05", "reason": "closed"}
    assert (await page.post(f"{path}/retire", data=form)).status_code == 403

    async with browser(proxy) as operator:
        await login(operator)
        for word_ in ("", "0" * 64):
            answer = await operator.post(f"{path}/retire", data=form | {"form_word": word_})
            assert answer.status_code == 403
    assert proxy.desk.kept().retired == {}


async def test_a_breach_is_not_retired(proxy: Proxy, page: httpx.AsyncClient) -> None:
    await login(page)
    path = path_of(proxy)
    form = {"form_word": await word(page, path), "from": "2026-01-05", "reason": "closed"}

    assert "Retire" not in (await page.get(path)).text
    assert (await page.post(f"{path}/retire", data=form)).status_code == 404


async def decayed(
    proxy: Proxy, page: httpx.AsyncClient, role: str = "operator", **changes: Any
) -> str:
    """The path of the incident of a strategy at half of its backtest's mean, with a session."""
    proxy.incidents.add_judgement(
        judged(
            breach(**({"strategy": "below", "rule": "mean_shortfall_252"} | changes)),
            run_id="later",
        )
    )
    lifecycle = Lifecycle(store=proxy.incidents, settings=NotificationSettings())
    lifecycle.apply_judgements(DAILY, run_id="later", now=proxy.time())
    record = a_record(
        spread(0.001, 100), backtest=spread(0.002, 300), strategy="below",
        dates=np.busday_offset(np.datetime64(MONDAY, "D"), np.arange(-400, 0), roll="backward"),
    )  # fmt: skip
    proxy.source.records = TrackRecords(source="test", strategies={"below": record})
    await login(page, role)
    found = [one.id for one in proxy.incidents.by_id.values() if one.strategy == "below"]
    return f"/incidents/{found[0]}"


@pytest.mark.parametrize(
    ("given", "haircut", "lowered"),
    [
        ("", 0.5, "lowered by 50.0 %"),
        ("35", 0.35, "lowered by 35.0 %"),
        ("0", 0.0, "lowered by 0 %"),
    ],
)
async def test_an_operator_sets_a_baseline_with_the_proposed_haircut_or_another(
    proxy: Proxy, page: httpx.AsyncClient, given: str, haircut: float, lowered: str
) -> None:
    path = await decayed(proxy, page)
    form = {"form_word": await word(page, path), "from": str(MONDAY), "reason": "gap"}
    assert "Set a new baseline" in (await page.get(path)).text
    answer = await page.post(f"{path}/rebaseline", data=form | {"haircut": given})

    assert (answer.status_code, answer.headers["location"]) == (303, path)
    (found,) = proxy.desk.kept().baselines["below"]
    assert (found.haircut, found.since, found.by) == (haircut, MONDAY, "operator")
    said = f"held against a new baseline from Mon 5 Jan on, the backtest&#39;s mean {lowered}: gap"
    assert said in (await page.get(path)).text.replace("\u00a0", " ")


async def test_the_baseline_of_a_gap_is_one_click(proxy: Proxy, page: httpx.AsyncClient) -> None:
    """The form is filled in: sent as it is, it sets the proposed haircut."""
    parts = {"proposed_haircut": 0.57}
    path = await decayed(proxy, page, rule="gap_since_launch", parts=parts)
    shown = (await page.get(path)).text
    form = shown[shown.index(f'action="{path}/rebaseline"') :].partition("</form>")[0]
    given = dict(re.findall(r'name="(\w+)"[^>]* value="([^"]*)"', form))

    assert given == {
        "form_word": await word(page, path), "from": str(MONDAY), "haircut": "57",
        "reason": "gap since launch",
    }  # fmt: skip
    assert "A haircut of 57 % fits its live rows." in form
    assert (await page.post(f"{path}/rebaseline", data=given)).status_code == 303
    (found,) = proxy.desk.kept().baselines["below"]
    assert (found.haircut, found.since, found.reason) == (0.57, MONDAY, "gap since launch")


@pytest.mark.parametrize(
    ("field", "value"),
    [("from", ""), ("from", "2001-01-01"), ("reason", " "), ("haircut", "40%"), ("haircut", "101")],
)
async def test_a_baseline_that_is_not_accepted_is_refused(
    proxy: Proxy, page: httpx.AsyncClient, field: str, value: str
) -> None:
    path = await decayed(proxy, page)
    form = {"form_word": await word(page, path), "from": str(MONDAY), "reason": "gap"}
    answer = await page.post(f"{path}/rebaseline", data=form | {field: value})

    assert answer.status_code == 422
    assert f"{field}: " in answer.text
    assert proxy.desk.kept().baselines == {}


async def test_a_baseline_is_set_by_those_who_may_and_for_decay_only(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    path = await decayed(proxy, page, "viewer")
    assert "Set a new baseline" not in (await page.get(path)).text
    form = {"form_word": await word(page, path), "from": str(MONDAY), "reason": "gap"}
    assert (await page.post(f"{path}/rebaseline", data=form)).status_code == 403

    async with browser(proxy) as operator:
        await login(operator)
        other = await gone(proxy, operator)
        mine = form | {"form_word": await word(operator, other)}
        assert "Set a new baseline" not in (await operator.get(other)).text
        assert (await operator.post(f"{other}/rebaseline", data=mine)).status_code == 404
    assert proxy.desk.kept().baselines == {}


async def test_a_person_whom_the_trusted_proxy_names_needs_no_login_and_no_other_site_acts(
    proxy: Proxy,
) -> None:
    behind = Proxy(
        proxy,
        ALERT_TRUSTED_PROXIES="127.0.0.1",
        ALERT_TRUSTED_ROLES='{"operator": ["alice"], "viewer": ["*"]}',
    )
    path = path_of(behind)
    async with browser(behind) as page:
        page.headers["X-Forwarded-User"] = "alice"
        shown = await page.get(path)
        form = {"form_word": await word(page, path), "comment": "seen"}
        page.headers["X-Forwarded-User"] = "bob"
        others = await page.post(f"{path}/acknowledge", data=form)
        page.headers["X-Forwarded-User"] = "alice"
        forged = await page.post(f"{path}/acknowledge", data={"comment": "seen"})
        done = await page.post(f"{path}/acknowledge", data=form)
        to_ui = await page.get("/login", params={"next": f"{UI}/"})

    assert shown.status_code == 200
    assert [one.status_code for one in (others, forged, done)] == [403, 403, 303]
    assert behind.incidents.by_id[path.rpartition("/")[2]].acknowledged is not None
    assert (to_ui.status_code, "You are operator:alice" in to_ui.text) == (200, True)


async def test_a_wrong_key_over_the_limit_is_still_answered_for_a_person(
    page: httpx.AsyncClient,
) -> None:
    for _ in range(11):
        answer = await page.post("/login", data={"api_key": "wrong"})
    right = await login(page)

    assert answer.status_code == 429
    assert answer.headers["content-type"].startswith("text/html")
    assert int(answer.headers["retry-after"]) > 0
    assert right.status_code == 303


async def test_a_cookie_that_is_no_more_accepted_is_deleted_and_hides_no_login(
    page: httpx.AsyncClient,
) -> None:
    stale = {"Cookie": f"{COOKIE}=of.another.secret"}
    for _ in range(12):
        answer = await page.get("/login", headers=stale)
        assert answer.status_code == 200
        assert 'name="api_key"' in answer.text
        assert answer.headers["set-cookie"].startswith(f'{COOKIE}="";')
    assert "set-cookie" not in (await page.get("/login")).headers


async def test_the_web_uis_question_who_is_there_keeps_a_session_awake(
    proxy: Proxy, page: httpx.AsyncClient
) -> None:
    await login(page)
    asked = {"Authorization": f"Bearer {page.cookies[COOKIE]}", "Cookie": ""}
    for _ in range(3):
        proxy.time.now += timedelta(minutes=59)
        answer = await page.get("/api/performance-alerts/auth/me", headers=asked)
        assert answer.json()["user_id"] == "operator"
    assert (await page.get("/incidents")).status_code == 200
    proxy.time.now += timedelta(minutes=61)
    answer = await page.get("/api/performance-alerts/auth/me", headers=asked)

    assert (answer.status_code, answer.json()["code"]) == (401, "session_idle")
