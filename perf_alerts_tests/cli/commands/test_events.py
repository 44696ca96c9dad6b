"""`perf-alerts events`, and ids that are given by their beginning, over a real store."""

import getpass
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perf_alerts_dagster.bootstrap.notifications import open_incidents
from perf_alerts_dagster.bootstrap.records import migrate_store, store_url
from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.events import new_event
from perf_alerts_dagster.incidents.lifecycle import Incidents
from perf_alerts_dagster.incidents.model import evaluation_firing
from perf_alerts_dagster.incidents.ports import Decisions, UnknownIncident
from perf_alerts_dagster.incidents.transitions import TransitionRefused, open_incident
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.incidents.incident_desk import DAILY, START, breach, event, judged

ME = f"cli:{getpass.getuser()}"
Run = Callable[..., Result]
CRASH = event(severity=Severity.CRITICAL, parts={"headline": "-15.0 % on Mon 5 Jan"})


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALERT_STATE_DIR", str(tmp_path / "state"))
    migrate_store(load_settings())
    return lambda *words: CliRunner().invoke(cli, words)


@pytest.fixture
def desk(run: Run) -> Iterator[Incidents]:
    """One event of two incidents, and one of a failed execution."""
    settings = load_settings()
    store = open_store(store_url(settings))
    desk = open_incidents(settings, store.engine)
    store.record(judged(CRASH, breach()), watermark=None)
    desk.lifecycle.apply_judgements(DAILY, run_id="run", now=START)
    desk.lifecycle.execution_failed(DAILY, run_id="failed", error="the source is away", now=START)
    yield desk
    store.close()


def listed(run: Run, *words: str) -> list[dict[str, object]]:
    found = run("events", "list", "--json", *words)
    assert found.exit_code == 0, found.output
    rows: list[dict[str, object]] = json.loads(found.output)["events"]
    return rows


def test_an_event_is_one_row_with_its_headline_and_incidents(run: Run, desk: Incidents) -> None:
    (one,) = listed(run, "--strategy", "trend")

    assert (one["severity"], one["status"]) == ("critical", "open")
    assert one["headline"] == "-15.0 % on Mon 5 Jan"
    assert len(one["incidents"]) == 2  # type: ignore[arg-type] # JSON
    text = run("events", "list").output
    assert "-15.0 % on Mon 5 Jan" in text
    assert len([line for line in text.splitlines() if " trend " in line]) == 1
    assert "execution_failed" in run("events", "show", str(listed(run)[0]["id"])).output + text


def test_one_answer_is_for_all_incidents(run: Run, desk: Incidents) -> None:
    (one,) = listed(run, "--strategy", "trend")
    given = str(one["id"])[:6]

    done = run("events", "acknowledge", given, "--comment", "on it")
    assert done.exit_code == 0, done.output
    assert f"acknowledged by {ME} today" in done.output
    assert "on it" in done.output
    assert {each.status for each in desk.store.of_events([str(one["id"])])} == {"acknowledged"}
    again = run("events", "acknowledge", given)
    assert isinstance(again.exception, TransitionRefused)
    (line,) = str(again.exception).splitlines()
    assert line.startswith(f"{ME} acknowledged it")
    assert line.endswith("nothing more to do")

    assert run("events", "resolve", given, "--outcome", "known").exit_code == 0
    assert listed(run, "--strategy", "trend") == []
    (over,) = listed(run, "--strategy", "trend", "--all")
    assert over["outcome"] == "known"
    assert listed(run, "--status", "resolved") == [over]
    assert "known already" in run("incidents", "show", str(one["incidents"][0])).output  # type: ignore[index] # JSON


def test_a_silence_of_an_event_holds_for_what_joins_it(run: Run, desk: Incidents) -> None:
    (one,) = listed(run, "--strategy", "trend")

    made = run("events", "silence", str(one["id"])[:8], "--for", "2h", "--reason", "we know")
    assert made.exit_code == 0, made.output
    (silence,) = desk.store.silences(START)
    assert silence.matchers.event == one["id"]
    assert (silence.author, silence.reason) == (ME, "we know")
    assert str(one["id"]) in run("silence", "list").output
    text = run("events", "list").output
    assert re.findall(r"(\w+) +open, silenced +(\S+)", text) == [("critical", "trend")]
    assert "open, silenced, event" in run("events", "show", str(one["id"])).output


def test_an_event_is_named_by_its_leader_and_by_its_loss_of_a_day(
    run: Run, desk: Incidents
) -> None:
    cause = [{"strategy": "short_vol", "return": -0.2, "pnl": None, "share": 0.9}]
    parts = {"headline": "-20.9 % on Mon 5 Jan", "contributions": cause}
    apply(
        desk,
        event(strategy="short_vol", parts={"headline": "-70.0 % on Mon 5 Jan"}),
        breach(
            strategy="short_vol",
            rule="drawdown",
            severity=Severity.CRITICAL,
            parts={"headline": "-70.0 % below its high"},
        ),
        event(strategy="group:vol", severity=Severity.EMERGENCY, parts=parts),
    )
    (one,) = listed(run, "--strategy", "short_vol")

    assert (one["severity"], one["headline"]) == ("emergency", "-70.0 % on Mon 5 Jan")
    (line,) = [line for line in run("events", "list").output.splitlines() if "-70.0 %" in line]
    assert " short_vol " in line
    assert "group:vol" not in line
    text = run("events", "show", str(one["id"])).output
    assert text.startswith("emergency short_vol -70.0 % on Mon 5 Jan")

    # What goes on is the group's alone, which is said.
    for each in one["incidents"]:  # type: ignore[attr-defined] # JSON
        found = desk.store.incident(each)
        assert found is not None
        if found.strategy == "short_vol":
            run("incidents", "resolve", each, "--outcome", "known")
    text = run("events", "show", str(one["id"])).output
    assert text.startswith("emergency short_vol group:vol -20.9 % on Mon 5 Jan")


def apply(desk: Incidents, *found: Evaluation) -> None:
    """A further execution."""
    store = open_store(store_url(load_settings()))
    store.record(judged(*found, run_id="second"), watermark=None)
    desk.lifecycle.apply_judgements(DAILY, run_id="second", now=START + timedelta(minutes=1))
    store.close()


def test_events_are_listed_the_worst_first(run: Run, desk: Incidents) -> None:
    apply(desk, breach(strategy="calm"), event(strategy="bad", severity=Severity.EMERGENCY))
    first = [row["leader"] for row in listed(run)]
    assert first[:2] == ["bad", "trend"]
    assert first[-1] == "calm"

    (bad,) = listed(run, "--strategy", "bad")
    run("events", "acknowledge", str(bad["id"]))
    assert [row["leader"] for row in listed(run)] == [*first[1:], "bad"]
    (calm,) = listed(run, "--strategy", "calm")
    run("events", "resolve", str(calm["id"]), "--outcome", "known")
    everything = listed(run, "--all")
    assert [row["leader"] for row in everything][:2] == ["trend", "bad"]
    assert {row["status"] for row in everything[2:]} == {"resolved"}


def test_answers_of_what_is_over_are_not_those_of_an_open_event(run: Run, desk: Incidents) -> None:
    (one,) = listed(run, "--strategy", "trend")
    first, second = (str(each) for each in one["incidents"])  # type: ignore[attr-defined] # JSON
    run("incidents", "resolve", first, "--outcome", "known", "--comment", "old")
    text = run("events", "show", str(one["id"])).output.partition("incidents\n")[0]
    assert "resolved" not in text

    until = (datetime.now(UTC) + timedelta(hours=30)).isoformat()
    run("incidents", "ack", second, "--comment", "on it", "--until", until)
    text = run("events", "show", str(one["id"])).output.partition("incidents\n")[0]
    assert re.search(rf"held by {ME} until \w+ \d+ \w+ \d\d:\d\d UTC, since today", text)
    assert ": on it" in text

    run("incidents", "resolve", second, "--outcome", "true")
    text = run("events", "show", str(one["id"])).output.partition("incidents\n")[0]
    assert "known already: old" in text
    assert "a true alarm" in text


def test_nothing_open_is_said(run: Run) -> None:
    assert "no event is open" in run("events", "list").output
    assert "no event fits" in run("events", "list", "--all").output


def test_an_event_is_shown_with_its_incidents_and_for_programs(run: Run, desk: Incidents) -> None:
    (one,) = listed(run, "--strategy", "trend")
    text = run("events", "show", str(one["id"])[:5]).output

    assert "critical  trend -15.0 % on Mon 5 Jan" in text
    for incident in one["incidents"]:  # type: ignore[attr-defined] # JSON
        assert incident in text
    assert json.loads(run("events", "show", str(one["id"])[:5], "--json").output) == one


def alike(desk: Incidents) -> list[str]:
    """Two events, each with an incident, whose ids begin alike."""
    firing = evaluation_firing(breach(strategy="twin"), Severity.WARNING, judged())
    ids = ["feedbeef" + end * 16 for end in "ab"]
    for place, each in enumerate(ids):
        own = replace(firing, dedup_key=f"twin|{place}", session=judged().as_of + timedelta(place))
        incident = replace(open_incident(own, now=START, chain=None), id=each, event_id=each)
        one = replace(new_event(incident, START, ()), id=each)
        desk.store.apply(Decisions(opened=(incident,), new_events=(one,)))
    return ids


ANSWERS = [
    ("events", "show"),
    ("events", "acknowledge"),
    ("events", "resolve", "--outcome", "known"),
    ("events", "silence", "--for", "2h", "--reason", "x"),
    ("incidents", "show"),
    ("incidents", "ack"),
    ("incidents", "resolve", "--outcome", "known"),
]


@pytest.mark.parametrize("words", ANSWERS, ids=" ".join)
def test_an_id_that_begins_several_is_refused_with_all_of_them(
    run: Run, desk: Incidents, words: tuple[str, ...]
) -> None:
    ids = alike(desk)
    found = run(*words, "feedbeef")

    assert isinstance(found.exception, UsageError)
    for each in ids:
        assert each in str(found.exception)
    assert "twin" in str(found.exception)
    assert run(*words, "feedbeefa").exit_code == 0


@pytest.mark.parametrize("words", ANSWERS, ids=" ".join)
def test_an_unknown_or_short_id_says_so(run: Run, desk: Incidents, words: tuple[str, ...]) -> None:
    alike(desk)

    unknown = run(*words, "cafe%")
    assert isinstance(unknown.exception, UnknownIncident)
    assert "cafe%" in str(unknown.exception)
    short = run(*words, "fee")
    assert isinstance(short.exception, UsageError)
    assert "4 characters or more" in str(short.exception)


def test_a_silence_and_a_key_are_known_by_the_beginning_of_their_ids(run: Run) -> None:
    run("silence", "add", "--strategy", "a", "--for", "1h", "--reason", "x")
    (silence,) = [word for word in run("silence", "list").output.split() if len(word) == 32]
    assert "too short" in str(run("silence", "end", silence[:3]).exception)
    assert run("silence", "end", silence[:7]).exit_code == 0
    assert "nothing is silenced" in run("silence", "list").output

    run("keys", "create", "viewer", "wall")
    (key,) = [row["key_id"] for row in json.loads(run("keys", "list", "--json").output)["keys"]]
    assert run("keys", "expire", key[:4], "--for", "1h").exit_code == 0
    assert key in run("keys", "revoke", key[:4]).output
    assert "there is no key 0000" in str(run("keys", "revoke", "0000").exception)
