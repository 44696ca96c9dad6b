"""The digest: once a day, also when all is well."""

from dataclasses import replace

import pytest

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.digest import is_all_well
from perf_alerts_dagster.incidents.ledger import Opening
from perf_alerts_dagster.incidents.model import Resolution
from perf_alerts_dagster.incidents.notification import MessageKind
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.judging.evaluation import Evidence, Judgement, Outcome
from perf_alerts_dagster.notifications.messages import (
    LISTED,
    Message,
    UnreadableNotification,
    message_of,
)
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_dagster.scheduler.port import Downtime
from perf_alerts_tests.builders import a_record, noise
from perf_alerts_tests.executions.trading_desk import judge
from perf_alerts_tests.incidents.incident_desk import (
    DAY,
    HOUR,
    IncidentDesk,
    breach,
    fine,
    judged,
)

URL = "https://alerts.example"
# None of these evaluations is of a rule by which strategies that share a budget are counted.
BUDGET = (
    "false-alarm budget: 0 of 0 stated warnings a year and 0 of 0 stated criticals opened in "
    "the last 365 days, rightly or not"
)


@pytest.fixture
def desk() -> IncidentDesk:
    return IncidentDesk(settings=NotificationSettings(channels=("mail", "chat"), digest=True))


def digests(desk: IncidentDesk) -> list[Message]:
    rows = [one for one in desk.memory.rows.values() if one.kind is MessageKind.DIGEST]
    return [message_of(one, wording=Wording(public_url=URL)) for one in rows]


def test_it_says_when_all_is_well(desk: IncidentDesk) -> None:
    desk.lifecycle.digest(judged(fine()), now=desk.now)

    mail, chat = digests(desk)
    assert mail.subject == "[DIGEST] 2026-01-05: all is well"
    assert mail.text.splitlines() == [
        "1 of 1 strategies and groups were judged for 2026-01-05, by 1 evaluations.",
        "No incident is open.",
        BUDGET,
        f"{URL}/incidents",
    ]
    assert mail.key != chat.key
    assert mail.kind == "digest"
    assert mail.payload == {
        "key": mail.key,
        "kind": "digest",
        "alert": "daily_pnl_check",
        "at": desk.now.isoformat(),
        "as_of": "2026-01-05",
        "subject": mail.subject,
        "text": mail.text,
        "all_is_well": True,
        "strategies": 1,
        "judged": 1,
        "evaluations": 1,
        "incidents": [],
        "false_alarms": mail.text.splitlines()[2],
        "weak": [],
        "unmeasured": [],
        "partial": [],
        "too_little": [],
        "totals": {"incidents": 0, "weak": 0, "unmeasured": 0, "partial": 0, "too_little": 0},
    }


def test_it_says_how_many_of_the_openings_that_are_stated_there_were(desk: IncidentDesk) -> None:
    openings = [Opening(strategy="trend", rule="drawdown", severity=Severity.CRITICAL)]
    lifecycle = replace(desk.lifecycle, openings=lambda now: openings * (now == desk.now))
    found = [fine(strategy=f"s{place}", rule="drawdown") for place in range(40)]
    lifecycle.digest(judged(*found), now=desk.now)

    assert digests(desk)[0].text.splitlines()[-2] == (
        "false-alarm budget: 1 of 4 stated warnings a year and 1 of 1.2 stated criticals opened in "
        "the last 365 days, rightly or not"
    )


def test_it_lists_what_is_open_weak_and_not_judged(desk: IncidentDesk) -> None:
    desk.judge(breach(severity=Severity.CRITICAL), breach(strategy="carry"))
    judgement = judged(
        breach(severity=Severity.CRITICAL),
        breach(strategy="carry"),
        breach(strategy="value", evidence=Evidence.WEAK),
        breach(strategy="late", rule="no_data", outcome=Outcome.NO_DATA),
    )
    desk.lifecycle.digest(judgement, now=desk.now)

    message = digests(desk)[0]
    assert message.subject == (
        "[DIGEST] 2026-01-05: 2 open, 1 weak breaches, 1 not judged for want of data"
    )
    assert message.text.splitlines()[1:] == [
        "Open: 1 critical, 1 warning.",
        "- [CRITICAL] trend: max drawdown",
        "- [WARNING] carry: max drawdown",
        "1 weak breaches:",
        "- value: max_drawdown",
        "1 not judged for want of data:",
        "- late: no_data",
        BUDGET,
        f"{URL}/incidents",
    ]


def test_too_little_data_and_a_partial_judgement_are_listed_and_not_well(
    desk: IncidentDesk,
) -> None:
    young = judge(a_record(noise(40), strategy="new_ml")).evaluations
    gap = fine(strategy="carry", outcome=Outcome.PARTIAL, message="no row of 2026-01-02")
    desk.lifecycle.digest(judged(fine(), gap, *young), now=desk.now)

    message = digests(desk)[0]
    assert message.subject == "[DIGEST] 2026-01-05: 1 judged in part, 1 with too little data"
    assert message.text.startswith("1 of 3 strategies and groups were judged for 2026-01-05, by ")
    assert message.text.splitlines()[1:] == [
        "No incident is open.",
        "1 judged in part:",
        "- carry: no row of 2026-01-02",
        "1 with too little data:",
        "- new_ml: 40 of 756 rows; watched only for data and drawdown",
        BUDGET.replace("0 of 0 stated w", "0 of 0.1 stated w").replace("of 0 s", "of 0.03 s"),
        f"{URL}/incidents",
    ]
    assert message.payload["all_is_well"] is False


def test_a_breach_that_a_person_has_resolved_is_not_well(desk: IncidentDesk) -> None:
    desk.lifecycle.digest(judged(fine(), breach(strategy="carry")), now=desk.now)

    assert digests(desk)[0].subject == "[DIGEST] 2026-01-05: 2 of 2 judged, none open"


def test_a_row_that_does_not_say_whether_all_is_well_claims_nothing(desk: IncidentDesk) -> None:
    desk.lifecycle.digest(judged(fine()), now=desk.now)
    row = next(iter(desk.memory.rows.values()))
    later = ("all_is_well", "judged", "partial", "too_little")
    payload = {name: value for name, value in row.payload.items() if name not in later}
    message = message_of(replace(row, payload=payload), wording=Wording(public_url=URL))

    assert message.subject == "[DIGEST] 2026-01-05: 1 of 1 judged, none open"


@pytest.mark.parametrize(
    ("judgement", "is_well"),
    [
        (judged(fine()), True),
        (judged(fine(), provisional=True), False),
        (judged(fine(), fine(strategy="ALL", provisional=True)), False),
        (judged(fine(), recorded_only=True), False),
        (judged(), False),
        *(
            (judged(fine(), fine(strategy="carry", outcome=outcome)), False)
            for outcome in Outcome
            if outcome is not Outcome.OK
        ),
    ],
)
def test_all_is_well_only_where_everything_was_judged_and_final(
    judgement: Judgement, *, is_well: bool
) -> None:
    assert is_all_well(judgement, []) is is_well


def test_nothing_is_well_while_an_incident_is_open(desk: IncidentDesk) -> None:
    desk.judge(breach())
    opened = desk.only()
    desk.wait(HOUR)
    desk.lifecycle.resolve(opened.id, by="ann", outcome=Resolution.KNOWN, now=desk.now)

    assert not is_all_well(judged(fine()), [opened])
    assert is_all_well(judged(fine()), desk.all())


def test_a_program_gets_the_worst_of_very_many_and_their_number(desk: IncidentDesk) -> None:
    weak = [breach(strategy=f"s{n:03}", evidence=Evidence.WEAK) for n in range(LISTED + 5)]
    desk.lifecycle.digest(judged(*weak), now=desk.now)

    payload = digests(desk)[0].payload
    assert isinstance(payload["weak"], list)
    assert len(payload["weak"]) == LISTED
    assert isinstance(payload["totals"], dict)
    assert payload["totals"]["weak"] == LISTED + 5


def test_a_day_has_one(desk: IncidentDesk) -> None:
    desk.lifecycle.digest(judged(fine()), now=desk.now)
    desk.lifecycle.digest(judged(fine(), run_id="again"), now=desk.now + HOUR)
    assert len(digests(desk)) == 2

    desk.lifecycle.digest(judged(fine(), as_of=desk.day + DAY), now=desk.now + DAY)
    assert len(digests(desk)) == 4


def test_who_only_observes_gets_it(desk: IncidentDesk) -> None:
    desk.set(observe_only=True)
    desk.judge(breach())
    desk.lifecycle.digest(judged(breach()), now=desk.now)

    assert [one.kind for one in digests(desk)] == ["digest", "digest"]
    assert len(desk.memory.rows) == 2


def test_it_is_off_unless_it_is_asked_for(desk: IncidentDesk) -> None:
    desk.set(digest=False)
    desk.lifecycle.digest(judged(fine()), now=desk.now)

    assert digests(desk) == []


def test_its_delivery_touches_no_incident(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.deliver()
    notified = desk.only().last_notified_at
    desk.wait(HOUR)
    desk.lifecycle.digest(judged(fine()), now=desk.now)
    assert len(desk.deliver()) == 2

    assert desk.only().last_notified_at == notified


def test_a_long_list_is_counted(desk: IncidentDesk) -> None:
    weak = [breach(strategy=f"s{n:02}", evidence=Evidence.WEAK) for n in range(25)]
    desk.lifecycle.digest(judged(*weak), now=desk.now)

    assert "- and 5 more" in digests(desk)[0].text


@pytest.mark.parametrize("more", [0, 1])
def test_a_list_that_is_as_long_as_what_is_shown_is_whole(desk: IncidentDesk, more: int) -> None:
    weak = [breach(strategy=f"s{n:02}", evidence=Evidence.WEAK) for n in range(20 + more)]
    desk.lifecycle.digest(judged(*weak), now=desk.now)
    lines = digests(desk)[0].text.splitlines()

    assert sum(line.startswith("- s") for line in lines) == 20
    assert [line for line in lines if "more" in line] == ["- and 1 more"] * more


@pytest.mark.parametrize("name", ["incidents", "weak", "unmeasured", "partial", "too_little"])
@pytest.mark.parametrize("broken", ["x", {"strategy": "trend"}, None, 1])
def test_a_digest_whose_lists_are_none_is_unreadable(
    desk: IncidentDesk, name: str, broken: Json
) -> None:
    desk.lifecycle.digest(judged(fine()), now=desk.now)
    row = next(iter(desk.memory.rows.values()))

    with pytest.raises(UnreadableNotification, match="TypeError"):
        message_of(
            replace(row, payload={**row.payload, name: broken}), wording=Wording(public_url=URL)
        )


def test_without_an_address_of_pages_it_has_no_link(desk: IncidentDesk) -> None:
    desk.lifecycle.digest(judged(fine()), now=desk.now)
    row = next(one for one in desk.memory.rows.values() if one.kind is MessageKind.DIGEST)

    assert "http" not in message_of(row, wording=Wording()).text


def test_a_digest_that_is_none_of_ours_is_unreadable(desk: IncidentDesk) -> None:
    desk.lifecycle.digest(judged(fine()), now=desk.now)
    row = next(one for one in desk.memory.rows.values() if one.kind is MessageKind.DIGEST)

    with pytest.raises(UnreadableNotification):
        message_of(
            replace(row, payload={**row.payload, "incidents": "x"}), wording=Wording(public_url=URL)
        )


def test_a_strategy_whose_newest_row_is_missing_is_listed_once(desk: IncidentDesk) -> None:
    late = [fine(rule=rule, outcome=Outcome.NO_DATA) for rule in ("no_data", "drawdown", "cusum")]
    desk.lifecycle.digest(judged(*late), now=desk.now)

    assert digests(desk)[0].payload["unmeasured"] == [{"strategy": "trend", "rule": "no_data"}]


def test_the_next_digest_says_once_that_the_system_was_down(desk: IncidentDesk) -> None:
    since = desk.now - DAY
    missed = {"daily_pnl_check": 1, "weekly_stability_check": 1}
    waiting = [Downtime(since=since, until=desk.now, missed=missed)]
    lifecycle = replace(
        desk.lifecycle, take_downtime=lambda now: waiting.pop() if waiting else None
    )
    lifecycle.digest(judged(fine()), now=desk.now)
    lifecycle.digest(judged(fine(), as_of=desk.day + DAY), now=desk.now + DAY)

    first, _, later, _ = digests(desk)
    # The alert that sends the digest has run by now.
    line = str(Downtime(since=since, until=desk.now, missed=missed, caught_up=("daily_pnl_check",)))
    assert line in first.text.splitlines()
    assert first.payload["downtime"] == line
    assert "sign of life" not in later.text
