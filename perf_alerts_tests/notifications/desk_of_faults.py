"""A made-up desk with a crash, a decay, a late, a blind and a flat strategy, and its messages.

Everything real but the source and the stores: executor, judge, lifecycle and the worker. The
messages are pinned in `expected_messages.txt`; after a change that is meant, write them anew:

    python -m perf_alerts_tests.notifications.desk_of_faults --write
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import numpy as np

from perf_alerts_dagster.control.leases import LeaseManager
from perf_alerts_dagster.control.sql import SqlLeases
from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.executions.execute import Executor
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.ledger import openings_of
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.notifications.delivery import Deliverer
from perf_alerts_dagster.notifications.messages import Message
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_dagster.plots.sql import SqlPlots
from perf_alerts_dagster.projections.issue import CALIBRATION
from perf_alerts_dagster.records.model import Floats, RecordFault, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.series.sql import SqlSeries
from perf_alerts_dagster.records.sql import SqlDesk
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate
from perf_alerts_tests.builders import MARKET
from perf_alerts_tests.executions.trading_desk import DAILY, a_session_judge
from perf_alerts_tests.fakes import FakeRecordsSource
from perf_alerts_tests.incidents.post import Post

EXPECTED = Path(__file__).with_name("expected_messages.txt")
FRIDAY = np.datetime64("2026-11-27", "D")
CLOSE = datetime(2026, 11, 27, 18, tzinfo=UTC)


def a_wording() -> Wording:
    """Links that count the events of one desk, from 1; not by the ids, which are nobody's."""
    public_url = "https://alerts.example.com"
    numbers: dict[str, int] = {}
    return Wording(
        public_url=public_url,
        runbook_url="https://wiki.example.com/runbooks",
        zone=ZoneInfo("Europe/Berlin"),
        links_of=lambda event_ids, channel: {
            each: f"{public_url}/a/{numbers.setdefault(each, len(numbers) + 1)}-{channel}"
            for each in event_ids
        },
    )


LIMITS = {
    "strategies": {
        "short_vol": {"daily_loss": 0.05, "weekly_loss": 0.08, "drawdown": 0.12},
        "ALL": {"daily_loss": 0.01, "weekly_loss": 0.02},
    }
}
ROWS, LIVE = 1012, 260


def a_strategy(
    name: str,
    returns: Floats,
    *,
    capital: float = 1e6,
    group: str | None = None,
    owner: str | None = None,
    live: int = LIVE,
    ahead: int = 0,
) -> StrategyRecord:
    """A strategy whose newest row is of Friday, or `ahead` weekdays from it."""
    rows = len(returns)
    dates = np.busday_offset(FRIDAY, np.arange(rows) - rows + 1 + ahead)
    return StrategyRecord(
        strategy=name,
        dates=dates,
        returns=returns,
        live=np.arange(rows) >= rows - live,
        pnl=returns * capital,
        capital=np.full(rows, capital),
        currency="USD",
        group=group,
        owner=owner,
    )


def noise(seed: int, mean: float = 0.0006, sd: float = 0.008, rows: int = ROWS) -> Floats:
    return np.random.default_rng(seed).normal(mean, sd, rows)


def records(crash: float = -0.15, later: int = 0) -> TrackRecords:
    """The desk as of Friday, or `later` weekdays after it; the crash is Friday's return."""
    made = {name: noise(seed, rows=ROWS + later) for name, seed in _SEEDS.items()}
    made["short_vol"][ROWS - 1] = crash
    made["mean_rev"][-LIVE // 2 :] -= 0.0018
    made["flat_book"][ROWS + later - 85 :] = 0.0
    strategies = [
        a_strategy("short_vol", made["short_vol"], capital=7.5e5, group="vol", owner="vol-desk",
                   ahead=later),
        a_strategy("mean_rev", made["mean_rev"], owner="stat-desk", ahead=later),
        a_strategy("flat_book", made["flat_book"], owner="rates-desk", ahead=later),
        a_strategy("stat_arb_eu", made["stat_arb_eu"][: ROWS - 5], ahead=-5),
        a_strategy("new_ml", made["new_ml"][-40:], live=40, ahead=later),
        a_strategy("carry", made["carry"], group="vol", ahead=later),
        a_strategy("trend", made["trend"], ahead=later),
    ]  # fmt: skip
    fault = RecordFault(where="daily.csv", rule="is not a number", row=17, column="pnl")
    return TrackRecords(
        source="test",
        strategies={each.strategy: each for each in strategies},
        faults={"fx_value": (fault,)},
    )


# Of lives without a fault of their own.
_SEEDS = {
    "short_vol": 27,
    "mean_rev": 12,
    "flat_book": 16,
    "stat_arb_eu": 17,
    "new_ml": 22,
    "carry": 28,
    "trend": 38,
}


class FaultyDesk:
    """The desk over time in one SQLite file, with the messages that its channels got."""

    def __init__(self, folder: Path) -> None:
        self.engine = open_engine(f"sqlite:///{folder / 'perf_alerts.db'}")
        migrate(self.engine)
        self.folder = folder
        self.settings = NotificationSettings(
            channels=("mail",), escalation_channels=("head",), digest=True
        )
        self.wording = a_wording()
        self.posts = [Post(), Post("head", minimum=Severity.CRITICAL)]
        self.now = CLOSE
        self.runs = 0
        self.calibrations = CALIBRATION

    @property
    def lifecycle(self) -> Lifecycle:
        return Lifecycle(
            store=SqlIncidents(self.engine),
            settings=self.settings,
            openings=partial(openings_of, self.engine),
        )

    def execute(self, found: TrackRecords, alert: Alert = DAILY) -> None:
        """One execution, and the delivery of its messages two minutes later."""
        self.runs += 1
        store = SqlAlertStore(self.engine)
        session_judge = a_session_judge(store, self.calibrations)
        book = limit_book({}, LIMITS)
        Executor(
            records=FakeRecordsSource(found),
            store=store,
            desk=SqlDesk(self.engine),
            state_dir=self.folder,
            session_judge=replace(session_judge, judge=replace(session_judge.judge, book=book)),
            lifecycle=self.lifecycle,
            deliver=lambda: None,
            leases=LeaseManager(leases=SqlLeases(self.engine), clock=lambda: self.now, poll=0.01),
            market=MARKET,
            timezone=ZoneInfo("UTC"),
            catch_up=30,
            gate=True,
            settings_content="{}",
            plots=SqlPlots(self.engine),
            series=SqlSeries(self.engine),
        ).execute(alert, as_of=None, run_id=f"run-{self.runs}", now=self.now)
        self.now += timedelta(minutes=2)
        self.deliver()

    def deliver(self) -> None:
        """Deliver what waits."""
        Deliverer(
            outbox=SqlOutbox(self.engine),
            channels={each.name: each for each in self.posts},
            on_dead_letter=self.lifecycle.dead_letter,
            on_sent=self.lifecycle.channel_recovered,
            clock=lambda: self.now,
            jitter=Random(1),
            owner="worker",
            wording=self.wording,
        ).drain(60.0)

    def sweep(self, later: timedelta) -> None:
        """Time passes; what is due is sent."""
        self.now += later
        self.lifecycle.sweep(self.now)
        self.deliver()

    def taken(self) -> list[tuple[str, Message]]:
        """The messages since the last call, by channel."""
        found = [(post.name, message) for post in self.posts for message in post.got]
        for post in self.posts:
            post.got.clear()
        return found


def messages(folder: Path) -> list[tuple[str, str, Message]]:
    """The messages of the day with what led to each: (what happened, channel, message)."""
    desk = FaultyDesk(folder)
    found: list[tuple[str, str, Message]] = []

    def happened(what: str) -> None:
        found.extend((what, channel, message) for channel, message in desk.taken())

    desk.execute(records())
    happened("Friday 18:00 UTC: the first execution after the crash")
    desk.sweep(timedelta(minutes=16))
    happened("16 minutes later nobody has answered")
    desk.now += timedelta(hours=2)
    desk.execute(records(crash=-0.015))
    happened("Two hours later Friday's row is restated")
    desk.now = CLOSE + timedelta(days=3)
    desk.execute(records(crash=-0.015, later=1))
    happened("Monday 18:00 UTC")
    return found


def written(found: Sequence[tuple[str, str, Message]]) -> str:
    """The messages as the file holds them."""
    return "\n".join(
        f"=== {what}: to {channel}\n{message.subject}\n\n{message.text}\n"
        for what, channel, message in found
    )


def main(words: Sequence[str]) -> None:
    """Write the file anew, where that is asked for."""
    if list(words) != ["--write"]:
        sys.exit("python -m perf_alerts_tests.notifications.desk_of_faults --write")
    with TemporaryDirectory() as folder:
        EXPECTED.write_text(written(messages(Path(folder))), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
