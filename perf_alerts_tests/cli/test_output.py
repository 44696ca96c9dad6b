"""What reaches a terminal: faults and warnings together, and nothing that a source smuggles in."""

import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.cli.output import OUT, print_json, print_table, styled, table
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
    OUT.print(shown)
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


def test_a_table_wider_than_the_terminal_is_a_paragraph_for_each_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    headings = ("strategy", "rule", "outcome", "severity", "value", "notifies", "why")
    rows = table("evaluations", *headings)
    why = "live index is 36.0% below its peak, at or beyond the documented 20 %; " * 2
    rows.add_row("momentum", "volatility_shift", styled("breach"), "", "2.5", "yes", why)

    monkeypatch.setattr(OUT, "width", 60)
    print_table(rows)
    narrow = capsys.readouterr().out
    monkeypatch.setattr(OUT, "width", 160)
    print_table(rows)
    wide = capsys.readouterr().out

    lines = [line.rstrip() for line in narrow.splitlines()]
    assert max(map(len, lines)) <= 60
    assert lines[:3] == [
        "evaluations",
        "momentum",
        "  rule volatility_shift, outcome breach, value 2.5, notifies",
    ]
    assert " ".join(" ".join(lines[3:]).split()) == f"yes {why}".strip()
    assert "momentum   volatility_shift   breach" in wide
