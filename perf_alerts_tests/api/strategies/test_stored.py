"""What is stored of a strategy, over REST and for its page, with the source away."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import pytest

from perf_alerts_dagster.api.resources import ApiParts
from perf_alerts_dagster.api.strategies.stored import StrategyView, read_view
from perf_alerts_dagster.bootstrap.executions import build_session_judge
from perf_alerts_dagster.core.errors import RecordsUnavailable, StoreUnavailable
from perf_alerts_dagster.executions.session_judge import SessionJudge
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.standings.figures import members_of
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.judging.store.standings import SqlStandings
from perf_alerts_dagster.plots.of_rules import plot_of
from perf_alerts_dagster.records.model import StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_dagster.records.series.sql import SqlSeries
from perf_alerts_tests.builders import MARKET, a_record, noise, trades, weekdays
from perf_alerts_tests.executions.trading_desk import DAILY
from perf_alerts_tests.fakes import FakeRecordsSource
from perf_alerts_tests.server.apps import Proxy, client_of, serving
from perf_alerts_tests.server.fakes import Database

ROWS, BACKTEST = 820, 520
DAYS = weekdays(ROWS)
NEWEST: date = DAYS[-1].astype(object)
EARLIER: date = DAYS[-40].astype(object)


def a_strategy(name: str, seed: int, **more: Any) -> StrategyRecord:
    returns = noise(ROWS, seed=seed)
    return a_record(returns[BACKTEST:], backtest=returns[:BACKTEST], strategy=name, **more)


def records() -> dict[str, StrategyRecord]:
    """A strategy with all there is, one with a slash in its name, one that fell, one short."""
    capital = np.full(ROWS, 1e6)
    benchmark = noise(ROWS, seed=9)
    hedged = 0.8 * benchmark + noise(ROWS, seed=3, sd=0.003)
    gaps = np.delete(np.arange(ROWS), [600, 700, 701])
    found = [
        a_strategy(
            "carry",
            1,
            pnl=noise(ROWS, seed=1) * capital,
            capital=capital,
            owner="Ada",
            extras={"gross": np.linspace(0.0, 2.0, ROWS)},
            trades=trades(noise(ROWS, seed=5).tolist(), DAYS),
        ),
        a_record(
            hedged[BACKTEST:], backtest=hedged[:BACKTEST], strategy="a/series", benchmark=benchmark
        ),
        a_record(
            noise(ROWS - BACKTEST, seed=4, mean=-0.004),
            backtest=noise(BACKTEST, seed=6),
            strategy="fallen",
        ),
        a_record([0.01], strategy="young", dates=DAYS[-1:]),
    ]
    fallen = found[2]
    rows = {name: getattr(fallen, name)[gaps] for name in ("dates", "returns", "live")}
    found[2] = replace(fallen, **rows)
    groups = {"carry": "fx", "fallen": "fx"}
    return {
        one.strategy: replace(one, currency="EUR", group=groups.get(one.strategy)) for one in found
    }


def at(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC).replace(hour=18)


@dataclass(frozen=True, eq=False)
class Stored:
    """A desk that was executed on two sessions, and what its server reads."""

    proxy: Proxy
    parts: ApiParts
    readings: dict[date, Reading]
    judge: SessionJudge

    def view(self, name: str, as_of: date | None = None) -> StrategyView:
        return read_view(self.parts, name, as_of)

    def judged_by(self, day: date) -> JudgeContext:
        worker = self.judge.for_sessions([day])
        return worker.context(DAILY, self.readings[day], day)


@contextmanager
def opened(desk: dict[str, StrategyRecord], sessions: tuple[date, ...]) -> Iterator[Stored]:
    proxy = Proxy(ALERT_POLICY_LIMITS='{"default": {"columns": {"gross": {"max": 1.5}}}}')
    database: Database = proxy.database
    store = SqlAlertStore(database.engine)
    made = build_session_judge(proxy.settings, store)
    judge = replace(made, issuer=replace(made.issuer, paths=200, lives=500))
    series = SqlSeries(database.engine)
    readings: dict[date, Reading] = {}
    for day in sessions:
        known = {name: rows for name, one in desk.items() if len(rows := one.until(day))}
        source = FakeRecordsSource(TrackRecords(source="test", strategies=known))
        reading = read(source, MARKET, as_of=None, now=at(day), timezone=ZoneInfo("UTC"))
        readings[day] = reading
        worker = judge.for_sessions([day])
        judgement, _ = worker.judge_session(
            DAILY, reading, day, issue_on=(day,), run_id=f"run-{day}", now=at(day)
        )
        members = members_of(worker.context(DAILY, reading, day))
        store.record(judgement, watermark=day, members=members)
        series.keep(reading, at=at(day), bounded=lambda name: {"gross"})
    proxy.store = store  # type: ignore[assignment] # the real one
    proxy.source.error = RecordsUnavailable("down")
    proxy.time.now = at(NEWEST) + timedelta(hours=1)
    asked = {
        "store": store,
        "standings": SqlStandings(database.engine),
        "series": series,
        "judge": lambda: judge,
    }
    # The others are asked for nothing.
    parts = ApiParts(**dict.fromkeys(each.name for each in fields(ApiParts)) | asked)  # type: ignore[arg-type]
    yield Stored(proxy, parts, readings, judge)


@pytest.fixture(scope="module")
def stored() -> Iterator[Stored]:
    with opened(records(), (EARLIER, NEWEST)) as found:
        yield found


@pytest.fixture
async def http(stored: Stored) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(stored.proxy) as client:
        yield client


@pytest.mark.parametrize("day", [EARLIER, NEWEST])
@pytest.mark.parametrize("name", ["carry", "a/series", "fallen", "group:fx", "ALL"])
def test_a_view_has_the_rows_limits_and_plots_that_were_judged(
    stored: Stored, name: str, day: date
) -> None:
    view, judged = stored.view(name, day), stored.judged_by(day)
    assert view.record is not None
    assert view.context is not None

    rows = stored.readings[day].records.strategies[name]
    assert view.record.returns.tobytes() == rows.returns.tobytes()
    assert view.record.dates.tobytes() == rows.dates.tobytes()
    assert (view.context.as_of, view.context.last_final) == (judged.as_of, judged.last_final)
    assert view.context.desk_size == judged.desk_size
    assert view.evaluations
    assert {each.as_of for each in view.evaluations} == {day}
    for each in view.evaluations:
        rule = each.evaluation.rule
        assert view.context.levels_of(name, rule) == judged.levels_of(name, rule)
        assert plot_of(each.evaluation, view.context) == plot_of(each.evaluation, judged), rule


def test_the_newest_view_is_that_of_the_newest_session(stored: Stored) -> None:
    view = stored.view("carry")
    assert (view.as_of, view.standing and view.standing.session) == (NEWEST, NEWEST)
    assert stored.view("carry", NEWEST + timedelta(days=30)).as_of == NEWEST


def test_a_view_has_all_launches_until_then_oldest_first(stored: Stored) -> None:
    newest, earlier = stored.view("carry").launches, stored.view("carry", DAYS[530].astype(object))
    days = [each.issued_on for each in newest]

    assert days == sorted(days)
    assert len(days) == 2
    assert [each.issued_on for each in earlier.launches] == days[:1]
    assert earlier.evaluations == []


def test_the_card_says_what_the_rows_are_like(stored: Stored) -> None:
    card, fallen = stored.view("carry").card, stored.view("fallen").card
    assert card is not None
    assert fallen is not None

    assert (card.rows, card.backtest_rows, card.live_rows) == (ROWS, BACKTEST, ROWS - BACKTEST)
    assert (card.first, card.last, card.live_since) == tuple(
        DAYS[place].astype(object) for place in (0, -1, BACKTEST)
    )
    assert (card.gaps, card.late, card.read_at, card.is_gone) == (0, 0, at(NEWEST), False)
    assert card.content_hash == stored.readings[NEWEST].records.strategies["carry"].content_hash()
    assert card.trades is not None
    assert (card.trades.count, len(card.trades.newest), card.trades.left_out) == (ROWS, 200, 0)
    assert (fallen.gaps, fallen.trades) == (3, None)
    assert fallen.newest_gaps == [DAYS[place].astype(object) for place in (600, 700, 701)]


def test_a_strategy_with_one_row_has_a_view(stored: Stored) -> None:
    view = stored.view("young")
    assert view.record is not None
    assert (len(view.record), view.launches, view.card and view.card.rows) == (1, [], 1)
    with pytest.raises(inputs.InputError, match="as_of: a date from the first row on"):
        stored.view("young", EARLIER)


def test_a_strategy_that_nobody_knows_is_unknown(stored: Stored) -> None:
    with pytest.raises(inputs.UnknownStrategy):
        stored.view("nobody")


def test_before_this_version_read_it_a_strategy_has_no_rows_and_is_known(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqlSeries, "series", lambda self, names: {})
    view = stored.view("carry")

    assert (view.record, view.context, view.card) == (None, None, None)
    assert view.evaluations
    assert view.launches


def test_rows_that_hedge_it_and_are_damaged_leave_the_rest(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = SqlSeries.series

    def series(self: SqlSeries, names: list[str]) -> Any:
        if "carry" in names:
            raise StoreUnavailable("damaged")
        return real(self, names)

    monkeypatch.setattr(SqlSeries, "series", series)
    from perf_alerts_dagster.api.strategies import stored as module

    assert module._others(stored.parts, ["carry"]) == {}
    assert "damaged" in caplog.text
    assert module._others(stored.parts, ()) == {}


async def test_a_strategy_is_answered_with_the_source_down(http: httpx.AsyncClient) -> None:
    data = (await http.get("/strategies/carry")).json()["data"]

    assert (data["owner"], data["group"], data["currency"]) == ("Ada", "fx", "EUR")
    assert (data["as_of"], data["status"]) == (NEWEST.isoformat(), "live")
    assert data["standing"]["figures"]["live_rows"] == ROWS - BACKTEST
    assert {each["rule"] for each in data["standing"]["rules"]} >= {"drawdown", "rolling_sharpe"}
    assert data["card"]["calendar"]["name"] == "weekdays"
    assert data["card"]["trades"]["count"] == ROWS
    assert data["evaluations"]


async def test_the_series_is_paged_with_its_path_and_limits(http: httpx.AsyncClient) -> None:
    first = (await http.get("/strategies/carry/series", params={"limit": "500"})).json()
    cursor = first["next_cursor"]
    params = {"limit": "500", "cursor": cursor}
    rest = (await http.get("/strategies/carry/series", params=params)).json()
    rows = first["data"]["rows"] + rest["data"]["rows"]
    expected = records()["carry"]

    assert [each["date"] for each in rows] == [str(day) for day in DAYS]
    assert [each["simple_return"] for each in rows] == expected.returns.tolist()
    assert rest["next_cursor"] is None
    live = np.cumprod(1.0 + expected.returns[expected.live]) - 1.0
    assert rows[-1]["cumulative_return"] == pytest.approx(live[-1])
    assert rows[BACKTEST]["cumulative_return"] == pytest.approx(expected.returns[BACKTEST])
    assert (rows[BACKTEST]["rolling_sharpe"], rows[0]["rolling_volatility"]) == (None, None)
    assert rows[-1]["rolling_sharpe"] is not None
    assert rows[-1]["pnl"] == expected.pnl[-1]  # type: ignore[index]
    limits = first["data"]["limits"]
    assert limits["drawdown"]["documented_warning"] == -0.08
    assert limits["drawdown"]["critical"] < limits["drawdown"]["warning"] < 0.0
    assert limits["rolling_volatility"]["high"] > limits["rolling_volatility"]["low"]


async def test_a_span_of_the_series(http: httpx.AsyncClient) -> None:
    params = {"from": str(DAYS[10]), "to": str(DAYS[12])}
    rows = (await http.get("/strategies/fallen/series", params=params)).json()["data"]["rows"]
    assert [each["date"] for each in rows] == [str(day) for day in DAYS[10:13]]
    assert rows[0]["pnl"] is None


async def test_the_history_of_a_rule_goes_back_page_by_page(http: httpx.AsyncClient) -> None:
    params = {"rule": "drawdown", "limit": "1"}
    first = (await http.get("/strategies/carry/evaluations", params=params)).json()
    params["cursor"] = first["next_cursor"]
    second = (await http.get("/strategies/carry/evaluations", params=params)).json()
    span = {"from": str(EARLIER), "to": str(EARLIER)}
    earlier = (await http.get("/strategies/carry/evaluations", params=span)).json()["data"]

    found = [each for page in (first, second) for each in page["data"]]
    assert [each["as_of"] for each in found] == [NEWEST.isoformat(), EARLIER.isoformat()]
    assert {each["rule"] for each in found} == {"drawdown"}
    assert second["next_cursor"] is None
    assert {each["as_of"] for each in earlier} == {EARLIER.isoformat()}


async def test_limits_say_what_they_stand_for(http: httpx.AsyncClient) -> None:
    data = (await http.get("/strategies/carry/calibrations")).json()["data"]
    by_rule = {each["rule"]: each for each in data["rules"]}
    drawdown = by_rule["drawdown"]

    assert (data["lives"], data["strategies"]) == (500, 6)
    assert drawdown["limit_critical"] <= drawdown["limit_warning"] < 0.0
    assert drawdown["quantiles"][0]["value"] <= drawdown["quantiles"][-1]["value"] <= 0.0
    assert drawdown["power_252"] is not None
    assert by_rule["win_rate"]["quantiles"][0]["value"] is None
    young = (await http.get("/strategies/young/calibrations")).json()["data"]
    assert (young["rules"], young["issued_on"]) == ([], None)


async def test_all_issues_are_listed_the_newest_first(http: httpx.AsyncClient) -> None:
    data = (await http.get("/strategies/carry/projections")).json()["data"]
    days = [each["issued_on"] for each in data]

    assert days == sorted(days, reverse=True)
    assert {each["kind"] for each in data} == {"launch", "judging"}
    assert len(data[0]["final"]) == len(data[0]["probabilities"])
    assert (await http.get("/strategies/young/projections")).json()["data"] == []


@pytest.mark.parametrize("word", ["series", "evaluations", "calibrations", "projections"])
async def test_an_encoded_slash_belongs_to_the_name(http: httpx.AsyncClient, word: str) -> None:
    whole = await http.get("/strategies/a%2Fseries")
    part = await http.get(f"/strategies/a%2Fseries/{word}")
    other = await http.get(f"/strategies/a/{word}")

    assert whole.json()["data"]["strategy"] == "a/series"
    assert part.status_code == 200
    assert (other.status_code, other.json()["code"]) == (404, "unknown_strategy")


@pytest.mark.parametrize("word", ["retire", "rebaseline"])
async def test_a_name_that_ends_with_a_word_changes_no_other_strategy(
    http: httpx.AsyncClient, stored: Stored, word: str
) -> None:
    body = {"from": "2026-01-05", "reason": "closed"}
    answer = await http.post(f"/strategies/carry%2F{word}", json=body)

    assert answer.status_code == 405
    assert not stored.proxy.desk.kept().retired


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/strategies/carry?as_of=tomorrow", "as_of"),
        ("/strategies/carry/series?from=2024-01-02&to=2024-01-01", "to"),
        ("/strategies/carry/series?limit=0", "limit"),
        ("/strategies/carry/series?cursor=YWJj", "cursor"),
        ("/strategies/carry/evaluations?rule=nothing", "rule"),
        ("/strategies/carry/evaluations?cursor=YWJj", "cursor"),
        ("/strategies/carry/evaluations?to=2024", "to"),
        ("/strategies/young?as_of=2024-01-02", "as_of"),
        (f"/strategies/{quote(chr(7))}", "name"),
    ],
)
async def test_a_refused_value_is_named(http: httpx.AsyncClient, path: str, field: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (422, field)


@pytest.mark.parametrize("word", ["", "/series", "/evaluations", "/calibrations", "/projections"])
async def test_an_unknown_strategy_is_a_404(http: httpx.AsyncClient, word: str) -> None:
    answer = await http.get(f"/strategies/nobody{word}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_strategy")


async def test_a_client_reads_what_is_stored(stored: Stored) -> None:
    async with client_of(stored.proxy) as client:
        one = await client.strategy("a/series", as_of=EARLIER)
        rows = [each async for each in client.series("carry", first=EARLIER)]
        found = [each async for each in client.evaluations("carry", rule="drawdown")]
        limits = await client.calibrations("carry")
        issues = await client.projections("carry")

    assert (one.data.strategy, one.data.as_of) == ("a/series", EARLIER.isoformat())
    assert (len(rows), rows[0].date, len(found)) == (40, EARLIER.isoformat(), 2)
    assert limits.data.rules
    assert issues.data
