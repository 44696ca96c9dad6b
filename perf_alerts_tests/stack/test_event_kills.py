"""The life of events under kills: nothing lost, nothing doubled, no escalation lost or early."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perf_alerts_dagster.incidents.model import Reason, Status
from perf_alerts_dagster.incidents.notification import DeliveryState, MessageKind
from perf_alerts_dagster.incidents.ports import EventFilter
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate
from perf_alerts_tests.receivers import Receiver, http_receiver
from perf_alerts_tests.stack.event_lives import DELAY


@contextmanager
def lived(
    url: str, desk: Receiver, head: Receiver, state: Path, *, lives: int, kills: int
) -> Iterator[tuple[SqlIncidents, SqlOutbox]]:
    """A store after its lives, of which so many children were killed at random moments."""
    engine = open_engine(url)
    migrate(engine)
    script = Path(__file__).with_name("event_lives.py")
    args = [url, desk.channel, head.channel, str(state), str(lives), str(kills), "19"]
    out = subprocess.run(
        [sys.executable, str(script), *args], capture_output=True, text=True, timeout=1200
    )
    code, killed = out.stdout.split() if out.returncode == 0 else (out.stderr[-2000:], "0")
    assert (code, int(killed)) == ("0", kills)
    yield SqlIncidents(engine), SqlOutbox(engine)
    engine.dispose()


def heard(receiver: Receiver) -> list[str]:
    """The reason and the strategy of each message, each key once; there are two rules in each."""
    lines = [line.rsplit("/", 1) for line in receiver.notified]
    assert Counter(rule for _, rule in lines) == {"a": len(lines) / 2, "b": len(lines) / 2}
    return sorted(about for about, rule in lines if rule == "a")


def check(lives: int, kills: int, url: str, receivers: tuple[Receiver, Receiver], at: Path) -> None:
    desk, head = receivers
    names = [f"s{life}" for life in range(lives)]
    with lived(url, desk, head, at, lives=lives, kills=kills) as (incidents, outbox):
        state = outbox.state()
        assert (state.pending, state.leased, state.dead) == (0, 0, 0)
        events = incidents.events(EventFilter(), limit=500).events
        assert sorted(one.leader for one in events) == sorted(names)
        assert {one.status for one in events} == {Status.RESOLVED}
        for event in events:
            mine = incidents.of_events([event.id])
            assert [one.escalation_step for one in mine] == [1, 1]
            sent = {
                (row.kind, item.reason): row.sent_at
                for row in outbox.about(mine[0].id)
                for item in row.items
                if row.state is DeliveryState.SENT
            }
            told = sent[MessageKind.NORMAL, Reason.OPENED]
            assert told is not None
            assert all(one.escalated_at and one.escalated_at >= told + DELAY for one in mine)
    for receiver, first in ((desk, "opened"), (head, "escalated")):
        wanted = [f"{reason} critical {name}" for reason in (first, "recovered") for name in names]
        assert heard(receiver) == sorted(wanted)


@pytest.fixture
def head() -> Iterator[Receiver]:
    """The receiver of escalations."""
    with http_receiver() as found:
        yield found


@pytest.mark.e2e
def test_a_few_kills_over_the_life_of_events(
    tmp_path: Path, receiver: Receiver, head: Receiver
) -> None:
    url = f"sqlite:///{tmp_path}/alerts.db"
    check(6, 8, url, (receiver, head), tmp_path / "done")


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.e2e
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_hundred_kills_over_the_life_of_events(
    tmp_path: Path,
    receiver: Receiver,
    head: Receiver,
    database: str,
    request: pytest.FixtureRequest,
) -> None:
    url = f"sqlite:///{tmp_path}/alerts.db"
    if database == "postgres":
        url = request.getfixturevalue("fresh_postgres_url")
    check(60, 100, url, (receiver, head), tmp_path / "done")
