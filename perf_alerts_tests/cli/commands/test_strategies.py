"""`perf-alerts strategies` with and without subcommands, and the source that `check` accepts."""

import getpass
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from perf_alerts_dagster.bootstrap.desk import accept_source, compared, kept_of, open_desk
from perf_alerts_dagster.bootstrap.executions import build_services
from perf_alerts_dagster.bootstrap.records import migrate_store, open_market, open_source
from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.cli.session import change_of
from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.executions.execute import Execution
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.records.desk import Kept, UnknownStrategy
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_dagster.records.sql import SqlDesk
from perf_alerts_dagster.settings import load_settings
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_tests.projections.test_baselines import spread
from perf_alerts_tests.server.fakes import UTC_ZONE

ME = f"cli:{getpass.getuser()}"
NOW = datetime.now(UTC)
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALERT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("ALERT_RECORDS_URL", str(tmp_path / "daily.csv"))
    monkeypatch.setenv("ALERT_PROJECTION_PATHS", "1000")
    monkeypatch.setenv("COLUMNS", "200")
    write("a", "b", "c", "d")

    def invoke(*args: str) -> Result:
        return CliRunner().invoke(cli, args)

    return invoke


def write(*names: str) -> None:
    """A file of forty rows a strategy, up to yesterday."""
    last = np.busday_offset(np.datetime64(NOW.date(), "D"), -1, roll="backward")
    days = np.busday_offset(last, np.arange(-39, 1))
    rows = [f"{name},{day},0.001" for name in names for day in days]
    Path("daily.csv").write_text("\n".join(["strategy,date,return", *rows, ""]))


def execute(run_id: str) -> Execution:
    migrate_store(load_settings())
    executor = build_services(load_settings())
    assert isinstance(executor.store, SqlAlertStore)
    try:
        return executor.execute(DAILY_PNL_CHECK, as_of=None, run_id=run_id, now=NOW)
    finally:
        executor.store.close()


def present() -> Reading:
    settings = load_settings()
    return read(
        open_source(settings), open_market(settings), as_of=None, now=NOW, timezone=UTC_ZONE
    )


def audited() -> list[tuple[str, str, str]]:
    engine = open_engine(f"sqlite:///{load_settings().state_dir}/perf_alerts.db")
    rows = SqlAudit(engine).entries().rows
    engine.dispose()
    return [(row.actor, row.action, row.target) for row in rows]


def test_the_listing_works_as_before(run: Run) -> None:
    listed = json.loads(run("strategies", "--json").stdout)

    assert [one["strategy"] for one in listed["strategies"]] == ["ALL", "a", "b", "c", "d"]
    assert "Usage: " in run("strategies", "--help").output


def test_a_strategy_is_retired_and_that_is_audited(run: Run) -> None:
    execute("first")
    write("b", "c", "d")
    assert "no_data" in {one.outcome for one in execute("second").judgements[-1].evaluations}

    since = NOW.date().isoformat()
    done = run("strategies", "retire", "a", "--from", since, "--reason", "closed")
    assert (done.exit_code, done.stdout) == (0, f"a is retired: it is not judged from {since} on\n")
    assert audited() == [(ME, "retire", "strategies/a")]
    assert kept_of(load_settings()).retired["a"].reason == "closed"
    listed = json.loads(run("incidents", "list", "--all", "--rule", "no_data", "--json").stdout)
    assert [one["status"] for one in listed["incidents"]] == ["resolved"]
    assert {one.strategy for one in execute("third").judgements[-1].evaluations} >= {"b", "c", "d"}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("e", "--from", "2026-01-05", "--reason", "x"), "known are: a, b, c, d"),
        (("a", "--from", "2026-01-05", "--reason", " "), "--reason is empty"),
        (("a", "--from", f"{NOW.date() + timedelta(days=2)}", "--reason", "x"), "in the future"),
    ],
)
def test_a_retirement_that_is_not_accepted_says_why(
    run: Run, words: tuple[str, ...], why: str
) -> None:
    execute("first")
    done = run("strategies", "retire", *words)

    assert isinstance(done.exception, UsageError)
    assert why in str(done.exception)
    assert audited() == []


def test_a_date_that_is_none_is_refused(run: Run) -> None:
    done = run("strategies", "retire", "a", "--from", "yesterday", "--reason", "x")

    assert done.exit_code == 2
    assert "'yesterday' is no date: use YYYY-MM-DD" in done.output


def write_live() -> tuple[str, str]:
    """A file with 300 backtest rows and 40 live ones at half the mean; its last days."""
    last = np.busday_offset(np.datetime64(NOW.date(), "D"), -1, roll="backward")
    days = np.busday_offset(last, np.arange(-339, 1))
    returns = np.concatenate([spread(0.002, 300), spread(0.001, 40)]).tolist()
    rows = [
        f"a,{day},{value!r},{'backtest' if place < 300 else 'live'}"
        for place, (day, value) in enumerate(zip(days, returns, strict=True))
    ]
    Path("daily.csv").write_text("\n".join(["strategy,date,return,segment", *rows, ""]))
    return str(days[-2]), str(days[-1])


def test_a_baseline_is_shown_and_then_set_and_audited(run: Run) -> None:
    migrate_store(load_settings())
    before, since = write_live()
    words = ("strategies", "rebaseline", "a", "--reason", " gap ")
    shown = run(*words, "--from", since, "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith("proposed haircut ")
    assert "39 live rows returned +0.0" in shown.stdout
    assert kept_of(load_settings()).baselines == {}

    done = run(*words, "--from", since)
    proposed = int(shown.stdout.split()[2].removesuffix("%,"))
    assert done.stdout == shown.stdout + (
        f"a has the haircut {proposed}% from {since} on, from the next execution\n"
    )
    assert run(*words, "--from", before, "--haircut", "0").exit_code == 0
    first, second = kept_of(load_settings()).baselines["a"]
    assert (first.haircut, first.since.isoformat(), first.number) == (proposed / 100, since, 1)
    assert (first.reason, first.by) == ("gap", ME)
    assert (second.haircut, second.since.isoformat(), second.number) == (0.0, before, 2)
    assert audited() == [(ME, "rebaseline", "strategies/a")] * 2


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"--haircut": "1.5"}, r"--haircut is 1\.5; accepted is a number from 0 to 1$"),
        ({"--haircut": "nan"}, "--haircut is nan; "),
        (
            {"--from": f"{NOW.date() + timedelta(days=9)}"},
            "--from is 20.*; accepted is a session of a from .* to 20",
        ),
        ({"--from": "2001-01-01"}, "--from is 2001-01-01; accepted is a session of a from 20"),
        ({"--reason": " "}, "--reason is empty"),
        ({"name": "e"}, "no strategy 'e'; known are: a$"),
    ],
)
def test_a_baseline_that_is_not_accepted_says_why(
    run: Run, changes: dict[str, str], why: str
) -> None:
    migrate_store(load_settings())
    _, since = write_live()
    options = {"--from": since, "--reason": "gap"} | changes
    name = options.pop("name", "a")
    done = run(
        "strategies", "rebaseline", name, *(word for pair in options.items() for word in pair)
    )

    assert isinstance(done.exception, UsageError)
    assert re.search(why, str(done.exception))
    assert kept_of(load_settings()).baselines == {}
    assert audited() == []


def test_a_haircut_that_cannot_be_proposed_must_be_given(run: Run) -> None:
    migrate_store(load_settings())
    write_live()
    text = Path("daily.csv").read_text()
    first = text.split(",live")[0].rsplit(",", 2)[1]
    words = ("strategies", "rebaseline", "a", "--reason", "restored", "--from", first)
    refused = run(*words)

    assert refused.stdout == "no haircut can be proposed\n"
    assert isinstance(refused.exception, UsageError)
    assert "--haircut is not given; accepted is a number from 0 to 1, which must be given" in str(
        refused.exception
    )
    assert run(*words, "--haircut", "0").exit_code == 0


@pytest.mark.parametrize(
    ("code", "periods"), [("24/7", 365), ("weekdays", 252), ("XLON", 253), ("weekly", 52)]
)
def test_a_person_sets_a_calendar(run: Run, code: str, periods: float) -> None:
    execute("first")
    done = run("strategies", "calendar", "a", code)

    assert done.stdout == f"a has the calendar {code} from the next execution on\n"
    kept = kept_of(load_settings()).calendars["a"]
    assert (kept.name, kept.periods_per_year, kept.by) == (code, periods, ME)
    assert audited() == [(ME, "calendar", "strategies/a")]


@pytest.mark.parametrize("code", ["record", "XXXX", ""])
def test_a_calendar_that_is_none_is_refused(run: Run, code: str) -> None:
    done = run("strategies", "calendar", "a", code)

    assert isinstance(done.exception, UsageError)
    assert "such as XNYS or XLON is accepted" in str(done.exception)


def test_the_calendar_of_an_unknown_strategy_is_refused(run: Run) -> None:
    execute("first")

    assert isinstance(run("strategies", "calendar", "e", "24/7").exception, UnknownStrategy)


def test_without_a_store_nothing_is_kept_and_nothing_is_compared(run: Run) -> None:
    assert kept_of(load_settings()) == Kept()
    assert compared(load_settings(), present(), NOW)[1] == ()
    assert not load_settings().state_dir.exists()


def test_a_check_names_what_is_gone_and_what_was_there_long_ago(run: Run) -> None:
    execute("first")
    write("b", "c", "d")
    settings = load_settings()
    engine = open_engine(f"sqlite:///{settings.state_dir}/perf_alerts.db")
    SqlAlertStore(engine).save_month_hashes({("old", "2020-01"): "h"})

    gone, older = compared(settings, present(), NOW)[1]
    assert gone.startswith("a is no longer in the source, last seen on ")
    assert older == "read before, and not in this source: old"
    engine.dispose()


def test_a_person_accepts_a_source_that_shrank(run: Run) -> None:
    execute("first")
    write("c", "d")
    assert execute("second").judgements == ()
    settings = load_settings()
    shrunk, hint = compared(settings, present(), NOW)[1]
    assert shrunk.startswith("daily.csv shrank: 2 of 4 strategies are gone: a, b")
    assert "check --accept" in hint

    said = accept_source(settings, change_of("accept", "records", NOW))
    assert said == "daily.csv is accepted as it is, with 2 strategies; no_data until retired: a, b"
    assert audited() == [(ME, "accept", "records")]
    assert execute("third").judgements
    with open_desk(settings) as (desk, _):
        assert isinstance(desk, SqlDesk)
        state = desk.source("daily.csv")
    assert state is not None
    assert (sorted(state.accepted), sorted(state.vanished)) == (["c", "d"], ["a", "b"])


def test_a_store_that_is_not_migrated_is_said(run: Run) -> None:
    settings = load_settings()
    settings.state_dir.mkdir()
    (settings.state_dir / "perf_alerts.db").touch()

    (line,) = compared(settings, present(), NOW)[1]
    assert line.startswith("not compared with the last accepted reading: ")
