"""A state folder that version 3.0.0 made opens with everything in it; see `stored_state`."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_tests.stored_state import (
    LATER,
    NEXT_EVENING,
    Stored,
    Tables,
    command,
    execute,
    missing,
    notified_by_commands,
    notified_by_dagster,
    notified_by_rest,
    pages,
    projections_read,
    table_rows,
    unpacked,
)


@pytest.fixture(params=["sqlite", "postgresql"])
def stored(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Stored:
    """A copy as the version before left it; the environment points at it."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("fresh_postgres_url")
    found = unpacked(tmp_path, url)
    monkeypatch.chdir(tmp_path)
    for name, value in found.environ.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def before(stored: Stored) -> Any:
    """What the version before read from it, and did next."""
    return stored.before


def changes(before: object, now: object) -> list[str]:
    """What was lost, through JSON as it was stored."""
    return list(missing(before, json.loads(json.dumps(now))))


# What evidence says of an evaluation or an incident: another method, other figures, of which the
# severity that a breach is notified at follows.
EVIDENCE = {
    "p_year", "false_alarm_rate", "power", "days_to_half", "evidence", "told_as", "trend",
    "benjamini_hochberg", "union_false_alarm_rate", "newest_severity", "position", "sequential_p",
    "critical_count", "warning_count", "alerts_generated", "weak",
}  # fmt: skip
# Sentences are worded anew, with numbers in the unit people use.
WORDS = {"message"}
CUSUM = "life_cusum"
# Of the size of moves since it changed, where it was the volatility of 63 rows.
SHIFT = "volatility_shift"
MEASURE = {"value", "limit", "observations", "required", "message"}


def forget_the_evidence(before: Any) -> None:
    """Leave out the old methods' figures, and the life CUSUM of those without an incident of it.

    That of `carry`, which has one, keeps its share of healthy years.
    """
    if isinstance(before, list):
        for one in before:
            forget_the_evidence(one)
    if not isinstance(before, dict):
        return
    own = {"p_year", "false_alarm_rate"} if before.get("rule") == CUSUM else set()
    # A drawdown is an emergency by the strategy's own line now.
    is_drawdown = "outcome" in before and before.get("rule") == "drawdown"
    if is_drawdown or ("outcome" not in before and "status" not in before):
        before.pop("severity", None)
    if isinstance(before.get("evaluations"), int):
        before.pop("evaluations")
    measured = MEASURE if before.get("rule") == SHIFT else set()
    for name in (EVIDENCE - own | measured | WORDS) & before.keys():
        before.pop(name)
    for name, value in before.items():
        if name == "evaluations":
            value[:] = [
                one
                for one in value
                if one["rule"] != CUSUM or one.get("strategy", before.get("strategy")) == "carry"
            ]
        forget_the_evidence(value)


# What a row, an incident or an entry is about; the order of the worst first goes by evidence.
ABOUT = ("id", "alert_id", "incident_id", "dedup_key", "strategy", "rule", "projection", "as_of")


def by_subject(done: Any) -> Any:
    """The same, where a list of what is about something goes by that and not by its order."""
    if isinstance(done, dict):
        return {name: by_subject(value) for name, value in done.items()}
    if not isinstance(done, list) or not all(isinstance(one, dict) for one in done):
        return done
    found: dict[str, Any] = {}
    for one in done:
        key = "|".join(str(one[name]) for name in ABOUT if name in one)
        found[f"{key} {sum(each.startswith(key) for each in found)}"] = by_subject(one)
    return found


def kept(before: Tables, now: Tables) -> list[str]:
    """Rows, by their tables, that are not there any more; columns may have been added."""
    return [
        f"{table}: {row}"
        for table, rows in before.items()
        if table != "alert_store_version"
        for row in rows
        if not any(row.items() <= one.items() for one in now[table])
    ]


def test_migrating_keeps_every_row_of_every_table(stored: Stored) -> None:
    found = table_rows(stored.settings)
    command("migrate")

    assert [name for name, rows in found.items() if not rows] == []
    now = table_rows(stored.settings)
    assert {name: len(rows) for name, rows in found.items()}.items() <= {
        name: len(rows) for name, rows in now.items()
    }.items()
    assert kept(found, now) == []


def test_everything_in_it_is_read_as_the_version_before_read_it(
    stored: Stored, before: Any
) -> None:
    command("migrate")

    assert changes(before["commands"], notified_by_commands()) == []
    # The arrays of every projection, bit for bit.
    assert projections_read(stored.settings) == before["projections"]
    # Its runs, and the schedules that were switched off.
    found = notified_by_dagster(stored.settings)
    assert changes(before["dagster"], found) == []
    assert {name for name, status in found["schedules"].items() if status == "STOPPED"} == {
        "evening_performance_check_schedule",
        "weekly_stability_check_schedule",
    }


def test_each_unresolved_incident_has_become_an_event_of_its_own(stored: Stored) -> None:
    command("migrate")

    tables = table_rows(stored.settings)
    events = {one["id"]: one for one in tables["events"]}
    unresolved = [one for one in tables["incidents"] if one["status"] != "resolved" or one["owes"]]
    assert unresolved
    assert {one["id"] for one in unresolved} == set(events)
    for one in unresolved:
        event, body = events[one["id"]], json.loads(one["body"])
        assert one["event_id"] == event["id"]
        assert event["leader"] == (one["strategy"] or body["dedup_key"])
        assert (event["status"], event["severity"]) == (one["status"], one["severity"])
        day = body["session"] or body["first_as_of"] or str(one["opened_at"])[:10]
        assert event["first_session"] == day
        assert event["escalation_step"] == body["escalation_step"]


def test_the_next_executions_do_what_the_version_before_did(stored: Stored, before: Any) -> None:
    command("migrate")

    again = execute(stored.settings, "again", LATER)
    once_more = execute(stored.settings, "once-more", LATER)
    answers = notified_by_rest(stored)
    stored.add_next_session()
    following = execute(stored.settings, "next", NEXT_EVENING)

    # The rows themselves are kept in place of their hashes, without a judgement for it.
    # Groups have those of their members.
    replaced = [done["tables"].pop("month_hashes") for done in (again, following)]
    assert {row["hash"][:2] for rows in replaced for row in rows} == {"2:"}
    names = ["carry", "trend_fast", "trend_slow", "value"]
    assert sorted({row["strategy"] for row in replaced[0]}) == names
    for kept_before in (before["again"], before["next"]):
        kept_before["tables"].pop("month_hashes")
        kept_before["gone"].pop("month_hashes", None)
    for name in ("again", "rest", "next"):
        forget_the_evidence(before[name])
    sent = [one for one in following["tables"]["notifications"] if one["kind"] != "digest"]
    for done in (before["next"], following):
        rows = done["tables"]["notifications"]
        rows[:] = sorted(
            (one for one in rows if one["kind"] == "digest"), key=lambda one: one["channel"]
        )
    assert changes(by_subject(before["again"]), by_subject(again)) == []
    # No message, no opening, no end of an incident, and the second time nothing at all.
    assert again["tables"]["notifications"] == []
    assert {one["what"] for one in again["tables"]["incident_entries"]} == {"breached"}
    # When the source was last read is kept each time, and once that calendars are kept by now.
    assert {one["year"] for one in once_more["tables"].pop("series")} == {0}
    assert [name for name, rows in once_more["tables"].items() if rows] == []
    assert changes(by_subject(before["rest"]), by_subject(answers)) == []
    # What opens went beyond its level on that day: the session before it was within it.
    notices = [notice for one in sent for notice in one["payload"]["incidents"]]
    outcomes = {
        (one["strategy"], one["rule"]): one["outcome"] for one in again["tables"]["evaluations"]
    }
    assert {outcomes[one["strategy"], one["rule"]] for one in notices} <= {"ok"}
    # The change alone restates nothing: one judgement, of the new session.
    assert changes(by_subject(before["next"]), by_subject(following)) == []
    assert [(one["as_of"], one["restated"]) for one in following["tables"]["judgements"]] == [
        ("2026-11-30", False)
    ]


@pytest.mark.parametrize("is_next", [False, True], ids=["the same record", "a further session"])
def test_the_day_of_an_upgrade_opens_raises_and_ends_nothing(stored: Stored, is_next: bool) -> None:
    command("migrate")
    found = table_rows(stored.settings)
    if is_next:
        stored.add_next_session()

    now = NEXT_EVENING if is_next else LATER
    done = [execute(stored.settings, f"first-{alert}", now, alert=alert) for alert in BY_NAME]

    # An execution that failed before succeeds; nothing else opens, rises or ends.
    failed = {row["id"] for row in found["incidents"] if row["rule"] == "execution_failed"}
    entries = [row for each in done for row in each["tables"]["incident_entries"]]
    assert {row["what"] for row in entries if row["incident_id"] not in failed} == {"breached"}
    after = table_rows(stored.settings)
    assert [
        (row["id"], row["severity"], row["status"])
        for row in found["incidents"]
        if row["id"] not in failed
    ] == [
        (row["id"], row["severity"], row["status"])
        for row in after["incidents"]
        if row["id"] not in failed
    ]
    # No rule that was rated is silent: what those of decay find is the gap since launch, which is
    # rated, and is held back.
    evaluations = done[0]["tables"]["evaluations"]
    held = [row for row in evaluations if "held" in row["parts"]]
    assert {row["rule"] for row in held} == {"gap_since_launch"}
    assert "unrated" not in {row["evidence"] for row in evaluations}
    assert {row["evidence"] for row in held} == {"strong"}
    # The launch projections are those that were there; only their calibrations are new.
    projections = {row["kind"] for row in done[0]["tables"]["projections"]}
    assert {kind.partition("-")[0] for kind in projections} == {"calibration"}
    methods = {row["method_version"] for row in after["judgements"]}
    assert len(methods) == 2
    assert None in methods


PAGES = ("/", "/strategies/carry", "/strategies/group:trend", "/alerts", "/rules", "/incidents")


def test_pages_say_what_is_known_before_the_next_check_and_fill_with_it(stored: Stored) -> None:
    command("migrate")
    before = pages(stored.settings, *PAGES)
    execute(stored.settings, "again", LATER)
    after = pages(stored.settings, *PAGES)

    for found in (before, after):
        assert {path: status for path, (status, _) in found.items()} == dict.fromkeys(PAGES, 200)
        assert [path for path, (_, text) in found.items() if "Nothing was judged" in text] == []
    for path in ("/", "/incidents"):
        assert "Sessions up to Fri 27 Nov are judged, by the version before" in before[path][1]
    assert "4 of 4 strategies judged for Fri 27 Nov" in after["/"][1]
    assert "Judged 4 of 4 strategies for Fri 27 Nov" in after["/incidents"][1]
    # The bar of the daily check has the sessions of the version before.
    assert re.search("Fri 27 Nov: critical \\(", before["/alerts"][1])
    assert "Its rows have not been read by this version yet" in before["/strategies/carry"][1]
    assert "Its rows have not been read" not in after["/strategies/carry"][1]
