"""The sweep: one sweeper at a time, and one fault does not keep it from the rest."""

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

import pytest

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Incidents
from perf_alerts_dagster.notifications.delivery import Deliverer
from perf_alerts_dagster.notifications.sweeper import TTL, Sweeper, SweepResult
from perf_alerts_tests.fakes import FakeLeases
from perf_alerts_tests.incidents.incident_desk import INSTANT, MINUTE, IncidentDesk, breach
from perf_alerts_tests.incidents.memory import MemoryIncidents
from perf_alerts_tests.incidents.post import Post


@dataclass
class Sweepers:
    """Sweepers over one desk."""

    desk: IncidentDesk = field(default_factory=IncidentDesk)
    leases: FakeLeases = field(default_factory=FakeLeases)
    post: Post = field(default_factory=Post)
    resumed: int = 0

    def resume(self) -> None:
        self.resumed += 1

    def sweep(self, owner: str = "sensor", *, release: bool = False) -> SweepResult:
        store = self.desk.memory
        delivering = Deliverer(
            outbox=store,
            channels={"mail": self.post},
            on_dead_letter=lambda channel, error, now: None,
            on_sent=lambda channel, now: None,
            clock=lambda: self.desk.now,
            jitter=Random(1),
            owner=owner,
        )
        desk = Incidents(store=store, outbox=store, lifecycle=self.desk.lifecycle)
        sweeper = Sweeper(
            incidents=desk,
            deliverer=delivering,
            leases=self.leases,
            owner=owner,
            resume=self.resume,
        )
        return sweeper.sweep_once(self.desk.now, seconds=5.0, release=release)


def test_one_sweeps_and_the_others_release_it_to_it() -> None:
    sweepers = Sweepers()
    sweepers.desk.judge(breach())

    assert str(sweepers.sweep().drained) == "1 sent, 0 to be tried again, 0 given up"
    left = SweepResult(by="sensor", drained=None)
    assert sweepers.sweep("proxy") == left
    sweepers.desk.wait(TTL - INSTANT)
    assert sweepers.sweep("proxy") == left
    sweepers.desk.wait(INSTANT)
    standing_in = sweepers.sweep("proxy", release=True)
    assert standing_in.by == "proxy"
    assert standing_in.drained is not None
    # It has given its turn up, so that the sensor has it at once when it comes back.
    assert sweepers.sweep().drained is not None
    assert sweepers.resumed == 3


def test_what_cannot_be_read_does_not_keep_messages_from_going_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sweepers = Sweepers()
    sweepers.desk.judge(breach(severity=Severity.CRITICAL))

    def damaged(*_: object, **__: object) -> None:
        raise StoreUnavailable("the judgement of daily_pnl_check is damaged")

    monkeypatch.setattr(MemoryIncidents, "unapplied", damaged)
    sweepers.desk.wait(timedelta(minutes=15))
    with pytest.raises(StoreUnavailable, match="is damaged"):
        sweepers.sweep()

    # Nobody is escalated to before the desk has been notified for as long.
    assert sweepers.post.subjects == ["[CRITICAL] trend: max drawdown -0.3"]
    sweepers.desk.wait(timedelta(minutes=15))
    with pytest.raises(StoreUnavailable, match="is damaged"):
        sweepers.sweep()
    assert sweepers.post.subjects[1:] == [
        "[CRITICAL] not answered for 30 min: trend: max drawdown -0.3"
    ]
    assert sweepers.resumed == 2
    sweepers.desk.wait(MINUTE)
    monkeypatch.undo()
    assert sweepers.sweep().drained is not None
