"""Every command that prints a table, at 80 and at 160 columns, over a judged desk."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from perf_alerts_dagster.bootstrap.notifications import open_incidents
from perf_alerts_dagster.bootstrap.records import migrate_store, store_url
from perf_alerts_dagster.cli import output
from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.cli.test_help import commands
from perf_alerts_tests.incidents.incident_desk import DAILY, breach, event, judged

Run = Callable[..., str]
LONG = "a_strategy_with_a_name_longer_than_ids"
# By command, its further words; `{...}` are ids of the desk.
TABLES = {
    ("strategies",): (),
    ("measure",): (),
    ("evaluate",): (DAILY,),
    ("budget",): (),
    ("limits", "suggest"): (),
    ("events", "list"): (),
    ("events", "show"): ("{event}",),
    ("incidents", "list"): (),
    ("incidents", "show"): ("{incident}",),
    ("silence", "list"): (),
    ("keys", "list"): (),
    ("audit",): (),
    ("status",): (),
}
# Those that print sentences, a document or a link, and no table.
OTHERS = {
    ("login-link",),
    *(("check",), ("doctor",), ("import",), ("keygen",), ("home",), ("migrate",), ("proxy",)),
    *(("up",), ("run",), ("backup",), ("restore",), ("test-channel",)),
    *(("thresholds", "show"), ("thresholds", "set"), ("silence", "add"), ("silence", "end")),
    *(("keys", "create"), ("keys", "expire"), ("keys", "revoke")),
    *(("incidents", "ack"), ("incidents", "resolve")),
    *(("events", "acknowledge"), ("events", "resolve"), ("events", "silence")),
    *(("strategies", "retire"), ("strategies", "rebaseline"), ("strategies", "calendar")),
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A record of three strategies, and a store with events, a silence, a key and a message."""
    folder = tmp_path_factory.mktemp("desk")
    days = np.busday_offset(np.datetime64("today"), np.arange(-599, 1), roll="backward")
    lines = ["strategy,date,return,segment,group"]
    for seed, name in enumerate(("trend", "carry", LONG)):
        returns = np.random.default_rng(seed).normal(0.0005, 0.01, len(days))
        returns[-1] = -0.15 if name == "trend" else returns[-1]
        for place, (day, value) in enumerate(zip(days, returns, strict=True)):
            segment = "backtest" if place < 500 else "live"
            lines.append(f"{name},{day},{value:.8f},{segment},book")
    (folder / "daily.csv").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ALERT_STATE_DIR", str(folder / "state"))
        patch.setenv("ALERT_RECORDS_URL", str(folder / "daily.csv"))
        patch.setenv("ALERT_SESSION_CLOSE", "00:00")
        patch.setenv("ALERT_NOTIFY_URLS", "json://127.0.0.1:9/hook")
        patch.setenv("ALERT_NOTIFY_ALLOWED_HOSTS", "127.0.0.1")
        settings = load_settings()
        migrate_store(settings)
        store = open_store(store_url(settings))
        found = [
            event(severity=Severity.CRITICAL, value=-35.586688809006716, limit=-11.05),
            breach(strategy=LONG, rule="drawdown", parts={"owner": "vol-desk"}),
            breach(strategy="carry", rule="flat_run", value=85.0, limit=0.0),
        ]
        store.record(judged(*found), watermark=None)
        incidents = open_incidents(settings, store.engine)
        incidents.lifecycle.apply_judgements(DAILY, run_id="run", now=datetime.now(UTC))
        store.close()
        invoke = CliRunner().invoke
        for words in (
            ["keys", "create", "operator", "a-rather-long-name-of-a-robot-of-the-desk"],
            ["silence", "add", "--strategy", "carry", "--for", "2d", "--reason", "rebalancing"],
        ):
            assert invoke(cli, words).exit_code == 0
        yield folder


def of(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words with the ids of the desk."""
    listed = {
        name: json.loads(CliRunner().invoke(cli, [f"{name}s", "list", "--json"]).output)[f"{name}s"]
        for name in ("event", "incident")
    }
    ids = {name: rows[0]["id"] for name, rows in listed.items()}
    return tuple(word.format(**ids) for word in words)


def test_each_command_is_known_to_print_a_table_or_none() -> None:
    assert set(TABLES) | OTHERS == {path for path in commands(cli) if not is_group(path)} | {
        ("strategies",)
    }


def is_group(path: tuple[str, ...]) -> bool:
    return any(other != path and other[: len(path)] == path for other in commands(cli))


@pytest.mark.parametrize("command", TABLES, ids=" ".join)
def test_a_table_is_whole_at_80_and_at_160_columns(
    desk: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*command, *of(TABLES[command]))
    texts = {}
    for width in (80, 160):
        monkeypatch.setattr(output.OUT, "width", width)
        done = CliRunner().invoke(cli, words)
        assert done.exit_code in (0, 1), (done.output, done.exception)
        assert not done.exception or isinstance(done.exception, SystemExit)
        lines = done.stdout.splitlines()
        # What is to be copied is on a line of its own, as it is.
        shown = [line for line in lines if not line.startswith("export ")]
        assert max(map(len, shown)) <= width
        assert "…" not in done.stdout
        assert "..." not in done.stdout
        texts[width] = done.stdout

    narrow, wide = texts[80], texts[160]
    left_out = re.search(r"left out at 160", wide)
    assert left_out is None
    # Whole ids and names are in both.
    for whole in set(re.findall(r"\b[0-9a-f]{16,32}\b", wide)):
        assert whole in narrow
    for name in (LONG, "trend", "carry"):
        assert (name in wide) == (name in narrow)
    # A number is in the narrow one as it is in the wide one.
    numbers = r"(?<![\w.])-?\d+(?:\.\d+)?(?: %)?(?![\w.])"
    assert set(re.findall(numbers, without_footer(narrow))) <= set(re.findall(numbers, wide)) | {
        "-"
    }


def without_footer(text: str) -> str:
    return re.sub(r"left out at 80 columns: .*?show\s+all\n", "", text, flags=re.DOTALL)


def test_evaluate_begins_with_what_would_be_notified_the_worst_first(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.OUT, "width", 80)
    lines = CliRunner().invoke(cli, ["evaluate", DAILY]).stdout.splitlines()

    (place,) = [at for at, line in enumerate(lines) if "groups judged" in line]
    severities = [line.split()[0] for line in lines[:place] if not line.startswith(" ")]
    assert severities
    ranks = [Severity(each).rank for each in severities]
    assert ranks == sorted(ranks, reverse=True)
    names = [line.split()[1] for line in lines[:place] if not line.startswith(" ")]
    assert "trend" in names
    assert len(names) == len(set(names))
    assert lines[place] == f"3 strategies and 2 groups judged, {len(names)} would notify"


def test_a_strategy_without_data_has_one_line(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (desk / "daily.csv").read_text().splitlines()
    late = [row for row in rows if not row.startswith("carry")]
    late += [row for row in rows if row.startswith("carry")][:-30]
    (desk / "late.csv").write_text("\n".join(late) + "\n")
    monkeypatch.setattr(output.OUT, "width", 160)
    text = CliRunner().invoke(cli, ["evaluate", DAILY, "--records", str(desk / "late.csv")]).stdout

    table = text.partition("2 strategies and 2 groups judged")[2]
    # Its group has rows, and is not late with it.
    assert re.search(r"would notify, 1 late(,|$)", table.splitlines()[0])
    listed = [line.split()[0] for line in table.splitlines() if " partial " in line]
    assert not [name for name in listed if name.startswith("group:")]
    (line,) = [line for line in table.splitlines() if line.startswith("carry")]
    assert "no_data" in line


def test_lists_have_value_with_unit_message_age_and_owner(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.OUT, "width", 160)
    monkeypatch.setenv("ALERT_TIMEZONE", "Asia/Tokyo")
    for name in ("incidents", "events"):
        text = CliRunner().invoke(cli, [name, "list"]).stdout
        (line,) = [each for each in text.splitlines() if " carry " in each]
        assert "85 sessions" in line
        assert re.search(r"just now|\d+ (s|min) ago", line)
        assert " JST" in line
        assert "vol-desk" in text
        assert "the drawdown is 30 %" in text
        rows = json.loads(CliRunner().invoke(cli, [name, "list", "--json"]).stdout)[name]
        assert all(row["opened_at"].endswith("Z") for row in rows)


def test_measure_prints_percent_and_ratios_with_fixed_decimals(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.OUT, "width", 160)
    lines = CliRunner().invoke(cli, ["measure"]).stdout.splitlines()

    (line,) = [each for each in lines if re.match("carry +live", each)]
    percent, ratio = r"(-?\d+\.\d{1,2} %|0 %)", r"-?\d+\.\d\d"
    shares = " +".join([percent] * 7)
    ratios = " +".join([ratio] * 4)
    assert re.fullmatch(rf"carry +live +100 +252 +{shares} +{ratios}", line)


def test_times_of_other_lists_are_those_of_the_desk(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.OUT, "width", 160)
    monkeypatch.setenv("ALERT_TIMEZONE", "Asia/Tokyo")
    for words in (["audit"], ["silence", "list"], ["status"]):
        assert " JST" in CliRunner().invoke(cli, words).stdout
