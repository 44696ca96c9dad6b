"""What reaches a terminal: faults and warnings together, and nothing that a source smuggles in."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.cli.output import (
    OUT,
    print_json,
    print_table,
    say,
    say_under,
    styled,
    table,
)
from perf_alerts_dagster.core.errors import RecordsInvalid, SettingsError
from perf_alerts_dagster.records.sources.open import TableNames, open_records

HOSTILE = "x\x1b[2J\u202egnp\u200b\x9b1m"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALERT_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def check(**environ: str) -> Result:
    return CliRunner().invoke(cli, ["check"], env=environ)


def test_misspelt_names_are_warned_about_also_beside_faults(folder: Path) -> None:
    (folder / ".env").write_text("alert_notify_urls=json://a\nALERT_LOG_LEVEL=loud\n")

    result = check(ALERT_TIMEZON="UTC")

    assert isinstance(result.exception, SettingsError)
    assert "ALERT_LOG_LEVEL='loud'" in str(result.exception)
    warned = " ".join(result.stderr.split())
    assert "did you mean ALERT_NOTIFY_URLS?" in warned
    assert "did you mean ALERT_TIMEZONE?" in warned


@pytest.mark.parametrize(
    "url", ["mailto://u:hu/sh@mail.example?to=a@x.org", "nonsense://hush", "https://u:hush@x.org/"]
)
def test_check_refuses_a_channel_that_cannot_be_opened(url: str) -> None:
    for name in ("ALERT_NOTIFY_URLS", "ALERT_ESCALATION_URLS"):
        result = check(**{name: url})

        assert isinstance(result.exception, SettingsError)
        assert name in str(result.exception)
        assert "sh" not in str(result.exception).replace("https://", "")


@pytest.mark.parametrize("name", ["RECORDS", "DATABASE", "DAGSTER_DATABASE"])
def test_check_refuses_a_password_as_typed(name: str) -> None:
    result = check(**{f"ALERT_{name}_URL": "postgresql://u:hu@sh/:x@h/d"})

    assert isinstance(result.exception, SettingsError)
    (line,) = str(result.exception).splitlines()
    assert "percent-encode the password" in line
    assert "sh/" not in line + result.output


def test_names_of_unknown_strategies_are_escaped_in_notes(folder: Path) -> None:
    (folder / "daily.csv").write_text("strategy,date,return\na,2020-01-01,0.1\n")
    (folder / "trades.csv").write_text(
        f"strategy,entry_time,exit_time,pnl\n{HOSTILE},2020-01-01,2020-01-02,1\n"
    )
    (folder / "strategies.csv").write_text(f'strategy,status\n"{HOSTILE}\nforged",live\n')
    source = open_records(str(folder), shown="desk", tables=TableNames(), columns={})

    notes = source.load(date(2026, 1, 30)).notes

    assert sum("unknown strategies" in note for note in notes) == 2
    assert all(note.isprintable() for note in notes)


def test_nothing_of_a_source_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    shown = table(f"title {HOSTILE}", "name")
    shown.add_row(styled(HOSTILE))
    print_table(shown)
    say(HOSTILE)
    say_under("x", HOSTILE)
    OUT.print(HOSTILE, markup=False)
    print_json({"name": HOSTILE, "half": "\udcff", "delete": "\x7f"})

    written = capsys.readouterr().out
    assert all(line.isprintable() for line in written.splitlines())
    assert "\\u202egnp" in written
    assert json.loads(written[written.index("{") :]) == {
        "name": HOSTILE,
        "half": "\udcff",
        "delete": "\x7f",
    }


def test_an_error_of_ours_prints_without_control_characters() -> None:
    assert str(RecordsInvalid(f"column {HOSTILE}")) == ("column x\\x1b[2J\\u202egnp\\u200b\\x9b1m")


WHY = "live index is 36.0 % below its peak, at or beyond the documented 20 %; set a mandate"


def printed(width: int, *names: str) -> list[str]:
    """Two rows at a width, as lines."""
    headings = ("strategy", "rule", "outcome", "owner", "value", "notifies", "why")
    rows = table(
        "evaluations",
        *headings,
        numeric=("value",),
        sentences=("why",),
        optional=("notifies", "outcome", "rule"),
    )
    for name in names:
        rows.add_row(name, "volatility_shift", styled("breach"), "", "2.5", "yes", WHY)
    with pytest.MonkeyPatch.context() as patch, OUT.capture() as captured:
        patch.setattr(OUT, "width", width)
        print_table(rows)
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    assert "".join(WHY.split()) in "".join("".join(lines).split())
    return lines


def test_a_wide_terminal_has_a_line_for_each_row_without_empty_columns() -> None:
    assert printed(160, "momentum") == [
        "evaluations",
        "strategy  rule              outcome  value  notifies  why",
        "-" * (57 + len(WHY) - 3),
        f"momentum  volatility_shift  breach     2.5  yes       {WHY}",
    ]


def test_sentences_come_below_their_rows_before_a_column_is_left_out() -> None:
    lines = printed(80, "momentum")

    assert lines[1] == "strategy  rule              outcome  value  notifies"
    assert lines[3:] == [
        "momentum  volatility_shift  breach     2.5  yes",
        "  live index is 36.0 % below its peak, at or beyond the documented 20 %; set a",
        "  mandate",
    ]


def test_columns_are_left_out_the_least_important_first_and_named() -> None:
    lines = printed(36, "momentum")

    assert lines[1] == "strategy  rule              value"
    assert " ".join(lines[-2:]) == (
        "left out at 36 columns: notifies, outcome; 52 columns show all"
    )


def test_a_long_name_has_a_line_of_its_own_and_takes_no_column_from_the_others() -> None:
    name = "a_strategy_with_a_name_that_is_much_longer_than_others"
    lines = printed(80, "momentum", name)

    assert lines[1] == "strategy  rule              outcome  value  notifies"
    below = lines.index(name) + 1
    assert lines[below] == "          volatility_shift  breach     2.5  yes"


def test_a_long_text_in_another_column_makes_a_paragraph_of_its_row_alone() -> None:
    rows = table("events", "id", "strategy", "value", "why", sentences=("why",))
    rows.add_row("a1", "trend", "-15.0 %", "first")
    rows.add_row("b2", "n" * 200, "-2.0 %", "second")
    with pytest.MonkeyPatch.context() as patch, OUT.capture() as captured:
        patch.setattr(OUT, "width", 80)
        print_table(rows)
    lines = captured.get().splitlines()

    assert max(map(len, lines)) <= 80
    assert lines[1:5] == [
        "id  strategy  value",
        "-" * 21,
        "a1  trend     -15.0 %",
        "  first",
    ]
    assert lines[5] == "b2"
    assert "".join(lines).replace(" ", "").count("n" * 200) == 1
    assert lines[-2:] == ["  value -2.0 %", "  second"] or lines[-1] == "  second"


def test_a_terminal_that_holds_no_columns_gets_a_paragraph_for_each_row() -> None:
    lines = printed(14, "momentum")

    assert lines[:6] == [
        "evaluations",
        "momentum",
        "  rule",
        "  volatility_s",
        "  hift,",
        "  outcome",
    ]


def test_a_table_without_rows_has_its_headings() -> None:
    with OUT.capture() as captured:
        print_table(table("t", "a", "b"))

    assert captured.get().splitlines() == ["t", "a  b", "----"]


@pytest.mark.parametrize(
    ("columns", "width"), [("80", 80), ("160", 160), ("", 10_000), ("0", 10_000), ("x", 10_000)]
)
def test_a_pipe_is_as_wide_as_columns_says_else_it_has_no_width(columns: str, width: int) -> None:
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "from perf_alerts_dagster.cli import output; print(output.OUT.width)",
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": columns},
    )

    assert int(found.stdout) == width


def test_a_sentence_is_folded_at_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(OUT, "width", 80)
    say(f"{WHY}, {WHY}")
    say_under(styled("critical"), WHY)
    lines = capsys.readouterr().out.splitlines()

    assert max(map(len, lines)) <= 80
    assert " ".join(lines[:-2]) == f"{WHY}, {WHY}"
    assert lines[-2].startswith("critical  live index")
    assert lines[-1].startswith("          ")


def test_a_row_in_a_pipe_is_one_line() -> None:
    assert [line.split()[0] for line in printed(10_000, "a", "b")[3:]] == ["a", "b"]
