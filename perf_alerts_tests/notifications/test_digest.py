"""The digest: once a day, also when all is well."""

from dataclasses import replace
from typing import Any

import pytest

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.digest import is_all_well
from perf_alerts_dagster.incidents.ledger import Opening
from perf_alerts_dagster.incidents.model import Resolution
from perf_alerts_dagster.incidents.notification import MessageKind
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Judgement, Outcome
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
    assert mail.subject == "[DIGEST] Mon 5 Jan: all is well"
    assert mail.text.splitlines() == [
        "1 of 1 strategies and groups were judged for Mon 5 Jan, by 1 evaluation.",
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
    desk.deliver()
    desk.wait(HOUR)
    judgement = judged(
        breach(severity=Severity.CRITICAL),
        breach(strategy="carry"),
        breach(strategy="value", evidence=Evidence.WEAK),
        breach(strategy="late", rule="no_data", outcome=Outcome.NO_DATA),
        judged_at=desk.now,
    )
    desk.lifecycle.digest(judgement, now=desk.now)

    message = digests(desk)[0]
    assert message.subject == (
        "[DIGEST] Mon 5 Jan: 1 not judged; 2 open, worst trend: max drawdown -0.3; 1 weak"
    )
    assert message.text.splitlines() == [
        "Not judged: late the drawdown is 30 %.",
        "3 of 4 strategies and groups were judged for Mon 5 Jan, by 4 evaluations.",
        "2 events still open:",
        "- [CRITICAL] trend: max drawdown -0.3",
        "- [WARNING] carry: max drawdown -0.3",
        "Weak signs, nearest their limit first:",
        "- value the drawdown is 30 % (1.0 % of healthy years, notified at 5.0 %)",
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
    assert message.subject == "[DIGEST] Mon 5 Jan: 1 with too little data; 1 judged in part"
    lines = message.text.splitlines()
    assert lines[2].startswith("1 of 3 strategies and groups were judged for Mon 5 Jan, by ")
    assert lines[:2] + lines[3:] == [
        "Too little data: new_ml 40 of 756 rows; watched only for data and drawdown.",
        "Judged in part: carry no row of 2026-01-02.",
        "No incident is open.",
        BUDGET.replace("0 of 0 stated w", "0 of 0.1 stated w").replace("of 0 s", "of 0.03 s"),
        f"{URL}/incidents",
    ]
    assert message.payload["all_is_well"] is False


def test_a_breach_that_a_person_has_resolved_is_not_well(desk: IncidentDesk) -> None:
    desk.lifecycle.digest(judged(fine(), breach(strategy="carry")), now=desk.now)

    assert digests(desk)[0].subject == "[DIGEST] Mon 5 Jan: 2 of 2 judged, none open"


def test_a_row_that_does_not_say_whether_all_is_well_claims_nothing(desk: IncidentDesk) -> None:
    desk.lifecycle.digest(judged(fine()), now=desk.now)
    row = next(iter(desk.memory.rows.values()))
    later = ("all_is_well", "judged", "partial", "too_little")
    payload = {name: value for name, value in row.payload.items() if name not in later}
    message = message_of(replace(row, payload=payload), wording=Wording(public_url=URL))

    assert message.subject == "[DIGEST] Mon 5 Jan: 1 of 1 judged, none open"


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

    assert digests(desk)[0].payload["unmeasured"] == [
        {"strategy": "trend", "rule": "no_data", "headline": "the drawdown is 30 %", "so": ""}
    ]


@pytest.mark.parametrize("names", [["eu"], ["eu", "us"]])
def test_a_group_without_a_late_member_is_said_by_its_cause(
    desk: IncidentDesk, names: list[str]
) -> None:
    since = {"headline": "no rows since Fri 26 Dec (5 sessions late)"}
    late = [
        fine(strategy=name, rule="no_data", outcome=Outcome.NO_DATA, parts=since) for name in names
    ]
    lacks = {"absent": names, "lacks": f"5 of 6, 80 % of capital; missing: {', '.join(names)}"}
    groups = [
        fine(strategy=name, outcome=outcome, message="+15.7 % in 235 sessions", parts=lacks)
        for name, outcome in (("ALL", Outcome.PARTIAL), ("group:x", Outcome.NO_DATA))
    ]
    desk.lifecycle.digest(judged(fine(strategy="a"), *late, *groups), now=desk.now)
    message = digests(desk)[0]

    said = "eu" if len(names) == 1 else "2 strategies"
    which, pronoun = ("", "it") if len(names) == 1 else (": eu, us", "them")
    assert message.text.splitlines()[:2] == [
        f"Not judged: {said} {since['headline']}{which}; so group:x (5 of 6, 80 % of capital) is "
        f"not judged and ALL (5 of 6, 80 % of capital) is judged without {pronoun}.",
        f"1 of {len(names) + 3} strategies and groups were judged for Mon 5 Jan, by "
        f"{len(names) + 3} evaluations.",
    ]
    assert message.subject == f"[DIGEST] Mon 5 Jan: {len(names)} not judged"


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


def late(strategy: str, headline: str = "no rows since Fri 2 Jan (1 session late)") -> Evaluation:
    return fine(
        strategy=strategy,
        rule="stale_data",
        outcome=Outcome.BREACH,
        severity=Severity.INFO,
        evidence=Evidence.UNGATED,
        parts={"headline": headline},
    )


def test_a_late_source_is_one_line_for_all_its_strategies(desk: IncidentDesk) -> None:
    names = [f"s{place}" for place in range(12)]
    gone = "no rows since Mon 29 Dec (5 sessions late)"
    missing = [
        fine(strategy=f"g{place}", rule="no_data", outcome=Outcome.NO_DATA, message=gone)
        for place in range(3)
    ]
    desk.lifecycle.digest(judged(*map(late, names), late("other", "x"), *missing), now=desk.now)
    message = digests(desk)[0]

    assert message.text.splitlines()[:2] == [
        f"Not judged: 3 strategies {gone}: g0, g1, g2.",
        "Late: 12 strategies no rows since Fri 2 Jan (1 session late): s0, s1, s10, s11, s2 "
        "and 7 more; other x.",
    ]
    assert message.subject == "[DIGEST] Mon 5 Jan: 3 not judged; 13 late"
    assert "Weak" not in message.text


def test_very_many_reasons_are_counted(desk: IncidentDesk) -> None:
    gone = [
        fine(strategy=f"g{place:02}", rule="no_data", outcome=Outcome.NO_DATA, message=f"m{place}")
        for place in range(22)
    ]
    desk.lifecycle.digest(judged(*gone), now=desk.now)

    assert digests(desk)[0].text.splitlines()[0].endswith("g19 m19; and 2 more.")


def test_weak_signs_are_a_line_a_strategy_the_nearest_to_its_limit_first(
    desk: IncidentDesk,
) -> None:
    def weak(strategy: str, **changes: Any) -> Evaluation:
        return breach(strategy=strategy, evidence=Evidence.WEAK, **changes)

    desk.lifecycle.digest(
        judged(
            weak("far", p_year=0.5, message="far"),
            weak("near", p_year=0.06, message="near"),
            weak("near", rule="other", p_year=0.4, message="less near"),
            weak("own", p_year=0.012, message="own", parts={"levels": {"warning": 0.01}}),
            weak("unrated", p_year=None, value=-0.21, message="beyond by a little"),
            weak("unrated_too", p_year=None, value=-0.4, message="beyond by much"),
            weak("no_limit", p_year=None, limit=0.0, message="beyond nothing"),
        ),
        now=desk.now,
    )
    message = digests(desk)[0]

    lines = [each for each in message.text.splitlines() if each.startswith("- ")]
    assert lines == [
        "- near near (6.0 % of healthy years, notified at 5.0 %); and 1 more",
        "- own own (1.2 % of healthy years, notified at 1.0 %)",
        "- far far (50.0 % of healthy years, notified at 5.0 %)",
        "- unrated beyond by a little",
        "- unrated_too beyond by much",
        "- no_limit beyond nothing",
    ]


def test_a_strong_breach_is_no_weak_sign_unless_an_upgrade_holds_it(desk: IncidentDesk) -> None:
    told_elsewhere = {"told_as": "info", "headline": "earns less than its backtest"}
    held = {"told_as": "info", "held": {}, "headline": "-22.4 % below its high of 3 Feb"}
    note = "fell; not notified: found by the new method"
    desk.lifecycle.digest(
        judged(
            breach(rule="mean_shortfall_252", parts=told_elsewhere),
            breach(rule="interval_breach", severity=Severity.INFO),
            breach(strategy="held", parts=held, message=note),
        ),
        now=desk.now,
    )

    assert digests(desk)[0].payload["weak"] == [
        {
            "strategy": "held",
            "rule": "max_drawdown",
            "headline": note,
            "value": -0.3,
            "limit": -0.2,
            "p_year": 0.01,
            "level": None,
        }
    ]


def test_a_breach_whose_incident_is_open_is_no_weak_sign(desk: IncidentDesk) -> None:
    desk.judge(breach(), breach(strategy="carry"))
    weak = breach(evidence=Evidence.WEAK, p_year=0.06)
    found = judged(weak, replace(weak, rule="other"), replace(weak, strategy="value"))
    desk.lifecycle.digest(found, now=desk.now)

    listed = digests(desk)[0].payload["weak"]
    assert isinstance(listed, list)
    assert [(each["strategy"], each["rule"]) for each in listed if isinstance(each, dict)] == [
        ("trend", "other"),
        ("value", "max_drawdown"),
    ]


@pytest.mark.parametrize("length", range(8, 66))
def test_a_subject_has_whole_parts_in_so_much_room_as_there_is(
    desk: IncidentDesk, length: int
) -> None:
    parts = {"headline": "earns 27.8 % a year below its backtest since 2 Dec 2025"}
    desk.judge(breach(strategy="s" * length, parts=parts))
    gone = [fine(strategy=f"g{place}", outcome=Outcome.NO_DATA) for place in range(12)]
    weak = breach(strategy="carry", evidence=Evidence.WEAK)
    part = fine(strategy="part", outcome=Outcome.PARTIAL)
    desk.lifecycle.digest(judged(*gone, part, weak), now=desk.now)
    subject = digests(desk)[0].subject

    assert len(subject) <= 120
    said = ["12 not judged", "1 open", "1 judged in part", "1 weak"]
    worst = f", worst {'s' * length} {parts['headline']}"
    shown = subject.removeprefix("[DIGEST] Mon 5 Jan: ").replace(worst, "").split("; ")
    assert shown in (said, [*said[:2], "…"], [*said[:3], "…"], [*said, "…"])


def test_it_only_counts_what_was_sent_by_the_same_execution(desk: IncidentDesk) -> None:
    desk.judge(breach(strategy="older"))
    desk.deliver()
    desk.wait(DAY)
    fell = breach(strategy="carry", severity=Severity.CRITICAL)
    desk.judge(fell, breach(strategy="value"), breach(strategy="older"))
    judgement = judged(breach(), judged_at=desk.now)
    # One message was delivered, the other still waits.
    desk.memory.claim(desk.now, "postman", HOUR, channels=["mail"])
    desk.wait(HOUR / 60)
    desk.lifecycle.digest(judgement, now=desk.now)
    mail, chat = digests(desk)

    for message in (mail, chat):
        lines = message.text.splitlines()
        assert lines[1:4] == [
            "2 events were sent at 18:01 UTC.",
            "1 event still open:",
            "- [WARNING] older: max drawdown -0.3; open since Mon 5 Jan; 2 rules"
            if "2 rules" in lines[3]
            else "- [WARNING] older: max drawdown -0.3",
        ]
        assert isinstance(message.payload["incidents"], list)
        assert len(message.payload["incidents"]) == 3
    assert "3 open, worst carry: max drawdown -0.3" in mail.subject


def test_a_channel_that_was_not_sent_an_event_has_it_listed(desk: IncidentDesk) -> None:
    desk.set(minimum={"chat": Severity.CRITICAL})
    desk.judge(breach())
    desk.lifecycle.digest(judged(breach(), judged_at=desk.now), now=desk.now)
    mail, chat = digests(desk)

    assert "1 event was sent at 18:00 UTC." in mail.text
    assert "was sent" not in chat.text
    assert "1 event still open:\n- [WARNING] trend: max drawdown -0.3" in chat.text


def test_an_open_event_is_a_line_with_since_when_and_who_answered(desk: IncidentDesk) -> None:
    fell = {"parts": {"headline": "-22.4 % below its high of 3 Feb"}, "strategy": "carry"}
    desk.judge(breach(**fell), breach(**fell, rule="other"))
    desk.deliver()
    desk.judge_next_day(breach(**fell), breach(**fell, rule="other"))
    desk.lifecycle.acknowledge_event(desk.all()[0].event_id, by="ann", now=desk.now)
    desk.deliver()
    desk.wait(HOUR)
    desk.lifecycle.digest(judged(fine(), as_of=desk.day, judged_at=desk.now), now=desk.now)

    assert (
        "- [WARNING] carry -22.4 % below its high of 3 Feb; open since Mon 5 Jan; "
        "acknowledged by ann; 2 rules"
    ) in digests(desk)[0].text.splitlines()


def test_what_could_not_be_judged_is_not_listed_again_as_open(desk: IncidentDesk) -> None:
    missing = fine(
        strategy="eu",
        rule="no_data",
        outcome=Outcome.NO_DATA,
        severity=Severity.CRITICAL,
        message="no rows since Mon 29 Dec",
    )
    # Of which the source has others.
    whole = fine(strategy="us", rule="no_data", value=0.0)
    desk.judge(missing, whole)
    desk.deliver()
    desk.wait(HOUR)
    desk.lifecycle.digest(judged(missing, whole, judged_at=desk.now), now=desk.now)
    message = digests(desk)[0]

    assert message.text.splitlines()[0] == "Not judged: eu no rows since Mon 29 Dec."
    assert "still open" not in message.text
    assert "No incident is open" not in message.text
    assert "1 not judged; 1 open, worst eu" in message.subject


def test_the_digest_of_the_version_before_still_renders(desk: IncidentDesk) -> None:
    desk.judge(breach(severity=Severity.CRITICAL))
    desk.deliver()
    desk.wait(HOUR)
    weak = breach(strategy="value", evidence=Evidence.WEAK)
    desk.lifecycle.digest(judged(weak, judged_at=desk.now), now=desk.now)
    row = next(one for one in desk.memory.rows.values() if one.kind is MessageKind.DIGEST)
    older = {name: each for name, each in row.payload.items() if name not in ("partial", "judged")}
    older["weak"] = [{"strategy": "value", "rule": "drawdown"}]
    listed = row.payload["incidents"]
    assert isinstance(listed, list)
    gone = ("sent_at", "event", "critical_since", "over")
    older["incidents"] = [
        {name: value for name, value in each.items() if name not in gone}
        for each in listed
        if isinstance(each, dict)
    ]
    message = message_of(replace(row, payload=older), wording=Wording(public_url=URL))

    assert message.text.splitlines()[1:5] == [
        "1 event still open:",
        "- [CRITICAL] trend: max drawdown -0.3",
        "Weak signs, nearest their limit first:",
        "- value drawdown",
    ]
