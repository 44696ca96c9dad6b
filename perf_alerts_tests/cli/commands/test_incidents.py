"""The commands about incidents, silences and channels, over a real store and a real receiver."""

import getpass
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perf_alerts_dagster.bootstrap.notifications import open_incidents
from perf_alerts_dagster.bootstrap.records import migrate_store, store_url
from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.incidents.lifecycle import Incidents
from perf_alerts_dagster.incidents.transitions import TransitionRefused
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.incidents.incident_desk import DAILY, START, breach, judged
from perf_alerts_tests.receivers import Receiver

ME = f"cli:{getpass.getuser()}"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALERT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    migrate_store(load_settings())

    def invoke(*args: str) -> Result:
        return CliRunner().invoke(cli, args)

    return invoke


@pytest.fixture
def desk(run: Run) -> Iterator[Incidents]:
    """Two incidents: a breach, and a failed execution."""
    settings = load_settings()
    store = open_store(store_url(settings))
    desk = open_incidents(settings, store.engine)
    store.record(judged(breach(strategy="tr[red]end")), watermark=None)
    desk.lifecycle.apply_judgements(DAILY, run_id="run", now=START)
    desk.lifecycle.execution_failed(DAILY, run_id="failed", error="the source is away", now=START)
    yield desk
    store.close()


def ids(run: Run, *args: str) -> list[str]:
    found = run("incidents", "list", "--json", *args)
    assert found.exit_code == 0, found.output
    return [one["id"] for one in json.loads(found.output)["incidents"]]


def test_incidents_that_are_not_over_are_listed(run: Run, desk: Incidents) -> None:
    found = run("incidents", "list")

    assert found.exit_code == 0
    assert "tr[red]end" in found.output
    assert "execution_failed" in found.output


def test_nothing_open_is_said(run: Run) -> None:
    assert "no incident is open" in run("incidents", "list").output


def test_an_incident_is_acknowledged_shown_and_resolved(run: Run, desk: Incidents) -> None:
    (found,) = ids(run, "--rule", "max_drawdown")

    assert run("incidents", "ack", found, "--comment", "on it").exit_code == 0
    shown = json.loads(run("incidents", "show", found, "--json").output)
    assert shown["acknowledged"]["by"] == ME
    assert [one["what"] for one in shown["timeline"]][-1] == "acknowledged"
    text = run("incidents", "show", found).output
    assert "acknowledged: on it" in text
    assert re.search(r"opened as warning for (Mon )?5 Jan", text)
    # Neither numbers without a unit, nor times and names as they are stored.
    assert "Value, limit: -0.30, -0.20" in text
    assert not re.search(r"run_id|as_of|False|\['|\d{4}-\d\d-\d\d", text)

    assert run("incidents", "resolve", found, "--outcome", "known").exit_code == 0
    assert found not in ids(run)
    assert found in ids(run, "--all")
    assert ids(run, "--status", "resolved") == [found]


def test_what_is_refused_says_so(run: Run, desk: Incidents) -> None:
    (found,) = ids(run, "--rule", "max_drawdown")
    run("incidents", "ack", found)

    again = run("incidents", "ack", found)
    assert isinstance(again.exception, TransitionRefused)
    assert "nothing more to do" in str(again.exception)
    assert run("incidents", "show", "nope").exit_code == 1
    assert run("incidents", "resolve", found, "--outcome", "recovered").exit_code == 2
    assert run("incidents", "ack", found, "--until", "tomorrow").exit_code == 2


def test_a_silence_is_made_listed_and_ended(run: Run, desk: Incidents) -> None:
    args = ("silence", "add", "--strategy", "trend", "--for", "2d", "--reason", "rebalancing")
    made = run(*args)
    assert made.exit_code == 0, made.output
    (silence,) = desk.store.silences(START)
    assert (silence.author, silence.reason) == (ME, "rebalancing")
    assert (silence.ends_at - silence.starts_at).days == 2
    assert "strategy trend" in run("silence", "list").output

    assert run("silence", "end", silence.id).exit_code == 0
    assert "nothing is silenced" in run("silence", "list").output
    assert isinstance(run("silence", "end", silence.id).exception, UsageError)


@pytest.mark.parametrize("span", ["2", "0h", "2w", "-1h", "400d", "1.5h"])
def test_a_silence_has_an_end_within_a_year(run: Run, span: str) -> None:
    found = run("silence", "add", "--strategy", "a", f"--for={span}", "--reason", "x")

    assert found.exit_code == 2
    assert "use 90m, 8h or 2d" in found.output


def test_a_silence_of_everything_is_refused(run: Run) -> None:
    found = run("silence", "add", "--for", "1h", "--reason", "x")

    assert isinstance(found.exception, UsageError)
    assert "at least one of strategy, rule, alert, severity" in str(found.exception)


def test_a_test_message_arrives(
    run: Run, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_NOTIFY_URLS", receiver.channel)
    monkeypatch.setenv("ALERT_NOTIFY_ALLOWED_HOSTS", "127.0.0.1")

    found = run("test-channel")
    assert found.exit_code == 0, found.output
    assert "sent" in found.output
    (got,) = receiver.got
    assert got.json["test"] is True

    receiver.answers = [400]
    found = run("test-channel")
    assert found.exit_code == 1
    assert "400" in found.output


def test_a_test_without_channels_says_what_to_set(run: Run) -> None:
    found = run("test-channel")

    assert found.exit_code == 2
    assert "ALERT_NOTIFY_URLS" in found.output
