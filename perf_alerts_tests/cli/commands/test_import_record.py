"""`perf-alerts import` at the command line."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.core.errors import UsageError

TEXT = "date,a,b\n2025-01-02,0.01,0.02\n2025-01-06,0.03,-0.02\n"


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "export.csv"
    path.write_text(TEXT)
    return path


def test_what_was_assumed_and_read_is_printed(export: Path) -> None:
    result = CliRunner().invoke(
        cli, ["import", "wide", str(export), "--live-from", "2025-01-03", "--group", "g"]
    )

    assert result.exit_code == 0
    for line in (
        "export.csv: dates are in column date",
        "export.csv: a, b: values are returns",
        "rows before 2025-01-03 are backtest",
        "records/daily.csv: 4 rows",
        f"ALERT_RECORDS_URL={export.parent / 'records'}",
    ):
        assert line in result.stdout
    assert (
        "strategy a, first 2025-01-02, last 2025-01-06, rows 2, calendar weekdays, "
        in result.stdout
    )
    assert "total_return 0.0403, " in result.stdout
    assert (export.parent / "records" / "daily.csv").read_text().splitlines()[:2] == [
        "strategy,date,return,currency,segment,group",
        "a,2025-01-02,0.01,,backtest,g",
    ]


def test_without_a_first_live_day_it_is_said_that_every_row_is_live(export: Path) -> None:
    result = CliRunner().invoke(cli, ["import", "wide", str(export), "--out", "x"])

    assert "every row is live: --live-from makes earlier ones the backtest" in result.stdout


def test_one_name_for_the_columns_of_a_wide_frame_is_refused(export: Path) -> None:
    result = CliRunner().invoke(cli, ["import", "wide", str(export), "--name", "x"])

    assert isinstance(result.exception, UsageError)
