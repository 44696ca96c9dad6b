"""Messages: their structure for channels and programs, for each row of the outbox."""

import json
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.notification import Notification
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.notifications.messages import (
    LISTED,
    MAXIMUM_SUBJECT,
    SHOWN,
    UnreadableNotification,
    message_of,
)
from perf_alerts_dagster.notifications.messages import test_message as make_test
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_tests.incidents.incident_desk import (
    DAILY,
    DAY,
    START,
    IncidentDesk,
    breach,
    fine,
    judged,
)
from perf_alerts_tests.notifications.bad_day import (
    URL,
    WORDING,
    a_desk,
    crash,
    level,
    newest,
    six,
)


@pytest.fixture
def desk() -> IncidentDesk:
    return IncidentDesk(settings=NotificationSettings(channels=("mail",)))


def test_a_long_list_is_cut_and_counted(desk: IncidentDesk) -> None:
    desk.judge(*(breach(strategy=f"s{n:03}") for n in range(SHOWN + 5)))
    message = newest(desk)

    assert message.text.endswith(f"and 5 more: {URL}/incidents")
    assert message.text.count("Answer: ") == SHOWN
    assert message.subject.endswith(f"; and {SHOWN + 4} more")
    incidents = message.payload["incidents"]
    assert isinstance(incidents, list)
    assert len(incidents) == message.payload["total"] == SHOWN + 5


def test_a_program_gets_the_worst_of_very_many_and_their_number(desk: IncidentDesk) -> None:
    many = [breach(strategy=f"s{n:03}", severity=Severity.WARNING) for n in range(LISTED)]
    desk.judge(*many, breach(strategy="worst", severity=Severity.EMERGENCY))
    payload = newest(desk).payload

    incidents = payload["incidents"]
    assert isinstance(incidents, list)
    assert (len(incidents), payload["total"]) == (LISTED, LISTED + 1)
    assert isinstance(incidents[0], dict)
    assert incidents[0]["strategy"] == "worst"


def test_an_infinite_number_is_no_number_in_the_payload(desk: IncidentDesk) -> None:
    desk.judge(breach(value=float("inf"), limit=float("nan")))
    found = newest(desk).payload["incidents"]

    assert isinstance(found, list)
    assert isinstance(found[0], dict)
    assert (found[0]["value"], found[0]["limit"]) == (None, None)


@pytest.mark.parametrize(
    "name",
    ["\u202egpj.exe", "a\nSubject: b", "a\x00b\x1b[31m", "\u2028\u2029", "x" * 1000],
)
def test_a_hostile_name_stays_one_short_printable_line(desk: IncidentDesk, name: str) -> None:
    desk.judge(breach(strategy=name, message=name * 10 + "\ud800"))
    message = newest(desk)

    assert message.subject.isprintable()
    assert len(message.subject) <= MAXIMUM_SUBJECT
    assert all(line.isprintable() for line in message.text.split("\n"))
    message.text.encode()


@pytest.mark.parametrize(
    "payload",
    [{}, {"incidents": []}, {"incidents": [{}], "alert": "a", "at": "b"}, {"incidents": "x"}],
)
def test_a_row_that_is_none_of_ours_is_unreadable(payload: dict[str, object]) -> None:
    row = Notification(
        key="k",
        kind="normal",  # type: ignore[arg-type]
        channel="mail",
        payload=payload,  # type: ignore[arg-type]
        items=(),
        created_at=START,
        next_at=START + DAY,
    )
    with pytest.raises(UnreadableNotification):
        message_of(row, wording=Wording(public_url=URL))


def test_a_row_about_no_incident_is_unreadable(desk: IncidentDesk) -> None:
    desk.judge(breach())
    (row,) = desk.memory.rows.values()

    with pytest.raises(UnreadableNotification, match="no incident"):
        message_of(
            replace(row, payload={**row.payload, "incidents": []}), wording=Wording(public_url=URL)
        )


@pytest.mark.parametrize("url", [None, URL])
def test_a_test_message_says_that_nothing_has_happened(url: str | None) -> None:
    message = make_test(START, public_url=url)

    assert message.subject.startswith("[TEST]")
    assert "Nothing has happened" in message.text
    assert message.text.endswith(f"\n{URL}") is (url is not None)


def without_events(row: Notification) -> Notification:
    """The row as the version before has stored it."""
    listed: list[Json] = [
        {name: each for name, each in entry.items() if name not in ("event", "critical_since")}
        for entry in row.payload["incidents"]  # type: ignore[union-attr]
        if isinstance(entry, dict)
    ]
    return replace(row, payload={**row.payload, "incidents": listed})


def test_the_incidents_of_an_event_are_one_in_structure_text_and_payload() -> None:
    desk = a_desk()
    desk.judge(*six(), level("flat_run", "flat since Mon 3 Aug", "flat", strategy="book"))
    message = newest(desk)

    first, second = message.events
    assert (first.leader, first.status, first.severity) == ("short_vol", "open", "critical")
    assert (second.leader, second.severity, len(second.incident_ids)) == ("book", "warning", 1)
    assert len(first.incident_ids) == len(set(first.incident_ids)) == 6
    assert {each.event_id for each in desk.all()} == {first.id, second.id}
    assert first.reasons == ("opened",)
    assert first.title == "[CRITICAL] short_vol -15.0 % on Mon 5 Jan; desk -2.1 %"
    assert first.link == f"{URL}/a/{first.id[:4]}.mail"
    assert message.payload["events"] == [
        {
            "id": each.id,
            "leader": each.leader,
            "status": "open",
            "severity": each.severity,
            "title": each.title,
            "reasons": ["opened"],
            "link": each.link,
            "incidents": list(each.incident_ids),
        }
        for each in message.events
    ]


def test_a_program_gets_every_incident_with_its_event_and_its_own_page() -> None:
    desk = a_desk()
    desk.judge(*six())
    listed = newest(desk).payload["incidents"]

    assert isinstance(listed, list)
    assert newest(desk).payload["total"] == len(listed) == 6
    for each in listed:
        assert isinstance(each, dict)
        assert isinstance(each["event"], dict)
        assert each["event"]["leader"] == "short_vol"
        assert each["link"] == f"{URL}/incidents/{each['id']}"


def test_a_row_of_the_version_before_has_an_event_of_each_incident() -> None:
    desk = a_desk()
    desk.judge(crash(), level("drawdown", "", "it fell", parts={"headline": None}))
    (row,) = desk.memory.rows.values()
    message = message_of(without_events(row), wording=WORDING)

    assert [each.leader for each in message.events] == ["short_vol", "short_vol"]
    assert [[each.id] for each in message.events] == [
        list(each.incident_ids) for each in message.events
    ]
    assert message.subject == "[CRITICAL] short_vol -15.0 % on Mon 5 Jan; and 1 more"
    assert f"Answer: {URL}/incidents/{message.events[0].id}" in message.text


def test_a_recovery_of_the_version_before_has_resolved_its_event() -> None:
    desk = a_desk()
    desk.judge(breach())
    desk.deliver()
    desk.judge_next_day(fine())
    row = without_events(list(desk.memory.rows.values())[-1])

    assert [each.status for each in message_of(row, wording=WORDING).events] == ["resolved"]


def test_an_order_that_a_row_has_lost_is_found_again() -> None:
    desk = a_desk()
    desk.judge(*six(), level("flat_run", "flat since Mon 3 Aug", "flat", strategy="book"))
    (row,) = desk.memory.rows.values()
    listed = row.payload["incidents"]
    assert isinstance(listed, list)
    turned = replace(row, payload={**row.payload, "incidents": listed[::-1]})

    mine, other = (message_of(each, wording=WORDING) for each in (row, turned))
    assert (mine.subject, mine.text, mine.html) == (other.subject, other.text, other.html)
    assert mine.events == other.events


def test_a_recovery_that_was_folded_in_stands_last_and_gives_the_status() -> None:
    desk = a_desk()
    desk.judge(level("drawdown", "-9.0 % below its high", "fell", severity=Severity.EMERGENCY))
    desk.judge(level("flat_run", "flat since Mon 3 Aug", "flat", strategy="book"))
    desk.judge(fine(strategy="short_vol", rule="drawdown", value=-0.01))
    folded, other = (message_of(each, wording=WORDING) for each in desk.memory.rows.values())

    assert folded.is_good_news
    assert [each.status for each in folded.events] == ["resolved"]
    assert not other.is_good_news


def test_only_the_worst_of_the_first_three_events_have_pictures() -> None:
    desk = a_desk()
    names = ("a", "b", "c", "d")
    desk.judge(*(crash(name, parts={"owner": None}) for name in names))
    message = newest(desk)

    assert message.pictured == tuple(each.incident_ids[0] for each in message.events[:3])
    assert message.html.count("<img ") == 3
    with_one = message.html_with(message.pictured[1:2])
    assert with_one.count("<img ") == 1
    assert f'src="cid:{message.pictured[1]}"' in with_one
    assert "<img" not in message.html_with(())


def test_a_fault_of_the_system_has_no_picture() -> None:
    desk = a_desk()
    desk.lifecycle.execution_failed(DAILY, run_id="r", error="no disk", now=desk.now)

    assert newest(desk).pictured == ()


class Tags(HTMLParser):
    """The text, the tags that are open at the end, and the addresses of a document."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.addresses: list[str] = []
        self.words = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("src", "href"):
                self.addresses.append(value or "")
            if tag == "img" and name == "alt":
                assert value

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_html_says_the_same_without_scripts_or_remote_content() -> None:
    desk = a_desk()
    hostile = "<script>alert(1)</script>"
    desk.judge(crash(), level("flat_run", hostile, hostile, strategy=f'"{hostile}"'))
    message = newest(desk)
    tags = Tags(message.html)

    assert tags.open == []
    assert tags.seen <= {
        "html", "head", "meta", "title", "body", "p", "strong", "a", "h2", "img"
    }  # fmt: skip
    assert hostile in tags.words
    for line in message.text.splitlines():
        label, _, rest = line.partition(": ")
        assert label in tags.words
        assert rest.partition(" Runbook: ")[0] in tags.words
    assert all(each.startswith(("https://", "cid:")) for each in tags.addresses)


def test_a_message_is_the_same_at_every_attempt() -> None:
    desk = a_desk()
    desk.judge(*six())
    (row,) = desk.memory.rows.values()

    assert message_of(row, wording=WORDING) == message_of(
        replace(row, attempts=7, fence=9), wording=WORDING
    )


def test_a_channel_may_change_what_it_gets() -> None:
    desk = a_desk()
    desk.judge(*six())
    (row,) = desk.memory.rows.values()
    before = json.dumps(dict(row.payload))
    message_of(row, wording=WORDING).payload["incidents"][0]["parts"].clear()  # type: ignore[index,call-overload,union-attr]

    assert json.dumps(dict(row.payload)) == before


def test_only_events_that_last_and_are_listed_ask_for_a_link_of_their_own() -> None:
    asked: list[str] = []

    def links_of(event_ids: Sequence[str], channel: str) -> dict[str, str]:
        asked.extend(f"{each} {channel}" for each in event_ids)
        return {}

    wording = Wording(public_url=URL, links_of=links_of)
    desk = a_desk(digest=True)
    desk.judge(*(breach(strategy=f"s{n:03}") for n in range(LISTED + 5)))
    message = newest(desk, wording)
    assert len(asked) == len(set(asked)) == len(message.events) == LISTED
    assert asked[0] == f"{message.events[0].id} mail"

    asked.clear()
    desk.lifecycle.digest(judged(breach()), now=desk.now)
    newest(desk, wording)
    assert asked == []

    over = a_desk()
    over.judge(breach())
    over.deliver()
    over.judge_next_day(fine())
    assert f"See: {URL}/incidents/{over.only().id}" in newest(over, wording).text
    assert asked == []
