"""A state folder that version 3.0.0 made opens with everything in it; see `stored_state`."""

import json
from pathlib import Path
from typing import Any

import pytest

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


def forget_shares_of_counts(before: Any, now: Any) -> None:
    """Leave out what is now read as the next larger share: a count that many years share.

    It is never smaller than the version before had it, which notified such counts too often.
    """
    if isinstance(before, list):
        for old, new in zip(before, now, strict=False):
            forget_shares_of_counts(old, new)
    if not isinstance(before, dict):
        return
    if before.get("rule") in {"exceedance_rate", "consecutive_exceedances"}:
        for share in {"p_year", "false_alarm_rate"} & before.keys():
            smaller, larger = before.pop(share), now[share]
            assert smaller == larger or 0.0 < larger - smaller < 0.03
    for name in before.keys() & now.keys():
        forget_shares_of_counts(before[name], now[name])


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
    for name, now in (("again", again), ("rest", answers), ("next", following)):
        forget_shares_of_counts(before[name], now)
    assert changes(before["again"], again) == []
    # No message, no opening, no end of an incident, and the second time nothing at all.
    assert again["tables"]["notifications"] == []
    assert {one["what"] for one in again["tables"]["incident_entries"]} == {"breached"}
    assert [name for name, rows in once_more["tables"].items() if rows] == []
    assert changes(before["rest"], answers) == []
    # The change alone restates nothing: one judgement, of the new session.
    assert changes(before["next"], following) == []
    assert [(one["as_of"], one["restated"]) for one in following["tables"]["judgements"]] == [
        ("2026-11-30", False)
    ]
