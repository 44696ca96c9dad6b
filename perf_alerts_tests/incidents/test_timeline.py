"""Two days of a desk, moment by moment: who hears what, and what nobody hears.

Each moment says what happens and lists all that is delivered by then; anything else fails.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Incident, Resolution
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import EventFilter
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind, Outcome
from perf_alerts_tests.incidents.incident_desk import DAY, IncidentDesk, breach, fine

MONDAY = date(2026, 11, 23)
CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING


def short_vol(rule: str, severity: Severity = CRITICAL, **changes: Any) -> Evaluation:
    return breach(**({"strategy": "short_vol", "rule": rule, "severity": severity} | changes))


def whole_desk(rule: str) -> Evaluation:
    listed: list[Json] = [{"strategy": "short_vol", "return": -0.02, "pnl": None, "share": 0.87}]
    parts: dict[str, Json] = {"contributions": listed}
    return breach(strategy="ALL", rule=rule, severity=WARNING, parts=parts)


def day_of(day: date) -> Evaluation:
    return short_vol("daily_exceedance", kind=Kind.EVENT, session=day, value=-35.6, limit=-11.1)


def crash(day: date) -> list[Evaluation]:
    """Four rules of the strategy and two of the desk."""
    return [
        whole_desk("daily_exceedance_of_desk"),
        whole_desk("interval_breach"),
        day_of(day),
        short_vol("drawdown_of_life"),
        short_vol("interval_breach"),
        short_vol("volatility_shift", WARNING),
    ]


class Days:
    """The desk, its clock, and what each channel hears."""

    def __init__(self) -> None:
        self.closed = False
        self.down: set[str] = set()
        self.desk = IncidentDesk(
            settings=NotificationSettings(
                channels=("chat", "pager"),
                escalation_channels=("head",),
                pagers=frozenset({"pager"}),
                minimum={"pager": CRITICAL},
                can_change=self.can_change,
            ),
            now=datetime(2026, 11, 23, 17, tzinfo=UTC),
            day=MONDAY,
        )

    def can_change(self, incident: Incident, now: datetime) -> bool:
        return not self.closed

    def at(self, hour: int, minute: int, day: date | None = None) -> "Days":
        """Move the clock; minute by minute sweeps see what becomes due."""
        to = datetime.combine(day or self.desk.now.date(), datetime.min.time(), UTC)
        to += timedelta(hours=hour, minutes=minute)
        assert to >= self.desk.now
        self.desk.now, self.desk.day = to, to.date()
        return self

    def hears(self) -> list[str]:
        """What is delivered now, a line a message: the channel, its reasons, and of how many."""
        self.desk.sweep()
        heard = []
        up = [name for name in ("chat", "pager", "head") if name not in self.down]
        while rows := self.desk.outbox.claim(
            self.desk.now, "w", timedelta(minutes=1), channels=up, limit=50
        ):
            for row in rows:
                assert self.desk.outbox.mark_sent(row.id, row.fence, self.desk.now)
                reasons = sorted({item.reason.value for item in row.items})
                listed: Any = row.payload["incidents"]
                leaders = sorted({each["event"]["leader"] for each in listed})
                status = {each["event"]["channel_status"] for each in listed}
                of = f"{len(row.items)} of {'+'.join(leaders)}"
                page = f" [{'/'.join(sorted(status))}]" if row.channel == "pager" else ""
                heard.append(f"{row.channel}: {'+'.join(reasons)} {of}{page}")
        return sorted(heard)

    @property
    def event_id(self) -> str:
        """The newest event of short_vol."""
        found = self.desk.incidents.events(EventFilter(leader="short_vol")).events
        return found[0].id


@pytest.fixture
def days() -> Days:
    return Days()


def late(rule_of: str, *, is_late: bool) -> Evaluation:
    severity = WARNING if is_late else None
    outcome = Outcome.NO_DATA if is_late else Outcome.OK
    given: dict[str, Any] = {"value": 5.0 if is_late else 0.0, "limit": 2.0, "p_year": None}
    return breach(strategy=rule_of, rule="no_data", outcome=outcome, severity=severity, **given)


def over(each: Evaluation, **changes: Any) -> Evaluation:
    same = {name: getattr(each, name) for name in ("strategy", "rule", "kind", "session", "parts")}
    return fine(**(same | changes))


def test_each_moment_is_heard_by_those_whom_it_concerns(days: Days) -> None:
    desk, tuesday, wednesday = days.desk, MONDAY + DAY, MONDAY + 2 * DAY
    six, sharpe = crash(MONDAY), short_vol("rolling_sharpe")

    # 1. Six rules of one bad day are one message and one page.
    desk.judge(*six)
    assert days.hears() == [
        "chat: opened 6 of short_vol",
        "pager: opened 3 of short_vol [open]",
    ]
    # 2. The same session again says nothing.
    desk.judge(*six)
    assert days.hears() == []
    # 3. A rule of another alert joins the event: the page stays one.
    days.at(17, 10)
    desk.judge(sharpe, alert="weekly_stability_check")
    assert days.hears() == ["chat: opened 1 of short_vol", "pager: opened 1 of short_vol [open]"]
    # 4. A quarter of an hour without an answer: the head, once for all of it.
    days.at(17, 15)
    assert days.hears() == ["head: escalated 4 of short_vol"]
    # 5. One answer to all of it, which the pager shows.
    desk.lifecycle.acknowledge_event(days.event_id, by="ann", now=desk.now)
    assert days.hears() == ["pager: acknowledged 4 of short_vol [acknowledged]"]
    # 6. Nobody is escalated to after it.
    days.at(18, 30)
    assert days.hears() == []
    # 7. A late source is an event of its own, and answered by nobody yet.
    days.at(9, 0, tuesday)
    desk.judge(*six[1:], late("carry_eu", is_late=True), late("short_vol", is_late=False))
    assert days.hears() == ["chat: opened 1 of carry_eu"]
    # 8. What the desk's own rules say because of the bad day is answered already.
    days.at(12, 0)
    desk.judge(whole_desk("drawdown_of_desk"))
    assert days.hears() == []
    # 9. A quarter worse is said again.
    days.at(12, 5)
    desk.judge(short_vol("interval_breach", value=-0.45))
    assert days.hears() == [
        "chat: reopened 1 of short_vol",
        "pager: reopened 1 of short_vol [open]",
    ]
    # 10. It is over for everybody who was notified, the head too; the page ends with its last rule,
    # whose row is restated.
    days.at(12, 10)
    rest = [each for each in six if each.kind is Kind.LEVEL]
    desk.judge(*map(over, [*rest, sharpe, whole_desk("drawdown_of_desk")]))
    assert days.hears() == [
        "chat: recovered 6 of short_vol",
        "head: recovered 3 of short_vol",
        "pager: recovered 3 of short_vol [acknowledged]",
    ]
    desk.judge(over(day_of(MONDAY), value=-0.015), as_of=MONDAY, restated=True)
    assert days.hears() == [
        "chat: recovered 1 of short_vol",
        "head: recovered 1 of short_vol",
        "pager: recovered 1 of short_vol [resolved]",
    ]
    # 11. What begins again minutes later passes the window.
    days.at(12, 20)
    desk.judge(short_vol("interval_breach"))
    assert days.hears() == ["chat: opened 1 of short_vol", "pager: opened 1 of short_vol [open]"]
    # 12. While chat and pager are down, the head hears nothing of what the desk cannot know.
    known = Resolution.KNOWN
    desk.lifecycle.resolve_event(days.event_id, by="ann", now=desk.now, outcome=known)
    assert days.hears() == ["pager: resolved 1 of short_vol [resolved]"]
    days.down = {"chat", "pager"}
    days.at(13, 40)
    desk.judge(short_vol("drawdown_of_life"))
    assert days.hears() == []
    days.at(14, 30)
    desk.judge(over(short_vol("drawdown_of_life")))
    assert days.hears() == []
    # 13. Back again, it is one message that says both.
    days.down = set()
    assert days.hears() == [
        "chat: recovered 1 of short_vol",
        "pager: recovered 1 of short_vol [resolved]",
    ]
    # 14. On a closed day a level waits for the next open one, and escalates then.
    days.at(17, 0)
    desk.judge(short_vol("interval_breach"))
    assert len(days.hears()) == 2
    days.closed = True
    days.at(18, 0)
    assert days.hears() == []
    days.closed = False
    days.at(9, 0, wednesday)
    assert days.hears() == ["head: escalated 1 of short_vol"]
