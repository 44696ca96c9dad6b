"""The pages over 16 and over 1,000 strategies, against one page of GET /incidents.

Milliseconds of one request by one caller, without a network: the median of many, taken in turns, so
that what else the machine does falls on all alike. The store holds one standing a strategy, each
with 90 sessions and all of its rules, and 60 open incidents. The page of a strategy is measured
where there is one. Run: `python benchmarks/pages.py`, half a minute.
"""

import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus

import httpx
import numpy as np
from sqlalchemy import Engine

from perf_alerts_dagster.bootstrap.records import store_url
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http.paths import BASE
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Judgement, Kind, Outcome
from perf_alerts_dagster.judging.rules.catalogue import RULES
from perf_alerts_dagster.judging.standings.model import (
    AlertStanding,
    Cell,
    Figures,
    Member,
    RuleStanding,
    Standing,
)
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.judging.store.standings import row_of
from perf_alerts_dagster.server.app import create_app
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_dagster.storage.desk_tables import standings
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate

SIZES, ROUNDS, INCIDENTS = (16, 1_000), 30, 60
ALERT, TODAY = "daily_pnl_check", date(2026, 1, 30)
AT = datetime(2026, 1, 30, 17, tzinfo=UTC)
KEY = "benchmark-key-0123456789-abcdefghijklmn"
PAGES = {"desk": "/", "strategy": "/strategies/s0001", "incidents": f"{BASE}/incidents"}
PEER = "incidents"


def standing(name: str, seed: int, *, is_group: bool = False) -> Standing:
    """One with everything that there may be of it."""
    rng = np.random.default_rng(seed)
    path = np.expm1(np.cumsum(rng.normal(0.001, 0.01, 60))).round(4).tolist()
    days = [TODAY - timedelta(days=each) for each in range(126)]
    codes = "".join(rng.choice(list(".....w1?"), 90))
    rule = RuleStanding(
        cell=Cell.OK, alert=ALERT, as_of=TODAY, value=0.0123456, limit=0.0456789, strip=codes
    )
    member = Member(
        group=None if is_group else f"g{seed % 10}",
        owner=f"owner {seed % 7}",
        is_group=is_group,
        currency="USD",
        figures=Figures(
            last_row=TODAY,
            live_since=TODAY,
            live_rows=250,
            backtest_rows=1_000,
            last_return=float(rng.normal(0.0, 0.01)),
            last_pnl=float(rng.normal(0.0, 1e4)),
            month_return=0.01,
            live_return=path[-1],
            drawdown=-float(rng.uniform(0.0, 0.1)),
            under_water=int(rng.integers(90)),
            band=float(rng.uniform()),
            path=tuple(path),
            lower=tuple(each - 0.05 for each in path),
            upper=tuple(each + 0.05 for each in path),
        ),
    )
    cells = rng.choice(list(Cell)[1:4], len(RULES), p=[0.9, 0.05, 0.05])
    return Standing(
        strategy=name,
        session=TODAY,
        judged_at=AT,
        member=member,
        rules={
            each.id: replace(rule, cell=Cell(cell), p_year=float(rng.uniform(0.01, 1.0)))
            for each, cell in zip(RULES, cells, strict=True)
        },
        alerts={ALERT: AlertStanding(cell=Cell.WEAK, as_of=TODAY, judged_at=AT, strip=codes)},
        sessions=tuple(sorted(day for day in days if day.weekday() < 5)[-90:]),
    )


def fill(engine: Engine, strategies: int) -> None:
    """A desk of so many strategies in ten groups, and its open incidents."""
    found = [
        Evaluation(
            strategy=f"s{number % strategies:04d}", rule=rule.id, kind=Kind.LEVEL,
            outcome=Outcome.BREACH, severity=Severity.WARNING, evidence=Evidence.STRONG,
            value=-0.2, limit=-0.1, message="what the rule found",
        )
        for number, rule in zip(range(INCIDENTS), RULES * 2, strict=False)
    ]  # fmt: skip
    judgement = Judgement(
        alert=ALERT, as_of=TODAY, run_id="r", judged_at=AT, settings_version="v", data_hash="h",
        seed=1, evaluations=tuple(found),
    )  # fmt: skip
    SqlAlertStore(engine).record(judgement, watermark=TODAY)
    lifecycle = Lifecycle(
        store=SqlIncidents(engine), settings=NotificationSettings(channels=("mail",))
    )
    lifecycle.apply_judgements(ALERT, run_id="r", now=AT)
    rows = [standing(f"s{number:04d}", number) for number in range(strategies)]
    groups = ["ALL", *(f"group:g{number}" for number in range(10))]
    rows += [standing(name, number, is_group=True) for number, name in enumerate(groups)]
    with engine.begin() as connection:
        connection.execute(standings.delete())
        connection.execute(standings.insert(), [row_of(each) for each in rows])


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Calls of a server in this process, logged in; no Dagster is there to be asked."""
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:

        async def stated(scope, receive, send):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            await app({**scope, "state": dict(state or {})}, receive, send)

        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=stated), base_url="http://localhost"
        ) as client:
            answer = await client.post("/login", data={"api_key": KEY})
            if answer.status_code != HTTPStatus.SEE_OTHER:
                raise SystemExit(f"no login: {answer.status_code} {answer.text}")
            client.headers["X-Alert-API-Key"] = KEY
            yield client


async def asked(client: httpx.AsyncClient) -> dict[str, tuple[float, int]]:
    """The median milliseconds and the bytes of each page that there is."""
    times: dict[str, list[float]] = {name: [] for name in PAGES}
    weights: dict[str, int] = {}
    for _ in range(ROUNDS):
        for name, path in PAGES.items():
            started = time.perf_counter()
            answer = await client.get(path)
            times[name].append(1000.0 * (time.perf_counter() - started))
            if answer.status_code == HTTPStatus.OK:
                weights[name] = len(answer.content)
    return {name: (statistics.median(times[name]), weight) for name, weight in weights.items()}


async def measure(strategies: int) -> dict[str, tuple[float, int]]:
    """Milliseconds and bytes by page."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            {
                "ALERT_STATE_DIR": folder,
                "ALERT_ADMIN_API_KEY": KEY,
                "ALERT_JWT_SECRET": KEY * 2,
            },
            dotenv=None,
        )
        engine = open_engine(store_url(settings))
        migrate(engine)
        fill(engine, strategies)
        engine.dispose()
        async with served(settings) as client:
            return await asked(client)


def main() -> None:
    """Measure all and write the ratios to standard output."""
    write = sys.stdout.write
    write(f"Python {platform.python_version()}, {os.cpu_count()} cores, SQLite\n")
    write("strategies  page          median     weight  against one page of GET /incidents\n")
    for size in SIZES:
        found = asyncio.run(measure(size))
        for name, (milliseconds, weight) in found.items():
            ratio = milliseconds / found[PEER][0]
            measured = f"{milliseconds:7.1f} ms {weight / 1000:7.1f} kB {ratio:6.2f}x"
            write(f"{size:10d}  {name:10s} {measured}\n")


if __name__ == "__main__":
    main()
