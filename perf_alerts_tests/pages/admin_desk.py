"""A proxy over a desk that was judged for months, for the pages of alerts, rules and the system."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.standings.model import Member
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_tests.incidents.incident_desk import DAILY, breach, fine, judged
from perf_alerts_tests.pages.test_routes import HOSTILE
from perf_alerts_tests.server.apps import Proxy

NAMES = ("carry", "trend", HOSTILE)
OWNER = "vol-desk"


def found_on(number: int) -> list[Evaluation]:
    """What the rules found on the `number`-th session: each kind of cell comes up."""
    found = [
        fine(strategy=name, rule="drawdown", power_252=0.4, share_of_limit=0.5, observations=10)
        for name in NAMES
    ]
    kinds: dict[int, dict[str, Any]] = {
        3: {"severity": Severity.WARNING},
        5: {"severity": Severity.CRITICAL},
        7: {"evidence": Evidence.WEAK},
        9: {"outcome": Outcome.NO_DATA, "severity": None, "evidence": None},
        11: {"outcome": Outcome.ERROR, "severity": None, "evidence": None},
        13: {"outcome": Outcome.PARTIAL, "severity": None, "evidence": None},
    }
    changed = kinds.get(number % 20)
    return found + ([breach(strategy="trend", rule="rolling_sharpe", **changed)] if changed else [])


def judged_for(proxy: Proxy, sessions: int, alert: str = DAILY) -> list[date]:
    """Judge weekdays up to the newest before now, every 17th left out; returns those judged."""
    store = SqlAlertStore(proxy.database.engine)
    days: list[date] = []
    day = proxy.time().date()
    while len(days) < sessions:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            days.append(day)
    done = [day for number, day in enumerate(reversed(days), 1) if number % 17]
    members = {name: Member(owner=OWNER) for name in NAMES}
    for number, day in enumerate(done):
        judgement = judged(
            *found_on(number),
            alert=alert,
            as_of=day,
            run_id=f"{alert}-{number}",
            judged_at=datetime.combine(day, time(17), tzinfo=UTC),
        )
        store.record(judgement, watermark=None, members=members)
    return done


@cache
def _judged(sessions: int) -> bytes:
    """The alert store of the desk, made once: each test has a copy."""
    proxy = Proxy()
    for alert in ALERTS:
        if sessions:
            judged_for(proxy, sessions if alert.frequency == "daily" else sessions // 5, alert.name)
    proxy.database.engine.dispose()
    return Path(str(proxy.database.engine.url.database)).read_bytes()


def desk(sessions: int = 100, **settings: str) -> Proxy:
    """All alerts judged, and two open incidents of `trend`, whose event is one."""
    proxy = Proxy(None, **settings)
    Path(str(proxy.database.engine.url.database)).write_bytes(_judged(sessions))
    found = [breach(strategy="trend", severity=Severity.CRITICAL)]
    found.append(breach(strategy="trend", rule="rolling_sharpe"))
    proxy.incidents.add_judgement(judged(*found))
    lifecycle = Lifecycle(store=proxy.incidents, settings=NotificationSettings(channels=("mail",)))
    lifecycle.apply_judgements(DAILY, run_id="run", now=proxy.time())
    return proxy
