"""The page of a strategy, over what executions store of it."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import cache
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import delete

from perf_alerts_dagster.storage.desk_tables import series
from perf_alerts_tests.builders import a_record, noise
from perf_alerts_tests.pages.strategy_desk import BACKTEST, NAME, desk_of, fading
from perf_alerts_tests.pages.test_routes import browser, login
from perf_alerts_tests.server.apps import Proxy

HOSTILE = "a/b <script>\"'&{{7*7}} ü"
# A strategy page with all that there is.
MAXIMUM_BYTES = 60_000


@cache
def proxy() -> Proxy:
    old = fading()
    young = a_record(noise(30, seed=5), strategy="new", dates=old.dates[-30:])
    odd = replace(fading(HOSTILE), trades=None, owner=None, pnl=None, capital=None)
    return desk_of(old, odd, young)


@pytest.fixture
async def page() -> AsyncIterator[httpx.AsyncClient]:
    async with browser(proxy()) as client:
        yield client


def path_of(name: str, **query: str) -> str:
    asked = "&".join(f"{field}={value}" for field, value in query.items())
    return f"/strategies/{quote(name, safe='')}{'?' if asked else ''}{asked}"


def said(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def shown_days(text: str, title: str) -> list[str]:
    """The dates of the table of a plot."""
    figure = text[text.index(f"<h3>{title}") :]
    return re.findall(r'<th scope="row">([^<]+)', figure[: figure.index("</table>")])


async def test_nobody_sees_a_strategy_without_a_session(page: httpx.AsyncClient) -> None:
    answer = await page.get(path_of(NAME))

    assert answer.status_code == 303
    assert answer.headers["location"] == f"/login?next=%2Fstrategies%2F{NAME}"


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
async def test_a_page_says_how_a_strategy_stands_why_and_by_what_it_is_judged(
    page: httpx.AsyncClient, role: str
) -> None:
    await login(page, role)
    answer = await page.get(path_of(NAME))
    text = answer.text

    assert answer.status_code == 200
    assert "'unsafe" not in answer.headers["content-security-policy"]
    assert not re.search(r"<script|style=|\son[a-z]+=", text)
    assert len(answer.content) <= MAXIMUM_BYTES
    sentence = said(re.findall(r"<p><strong>(.*?)</strong>", text, re.DOTALL)[0])
    assert sentence.startswith(f"{NAME} breaches ")
    assert "judged for" in sentence
    for word in ("owner <strong>Ada", "equity", "EUR"):
        assert word in text
    for tile in ("Last session", "Month to date", "Drawdown", "Sharpe 63", "Evidence"):
        assert f"<li>{tile}<strong" in text
    titles = re.findall(r"<h3>(.*?)</h3>", text)
    assert titles[:3] == ["Live path", "Drawdown", "Sharpe ratio of 63 sessions"]
    assert titles[3].startswith("Decay: ")
    assert titles[4:] == ["Days below 5\u00a0% of days", "Sessions"]
    for part in (
        "Rules",
        "Worst drawdowns, live",
        "Returns by month",
        "Data",
        "Incidents",
        "Trades",
    ):
        assert re.search(rf"<h2 [^>]*>{part}", text)
    assert "judged sessions" in text
    assert "backtest" in text
    assert re.search(r'href="/incidents/[0-9a-f]+"', text)
    assert f"{BACKTEST} backtest" in said(text)


async def test_the_plots_share_their_days_and_a_query_narrows_them(
    page: httpx.AsyncClient,
) -> None:
    await login(page)
    whole = (await page.get(path_of(NAME))).text
    days = [shown_days(whole, title) for title in ("Live path", "Drawdown", "Sharpe", "Decay")]
    assert days[0][0] == days[1][0] == days[2][0] == days[3][0]
    assert days[0][-1] == days[1][-1] == days[2][-1] == days[3][-1]

    first, last = (str(fading().dates[place]) for place in (-100, -50))
    part = (await page.get(path_of(NAME, **{"from": first, "to": last}))).text
    assert shown_days(part, "Live path")[0] != days[0][0]
    assert shown_days(part, "Live path")[-1] != days[0][-1]
    assert '<details class="noprint" open>' in part
    assert f'name="from" value="{first}"' in part
    early = (await page.get(path_of(NAME, to="2023-01-03"))).text
    assert "There is no live row in these days" in early


async def test_an_earlier_day_shows_what_was_known_then(page: httpx.AsyncClient) -> None:
    await login(page)
    day = fading().dates[-4]
    text = said((await page.get(path_of(NAME, as_of=str(day)))).text)

    assert f"{BACKTEST + 290 - 3} : 287 live" in text.replace(":", " :")
    assert "to the newest" in text
    assert "The last 3 judged sessions" in text


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"as_of": "yesterday"}, "as_of: a date YYYY-MM-DD"),
        ({"as_of": "2999-01-01"}, "as_of: a date YYYY-MM-DD"),
        ({"from": "2024-13-01"}, "from: a date YYYY-MM-DD"),
        ({"to": "1"}, "to: a date YYYY-MM-DD"),
        ({"from": "2024-05-02", "to": "2024-05-01"}, "from: a day up to 2024-05-01"),
        ({"from": "2024-05-02", "as_of": "2024-05-01"}, "from: a day up to 2024-05-01"),
        ({"as_of": "2001-01-01"}, "as_of: a date from the first row on"),
    ],
)
async def test_a_day_that_is_not_accepted_is_named_on_a_page(
    page: httpx.AsyncClient, query: dict[str, str], error: str
) -> None:
    await login(page)
    answer = await page.get(path_of(NAME, **query))

    assert answer.status_code == 422
    assert f'role="alert">{error}' in answer.text
    assert '<h2 id="rules">' in answer.text
    assert f'value="{next(iter(query.values()))}"' in answer.text


async def test_an_empty_day_is_none(page: httpx.AsyncClient) -> None:
    await login(page)
    answer = await page.get(path_of(NAME, **{"from": "", "to": "", "as_of": ""}))

    assert answer.status_code == 200
    assert '<details class="noprint">' in answer.text


async def test_any_name_has_its_page_and_stays_text(page: httpx.AsyncClient) -> None:
    await login(page)
    answer = await page.get(path_of(HOSTILE))

    assert answer.status_code == 200
    assert "<script" not in answer.text
    assert "a/b &lt;script&gt;" in answer.text
    assert "{{7*7}}" in answer.text


async def test_a_strategy_that_nobody_knows_is_a_page_that_says_so(
    page: httpx.AsyncClient,
) -> None:
    await login(page)
    answer = await page.get("/strategies/nobody")

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "there is no strategy of this name" in answer.text


async def test_a_young_strategy_is_not_said_to_be_well(page: httpx.AsyncClient) -> None:
    await login(page)
    text = (await page.get(path_of("new"))).text

    assert "not judged in full" in said(text) or "too little data" in said(text)
    assert "its healthy years are not known yet" in text
    assert "without a projection" in text
    assert "none yet" in text
    assert '<h2 id="trades">' not in text


async def test_rows_that_were_not_read_yet_leave_what_was_judged(
    page: httpx.AsyncClient,
) -> None:
    own = desk_of(fading(live=70), sessions=1)
    with own.database.engine.begin() as connection:
        connection.execute(delete(series))
    async with browser(own) as client:
        await login(client)
        answer = await client.get(path_of(NAME))

    assert answer.status_code == 200
    assert "Its rows have not been read by this version yet" in answer.text
    assert '<h2 id="rules">' in answer.text
    assert "Nothing is known of its rows yet" in answer.text
