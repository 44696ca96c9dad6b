"""The commands as a user meets them: real processes, real exit codes, standard output alone."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import empyrical
import numpy as np
import pytest

from perf_alerts_tests.cli.forked import Command, commands

Run = Callable[..., "subprocess.CompletedProcess[str]"]
ROWS = 400


def environment(state: Path, **environ: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALERT_")}
    return {**kept, "ALERT_STATE_DIR": str(state), **environ}


@pytest.fixture
def run_anew(tmp_path: Path) -> Run:
    """A command in an interpreter of its own."""

    def call(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "perf_alerts_dagster.cli", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment(tmp_path / "state", **environ),
        )

    return call


@pytest.fixture(scope="module")
def forked() -> Iterator[Command]:
    with commands() as found:
        yield found


@pytest.fixture
def run(tmp_path: Path, forked: Command) -> Run:
    """A command in a process of its own."""

    def call(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return forked(words, environment(tmp_path / "state", **environ), tmp_path)

    return call


@pytest.fixture
def returns() -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.round(np.random.default_rng(7).standard_t(4, ROWS) * 0.008 + 0.0004, 10)


@pytest.fixture
def daily(tmp_path: Path, returns: np.ndarray[Any, np.dtype[np.float64]]) -> Path:
    days = np.busday_offset("2020-01-01", np.arange(ROWS), roll="forward")
    rows = ["strategy,date,pnl,capital,segment"]
    for place, (day, value) in enumerate(zip(days, returns, strict=True)):
        segment = "backtest" if place < 300 else "live"
        rows.append(f"alpha,{day},{value * 1e6:.6f},1000000,{segment}")
        rows.append(f"beta,{day},{-value * 1e6:.6f},1000000,{segment}")
    path = tmp_path / "daily.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def young_rows(name: str, count: int) -> list[str]:
    """Live rows on weekdays from 2020-01-01 on, without a backtest."""
    days = np.busday_offset("2020-01-01", np.arange(count), roll="forward")
    returns = np.random.default_rng(5).normal(0.0005, 0.005, count)
    return [f"{name},{day},{value:.8f},live" for day, value in zip(days, returns, strict=True)]


def measured(answer: "subprocess.CompletedProcess[str]", strategy: str, segment: str) -> Any:
    (found,) = [
        one
        for one in json.loads(answer.stdout)["strategies"]
        if (one["strategy"], one["segment"]) == (strategy, segment)
    ]
    return found


def test_measure_agrees_with_the_fields_library(
    run: Run, daily: Path, returns: np.ndarray[Any, np.dtype[np.float64]]
) -> None:
    answer = run("measure", "--records", str(daily), "--json")
    found = measured(answer, "alpha", "backtest")
    metrics, r = found["metrics"], returns[:300]

    assert found["observations"] == 300
    assert metrics["total_return"] == pytest.approx(empyrical.cum_returns_final(r), abs=1e-9)
    assert metrics["cagr"] == pytest.approx(empyrical.cagr(r), abs=1e-9)
    assert metrics["annual_volatility"] == pytest.approx(empyrical.annual_volatility(r), abs=1e-9)
    assert metrics["sharpe_ratio"] == pytest.approx(empyrical.sharpe_ratio(r), abs=1e-9)
    assert metrics["sortino_ratio"] == pytest.approx(empyrical.sortino_ratio(r), abs=1e-9)
    assert metrics["calmar_ratio"] == pytest.approx(empyrical.calmar_ratio(r), abs=1e-9)
    assert metrics["max_drawdown"] == pytest.approx(empyrical.max_drawdown(r), abs=1e-9)
    assert metrics["value_at_risk_95"] == pytest.approx(empyrical.value_at_risk(r), abs=1e-9)
    assert metrics["expected_shortfall_95"] == pytest.approx(
        empyrical.conditional_value_at_risk(r), abs=1e-9
    )


def test_measure_sets_live_against_the_models_own_pnl(run: Run, tmp_path: Path) -> None:
    live = young_rows("m", 100)
    model = [f"m,{row.split(',')[1]},{float(row.split(',')[2]) / 0.8:.8f},shadow" for row in live]
    path = tmp_path / "daily.csv"
    path.write_text("\n".join(["strategy,date,return,segment", *live, *model, ""]))

    found = measured(run("measure", "--records", str(path), "--json"), "m", "live")["shadow"]
    shown = run("measure", "--records", str(path)).stdout

    assert (found["rows"], found["beta"]) == (100, pytest.approx(0.8, rel=1e-5))
    assert (found["spearman"], found["spearman_zone"]) == (pytest.approx(1.0), "green")
    lines = shown.splitlines()
    (place,) = [at for at, line in enumerate(lines) if "against its model: rows 100, mean" in line]
    # With its strategy, and not with the desk as a whole.
    assert lines[place].split()[:2] == ["m", "live"]
    path.write_text("\n".join(["strategy,date,return,segment", *live, ""]))
    assert measured(run("measure", "--records", str(path), "--json"), "m", "live")["shadow"] is None


def test_measure_takes_the_periods_of_a_monthly_record(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "monthly.csv"
    months = [f"{2015 + place // 12}-{place % 12 + 1:02}-28" for place in range(60)]
    r = np.round(np.random.default_rng(3).normal(0.01, 0.03, 60), 8)
    path.write_text(
        "strategy,date,return,segment\n"
        + "".join(f"m,{day},{value},live\n" for day, value in zip(months, r, strict=True))
    )

    answer = run("measure", "--records", str(path), "--periods-per-year", "12", "--json")
    metrics = measured(answer, "m", "live")["metrics"]

    assert metrics["sharpe_ratio"] == pytest.approx(
        empyrical.sharpe_ratio(r, annualization=12), abs=1e-9
    )


def test_a_broken_row_is_named_and_the_other_strategy_is_judged(run: Run, daily: Path) -> None:
    lines = daily.read_text().splitlines()
    lines[4] = lines[4].replace(lines[4].split(",")[2], "12x")
    daily.write_text("\n".join(lines))

    answer = run(
        "evaluate", "daily_pnl_check", "--records", str(daily), "--as-of", "2021-06-01", "--json"
    )
    outcomes: dict[str, set[str]] = {}
    for one in json.loads(answer.stdout)["evaluations"]:
        outcomes.setdefault(one["strategy"], set()).add(one["outcome"])

    assert answer.returncode == 1
    assert "daily.csv, row 5, column pnl: is not a number" in answer.stderr
    assert outcomes["beta"] == {"error"}
    assert "error" not in outcomes["alpha"]


def test_faults_come_after_the_verdict_and_three_of_a_strategy(run: Run, daily: Path) -> None:
    lines = daily.read_text().splitlines()
    broken = [line.rsplit(",", 3)[0] + ",x,1000000,live" for line in lines if "beta" in line]
    path = daily.with_name("broken.csv")
    path.write_text("\n".join([lines[0], *[one for one in lines if "alpha" in one], *broken[:9]]))
    done = run("evaluate", "daily_pnl_check", "--records", str(path), "--as-of", "2021-06-01")
    faults = [line for line in done.stderr.splitlines() if line.startswith("beta: ")]

    assert len(faults) == 4, done.stderr
    assert faults[-1] == "beta: and 6 more"


def test_evaluate_gives_the_same_bytes_twice_and_stores_nothing(
    run: Run, run_anew: Run, daily: Path, tmp_path: Path
) -> None:
    words = ("evaluate", "daily_pnl_check", "--records", str(daily), "--as-of", "2021-06-01")

    one, two = run_anew(*words, "--json"), run_anew(*words, "--json")

    assert one.stdout == two.stdout
    evaluations = json.loads(one.stdout)["evaluations"]
    assert one.returncode == any(each["notifies"] for each in evaluations)
    assert {each["notifies"] for each in evaluations} <= {True, False}
    assert set(evaluations[0]) >= {
        "strategy",
        "rule",
        "outcome",
        "severity",
        "value",
        "limit",
        "observations",
        "required",
        "evidence",
        "p_year",
        "false_alarm_rate",
        "power",
        "days_to_half",
        "power_126",
        "power_252",
        "delay_sessions",
        "minimal_delay_sessions",
        "share_of_limit",
    }
    assert "perfect" in run(*words, "--all").stdout
    assert not (tmp_path / "state" / "perf_alerts.db").exists()


def test_evaluate_says_why_a_notified_breach_was_one(run: Run, tmp_path: Path) -> None:
    rows = young_rows("new_ml", 200)
    day = rows[-1].split(",")[1]
    rows[-1] = f"new_ml,{day},-0.08,live"
    path = tmp_path / "daily.csv"
    path.write_text("\n".join(["strategy,date,return,segment", *rows]) + "\n")
    words = ("evaluate", "daily_pnl_check", "--records", str(path), "--as-of", day)
    limits = {"ALERT_POLICY_LIMITS": '{"default": {"daily_loss": 0.05}}'}

    found = json.loads(run(*words, "--json", **limits).stdout)["evaluations"]
    shown = run(*words, **limits).stdout

    (why,) = {each["parts"]["explained"]["line"] for each in found if "explained" in each["parts"]}
    assert why.startswith("the strategy itself -8.0 % that day, usually -0.6")
    assert why in " ".join(shown.split())
    # What is notified comes first, then the count.
    lines = shown.splitlines()
    assert lines[0].startswith("critical  new_ml ")
    assert "1 strategy judged, 1 would notify" in lines


def test_an_as_of_date_outside_the_record_is_wrong_use(run: Run, daily: Path) -> None:
    answer = run("measure", "--records", str(daily), "--as-of", "1999-01-01")

    assert answer.returncode == 2
    assert "must be a session from 2020-01-01 to" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_evaluate_says_what_a_young_strategy_is_watched_for(run: Run, tmp_path: Path) -> None:
    rows = young_rows("new_ml", 40)
    path = tmp_path / "daily.csv"
    path.write_text("\n".join(["strategy,date,return,segment", *rows]) + "\n")
    words = ("evaluate", "daily_pnl_check", "--records", str(path), "--as-of", "2020-02-25")
    note = "40 of 756 rows; watched only for data and drawdown"

    answer = json.loads(run(*words, "--json").stdout)
    shown = run(*words)

    assert answer["strategies"] == [
        {"strategy": "new_ml", "outcome": "insufficient_data", "note": note}
    ]
    assert f"new_ml: {note}\n" in shown.stdout
    lacking = [each["outcome"] for each in answer["evaluations"]].count("insufficient_data")
    assert f"4 more evaluations are ok, {lacking} lack data" in shown.stderr


def test_check_lists_all_faults_at_once_without_secrets(run: Run) -> None:
    answer = run(
        "check",
        ALERT_DAILY_PNL_TIME="25:00",
        ALERT_AUTH_ENABLED="ture",
        ALERT_JWT_SECRET="hunter2",
        ALERT_RECORDS_URL="/no/such/file.csv",
    )

    assert answer.returncode == 2
    for variable in ("DAILY_PNL_TIME", "AUTH_ENABLED", "JWT_SECRET", "RECORDS_URL"):
        assert f"ALERT_{variable}" in answer.stderr
    assert "hunter2" not in answer.stderr + answer.stdout
    assert "Traceback" not in answer.stderr


def test_check_says_what_is_judged_now_and_what_from_when(run: Run, tmp_path: Path) -> None:
    # The newest row is of today, so that it is not late.
    days = np.busday_offset(np.datetime64("today"), np.arange(-399, 1), roll="backward")
    returns = np.random.default_rng(5).normal(0.0005, 0.01, 400)
    rows = [
        f"{name},{day},{value:.8f},{'backtest' if name == 'old' and day < days[380] else 'live'}"
        for name, count in (("new_a", 40), ("new_b", 40), ("old", 400))
        for day, value in zip(days[-count:], returns[-count:], strict=True)
    ]
    path = tmp_path / "daily.csv"
    path.write_text("\n".join(["strategy,date,return,segment", *rows]) + "\n")

    answer = run("check", ALERT_RECORDS_URL=str(path), ALERT_SESSION_CLOSE="00:00")
    (young,) = [line for line in answer.stdout.splitlines() if "no backtest" in line]

    assert answer.returncode == 0
    assert young.startswith(
        "ALL, new_a and new_b: 40 live rows, no backtest: now data and drawdown; "
        "from 63 live rows ("
    )
    assert (
        "and decay since live began; flat run, repeated P&L and volatility shift: 252 backtest rows"
        in young
    )
    assert "old: 20 live rows, 380 backtest rows: now data, " in answer.stdout


def test_check_names_what_is_missing_of_a_strategy(run: Run, tmp_path: Path) -> None:
    days = np.busday_offset(np.datetime64("today"), np.arange(-99, 1), roll="backward")
    returns = np.random.default_rng(5).normal(0.003, 0.01, (2, 100))
    rows = [
        f"{name},{day},{value:.8f}"
        for name, values in zip("ab", returns, strict=True)
        for day, value in zip(days, values, strict=True)
    ]
    del rows[-10]
    (tmp_path / "daily.csv").write_text("\n".join(["strategy,date,return", *rows]) + "\n")

    answer = run("check", ALERT_RECORDS_URL=str(tmp_path), ALERT_SESSION_CLOSE="00:00")

    assert f"partial: no row of {days[-10]}\n" in answer.stdout
    assert f"partial: no row of b on {days[-10]}\n" in answer.stdout


@pytest.fixture
def cases() -> Path:
    return Path(__file__).parents[1] / "records" / "cases"


def test_check_says_of_a_late_desk_that_nothing_of_it_is_judged(run: Run, cases: Path) -> None:
    answer = run("check", ALERT_RECORDS_URL=str(cases / "group_with_backtest.csv"))
    (line,) = [one for one in answer.stdout.splitlines() if "sessions late" in one]

    assert line.startswith("ALL, grinder, group:g and newcomer: no rows since Fri 2 Oct: ")
    assert "judged" not in line


def test_check_says_what_a_wiped_out_strategy_lost(run: Run, cases: Path) -> None:
    answer = run("check", ALERT_RECORDS_URL=str(cases / "pctnum.csv"))

    assert re.search(
        r"s1: lost 12[89]\.\d % of its capital on Fri 24 Jan: wiped out\n", answer.stdout
    )


def test_check_warns_of_an_unknown_name_with_the_nearest(run: Run, daily: Path) -> None:
    answer = run("check", ALERT_DAILY_PNL_TIMES="17:00", ALERT_RECORDS_URL=str(daily))

    assert answer.returncode == 0
    assert "did you mean ALERT_DAILY_PNL_TIME?" in answer.stderr


def test_an_unknown_alert_is_answered_with_the_five(run: Run) -> None:
    answer = run("evaluate", "daily")

    assert answer.returncode == 2
    assert "evening_performance_check" in answer.stderr


@pytest.mark.parametrize(
    "command", ["up", "check", "run", "evaluate", "measure", "strategies", "home", "migrate"]
)
def test_every_command_teaches_itself(run: Run, command: str) -> None:
    answer = run(command, "--help")

    assert answer.returncode == 0
    assert len(answer.stdout.splitlines()) > 6


def test_run_is_a_real_dagster_run_and_is_stored(
    run: Run, run_anew: Run, daily: Path, tmp_path: Path
) -> None:
    words = ("run", "daily_pnl_check", "--as-of", "2021-06-01")
    answer = run_anew(*words, ALERT_RECORDS_URL=str(daily))
    again = run("evaluate", "daily_pnl_check", "--as-of", "2021-06-01", "--records", str(daily))

    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    run_id = lines[0].rpartition(" ")[2]
    assert lines[0].startswith("daily_pnl_check finished: ")
    assert lines[1].startswith("daily_pnl_check: judged 2021-06-01; strategies: ")
    assert re.fullmatch(r"incidents opened: (0|\d+ \((\d+ \w+(, )?)+\) in \d+ events?)", lines[2])
    assert "to notify of" not in answer.stdout
    assert "not judged in full" not in answer.stderr.partition("finished")[2]
    assert re.fullmatch(r"due next: .* 17:00 UTC; no stack is running: `perf-alerts up`", lines[3])
    assert lines[4].split() == ["run", f"http://127.0.0.1:3000/runs/{run_id}"]
    opened = lines[2] != "incidents opened: 0"
    assert lines[5:] == ["incidents  http://127.0.0.1:8089/incidents"] * opened
    # Dagster's own steps are no news.
    assert "DEBUG" not in answer.stderr
    assert again.returncode in (0, 1)
    (summary,) = (tmp_path / "state" / "performance_alerts" / "scheduled").glob("*.json")
    assert json.loads(summary.read_text())["as_of"] == "2021-06-01"


def test_run_with_a_date_that_is_no_session_fails_at_once(run: Run, daily: Path) -> None:
    answer = run("run", "daily_pnl_check", "--as-of", "2021-06-05", ALERT_RECORDS_URL=str(daily))

    assert answer.returncode == 1
    assert "will not be retried" in answer.stderr
    (line,) = [line for line in answer.stderr.splitlines() if " failed, run " in line]
    assert "2021-06-05 is no session of the record" in line


@pytest.mark.parametrize("command", [["up"], ["migrate"], ["home"], ["restore", "."]])
def test_a_state_folder_that_cannot_be_made_is_said_in_a_line(
    run: Run, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = run(*command, ALERT_STATE_DIR=str(tmp_path / "file" / "state"))

    assert done.returncode == 1
    assert "ALERT_STATE_DIR" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["ALERT_NOTIFY_URLS", "ALERT_ESCALATION_URLS"])
def test_up_with_a_channel_that_cannot_be_opened_says_so_in_a_line_before_it_starts(
    run: Run, tmp_path: Path, name: str
) -> None:
    done = run("up", **{name: "nonsense://hush@host"})

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{name}: URL 1 is none that Apprise can read")
    assert "hush" not in line
    assert not (tmp_path / "state").exists()


def test_keygen_makes_a_strong_key_and_the_form_that_hides_it(run: Run) -> None:
    first, second = run("keygen", "operator", "--hash"), run("keygen", "operator")
    key, stored = first.stdout.split()

    assert key.startswith("pa_operator_")
    assert len(key) >= 32
    assert stored == f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    assert key not in second.stdout


def test_thresholds_need_a_key_and_say_where_it_comes_from(run: Run) -> None:
    answer = run("thresholds", "show")

    assert answer.returncode == 2
    assert "PERF_ALERTS_KEY" in answer.stderr


CASES = Path(__file__).parents[1] / "records" / "cases"


@pytest.mark.parametrize(("case", "periods"), [("freq_W-FRI", 52.0), ("freq_ME", 12.0)])
def test_measure_annualises_with_the_rows_per_year_of_the_dates(
    run: Run, case: str, periods: float
) -> None:
    answer = run("measure", "--records", str(CASES / f"{case}.csv"), "--json")
    daily = run(
        "measure", "--records", str(CASES / f"{case}.csv"), "--periods-per-year", "252", "--json"
    )
    found, other = (measured(one, "w", "live") for one in (answer, daily))

    assert json.loads(answer.stdout)["periods_per_year"] == periods
    assert found["periods_per_year"] == periods
    assert other["periods_per_year"] == 252.0
    ratio = found["metrics"]["sharpe_ratio"] / other["metrics"]["sharpe_ratio"]
    assert ratio == pytest.approx((periods / 252.0) ** 0.5)


def test_measure_names_no_common_rows_per_year_where_strategies_differ(run: Run) -> None:
    answer = run("measure", "--records", str(CASES / "coin_and_stock.csv"), "--json")

    assert json.loads(answer.stdout)["periods_per_year"] is None
    assert measured(answer, "coin", "live")["periods_per_year"] == 365.0
    assert measured(answer, "stock", "live")["periods_per_year"] == 252.0


def test_strategies_shows_calendars_with_their_origin_and_the_last_final_row(
    run: Run, daily: Path, tmp_path: Path
) -> None:
    declared = tmp_path / "book"
    declared.mkdir()
    daily.rename(declared / "daily.csv")
    (declared / "strategies.csv").write_text("strategy,calendar\nalpha,24/7\nbeta,NOWHERE\n")
    answer = run("strategies", "--records", str(declared), "--json")
    listed = {one["strategy"]: one for one in json.loads(answer.stdout)["strategies"]}
    alpha, beta = listed["alpha"], listed["beta"]
    table = run("strategies", "--records", str(declared)).stdout

    assert (alpha["calendar"], alpha["calendar_origin"], alpha["calendar_since"]) == (
        "24/7",
        "declared",
        None,
    )
    assert (alpha["periods_per_year"], alpha["longest_gap"]) == (365.0, None)
    assert alpha["last_final"] == alpha["newest"] == "2021-07-13"
    assert beta["status"] == "error"
    assert "not 'NOWHERE'" in beta["faults"][0]
    assert "24/7 (declared)" in " ".join(table.split())


def test_a_group_whose_name_is_that_of_an_emoji_is_shown_as_written(
    run: Run, tmp_path: Path
) -> None:
    rows = [f"{name},2026-01-0{day},0.01,book" for name in "ab" for day in (5, 6, 7)]
    path = tmp_path / "daily.csv"
    path.write_text("\n".join(["strategy,date,return,group", *rows]) + "\n")
    answer = run("check", ALERT_RECORDS_URL=str(path))

    assert "group:book: a 50.0%, b 50.0% of the capital" in answer.stdout
