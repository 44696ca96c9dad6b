"""What is notified while the alert store cannot be used, with an injected clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.core.errors import RecordsUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Firing, evaluation_firing
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.notifications.delivery import DeliveryFailed
from perf_alerts_dagster.notifications.outage import Outage
from perf_alerts_tests.incidents.incident_desk import (
    DAILY,
    HOUR,
    INSTANT,
    MINUTE,
    START,
    breach,
    judged,
)
from perf_alerts_tests.incidents.post import Post

MARK = "[sent directly, the alert store cannot be used]"
STORE = f"{MARK} [CRITICAL] perf-alerts: the alert store cannot be used"
TREND = f"{MARK} [WARNING] trend: max drawdown -0.3"


def failing() -> None:
    raise DeliveryFailed("HTTP 500")


@dataclass
class Down:
    """A store that cannot be used, and a judge who finds what the test says."""

    channels: list[Post] = field(default_factory=lambda: [Post()])
    found: list[Evaluation] = field(default_factory=list)
    now: datetime = START
    judged: list[datetime] = field(default_factory=list)
    record: bool = True

    def __post_init__(self) -> None:
        self.outage = Outage(channels=self.channels, open_judge=self.opened)

    def opened(self) -> "Down":
        if not self.record:
            raise RecordsUnavailable("there is no record here")
        return self

    def breaches(
        self, alert: Alert, *, as_of: date | None, run_id: str, now: datetime
    ) -> Sequence[Firing]:
        self.judged.append(now)
        assert (alert.name, as_of) == (DAILY, None)
        return [
            evaluation_firing(one, one.severity or Severity.INFO, judged(run_id=run_id))
            for one in self.found
        ]

    def after(self, span: timedelta) -> list[str]:
        self.now += span
        self.outage.report(self.now)
        return self.channels[0].subjects


def test_after_a_minute_people_hear_that_nothing_is_recorded_and_what_breaches() -> None:
    down = Down(found=[breach()])

    assert down.after(timedelta(0)) == []
    assert down.after(MINUTE - INSTANT) == []
    assert down.after(INSTANT) == [STORE, TREND]
    assert down.after(MINUTE) == [STORE, TREND]
    text = down.channels[0].got[1].text
    assert text.splitlines()[0] == MARK
    assert "the drawdown is 30 %" in text
    assert all(one.payload["direct"] is True for one in down.channels[0].got)


def test_what_breaches_later_is_notified_within_the_hour_and_worse_again() -> None:
    down = Down()
    down.after(timedelta(0))
    assert down.after(MINUTE) == [STORE]

    down.found = [breach()]
    assert down.after(HOUR - INSTANT) == [STORE]
    assert down.after(MINUTE) == [STORE, TREND]
    down.found = [breach(severity=Severity.CRITICAL)]
    assert down.after(HOUR)[2:] == [TREND.replace("WARNING", "CRITICAL")]
    assert len(down.judged) == 3
    # Receivers drop a key that they have.
    assert len({one.key for one in down.channels[0].got}) == 3


def test_without_a_record_people_still_hear_that_nothing_is_recorded() -> None:
    down = Down(record=False)
    down.after(timedelta(0))

    assert down.after(MINUTE) == [STORE]


def test_a_channel_that_fails_is_tried_again_each_minute_and_the_others_are_notified_once() -> None:
    down = Down(channels=[Post(), Post("chat")], found=[breach()])
    mail, chat = down.channels
    chat.does = failing
    down.after(timedelta(0))
    down.after(MINUTE)
    down.after(MINUTE - INSTANT)
    chat.does = lambda: None
    down.after(INSTANT)

    assert mail.subjects == [STORE, TREND]
    assert chat.subjects == [STORE, TREND]
    assert len(down.judged) == 1


def test_a_channel_for_the_critical_hears_no_warning() -> None:
    down = Down(channels=[Post(minimum=Severity.CRITICAL)], found=[breach()])
    down.after(timedelta(0))

    assert down.after(MINUTE) == [STORE]


def test_the_next_outage_is_notified_again() -> None:
    down = Down(found=[breach()])
    down.after(timedelta(0))
    down.after(MINUTE)
    down.outage.end()
    down.after(timedelta(0))

    assert down.after(MINUTE) == [STORE, TREND] * 2


def test_processes_notify_the_same_outage_under_the_same_keys() -> None:
    one, other = Down(found=[breach()]), Down(found=[breach()], now=START + MINUTE)
    for down in (one, other):
        down.after(timedelta(0))
        down.after(MINUTE)

    assert [x.key for x in one.channels[0].got] == [x.key for x in other.channels[0].got]


def test_where_people_only_observe_nothing_is_judged() -> None:
    down = Down(channels=[])
    down.outage.report(down.now)
    down.outage.report(down.now + MINUTE)

    assert down.judged == []


def test_a_minute_begins_anew_after_a_sleep_unless_people_were_notified() -> None:
    down = Down()
    down.after(timedelta(0))
    down.outage.wait_again()
    assert down.after(MINUTE) == []
    assert down.after(MINUTE) == [STORE]
    down.outage.wait_again()
    assert down.after(MINUTE) == [STORE]
