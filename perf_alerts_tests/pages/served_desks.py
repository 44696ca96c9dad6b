"""Desks whose pages are looked at in a browser: judged, stored and served as in production.

The store is a file, the judge, the lifecycle, the worker and the server are the real ones; made up
are the records, the clock, which stands still, and Dagster.
"""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from perf_alerts_dagster.api.resources import Records
from perf_alerts_dagster.bootstrap.executions import build_session_judge
from perf_alerts_dagster.http.paths import BASE
from perf_alerts_dagster.http.server import config
from perf_alerts_dagster.judging.standings.ports import StandingFilter
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.judging.store.standings import SqlStandings
from perf_alerts_dagster.notifications.links import Links
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.server.app import Parts, create_app, open_parts
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_tests.builders import reader
from perf_alerts_tests.fakes import FakeRecordsSource
from perf_alerts_tests.incidents.incident_desk import judged
from perf_alerts_tests.notifications.desk_of_faults import (
    CLOSE,
    LIMITS,
    FaultyDesk,
    a_strategy,
    noise,
    records,
)
from perf_alerts_tests.server.apps import KEYS, SECRETS
from perf_alerts_tests.server.fakes import FakeScheduler, alert_run

MAIL = "mail"
MANY = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A desk behind its address; `links` makes those that its messages hold."""

    url: str
    links: Links

    def get(self, path: str, **query: str) -> Any:
        """What REST answers to an admin."""
        headers = {"X-Alert-API-Key": KEYS["admin"]}
        answer = httpx.get(f"{self.url}{BASE}{path}", params=query, headers=headers, timeout=60)
        return answer.raise_for_status().json()

    def post(self, path: str, **body: Any) -> Any:
        """What REST answers to an operator's change."""
        headers = {"X-Alert-API-Key": KEYS["operator"]}
        answer = httpx.post(f"{self.url}{BASE}{path}", json=body, headers=headers, timeout=60)
        return answer.raise_for_status().json()

    def incidents(self, **wanted: str) -> list[dict[str, Any]]:
        """The unresolved incidents as REST shows them, worst first."""
        return list(self.get("/incidents", **wanted)["data"])

    def link(self, event_id: str) -> str:
        """The path of the link that a message about an event holds."""
        return self.links.links_of([event_id], MAIL)[event_id].removeprefix(self.url)


def eight() -> TrackRecords:
    """One crash, one decay, one late, one blind, one flat, and three that are fine."""
    found = records()
    fine = a_strategy("macro", noise(41), capital=2e6, group="macro", owner="macro-desk")
    return replace(found, strategies={**found.strategies, "macro": fine}, faults={})


def only(*names: str) -> TrackRecords:
    """The desk of faults with these strategies alone; `fx_value` cannot be read."""
    found = records()
    return replace(
        found,
        strategies={name: each for name, each in found.strategies.items() if name in names},
        faults={name: each for name, each in found.faults.items() if name in names},
    )


def judge_eight(desk: FaultyDesk) -> TrackRecords:
    """Friday evening: all is judged and sent; a quarter of an hour later nobody has answered."""
    found = eight()
    desk.execute(found)
    desk.sweep(timedelta(minutes=16))
    return found


def judge_only(*names: str) -> Callable[[FaultyDesk], TrackRecords]:
    """Judge a part of the desk of faults."""

    def judge(desk: FaultyDesk) -> TrackRecords:
        found = only(*names)
        desk.execute(found)
        return found

    return judge


def judge_many(desk: FaultyDesk) -> TrackRecords:
    """What is judged of five strategies, stored under the names of 120."""
    found = only("short_vol", "carry", "new_ml", "stat_arb_eu", "fx_value")
    desk.execute(found)
    store = SqlAlertStore(desk.engine)
    standings = SqlStandings(desk.engine).standings(StandingFilter(is_group=False)).rows
    copies = [
        (each.strategy, f"{each.strategy}_{place:03d}", each.member)
        for each in standings
        for place in range(MANY // len(standings))
    ]
    evaluations = [each.evaluation for each in store.current()]
    store.record(
        judged(
            *(
                replace(evaluation, strategy=copy)
                for name, copy, _ in copies
                for evaluation in evaluations
                if evaluation.strategy == name
            ),
            as_of=CLOSE.date(),
            judged_at=desk.now,
        ),
        watermark=None,
        members={copy: member for _, copy, member in copies},
    )
    return found


DESKS: dict[str, Callable[[FaultyDesk], TrackRecords]] = {
    "empty": lambda desk: TrackRecords(source="test", strategies={}),
    "one": judge_only("carry"),
    "eight": judge_eight,
    "error": judge_only("carry", "fx_value"),
    "many": judge_many,
}


def _settings(folder: Path) -> dict[str, str]:
    return {
        **SECRETS,
        "ALERT_STATE_DIR": str(folder),
        "ALERT_POLICY_LIMITS": json.dumps(LIMITS),
        "ALERT_TIMEZONE": "Europe/Berlin",
    }


@contextmanager
def served(desk: FaultyDesk, found: TrackRecords) -> Iterator[Served]:
    """A judged desk behind an address of its own, until the end of the context."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    opened: list[Parts] = []

    @asynccontextmanager
    async def parts_of(settings: Settings) -> AsyncIterator[Parts]:
        async with open_parts(settings) as real:
            made = _still(real, desk, found)
            opened.append(made)
            yield made

    loaded = load_settings({**_settings(desk.folder), "ALERT_PUBLIC_URL": url}, dotenv=None)
    server = uvicorn.Server(config(loaded, create_app(loaded, open_parts=parts_of)))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    try:
        while not server.started and thread.is_alive():
            threading.Event().wait(0.01)
        assert opened, "the server did not start"
        yield Served(url=url, links=opened[0].api.links)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def _still(real: Parts, desk: FaultyDesk, found: TrackRecords) -> Parts:
    """The real parts at the desk's time, without a Dagster."""

    def clock() -> Any:
        return desk.now

    run = alert_run(
        run_id="run-1",
        as_of=CLOSE.date().isoformat(),
        created_at=CLOSE,
        started_at=CLOSE,
        ended_at=CLOSE + timedelta(seconds=40),
        outcome="breach",
        note=None,
    )

    async def answers() -> None:
        return None

    proxy = replace(
        real.proxy,
        scheduler=FakeScheduler(clock=clock, history=[run] if desk.runs else []),
        location=answers,
        clock=clock,
    )
    api = replace(
        real.api,
        records=Records(reader(FakeRecordsSource(found))),
        links=replace(real.api.links, clock=clock),
    )
    return replace(real, sweeper=None, outage=None, proxy=proxy, api=api)


@contextmanager
def desk_at(folder: Path, name: str) -> Iterator[Served]:
    """One of `DESKS`, judged and served."""
    desk = FaultyDesk(folder)
    # Those that the server looks for: of its own settings' budgets.
    loaded = load_settings(_settings(folder), dotenv=None)
    desk.calibrations = build_session_judge(loaded).issuer.calibrations
    found = DESKS[name](desk)
    with served(desk, found) as made:
        yield made
    desk.engine.dispose()
