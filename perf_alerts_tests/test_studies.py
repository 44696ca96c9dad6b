"""The studies behind the figures in docs/ run on the code as it is."""

import runpy
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.judging.rules.catalogue import WEIGHTS
from perf_alerts_dagster.projections.watchers import UNHEDGED

STUDIES = Path(__file__).parents[1] / "docs" / "studies"
DAILY = [rule for rule in UNHEDGED if rule in WEIGHTS]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The names of a study, imported as when it is run from its folder."""
    monkeypatch.syspath_prepend(str(STUDIES))
    return lambda name: runpy.run_path(str(STUDIES / f"{name}.py"))


def table(printed: str, first: str) -> list[list[str]]:
    """The cells of the rows whose first cell begins so."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines()]
    return [cells for cells in rows if cells and cells[0].startswith(first)]


def test_the_kinds_have_their_sharpe_ratios_and_one_volatility(run: Any) -> None:
    study = run("kinds")
    for kind in study["KINDS"]:
        returns = study["records"](kind, 20_000, 10, seed=1)
        logs = np.log1p(returns)
        assert np.isfinite(logs).all(), kind
        assert logs.std(axis=0) / study["SD"] == pytest.approx(np.ones(10), abs=0.2), kind
        ratios = logs.mean(axis=0) / logs.std(axis=0) * np.sqrt(252)
        wanted = np.resize(study["SHARPES"], 10)
        # The error of 80 years; five standard errors.
        assert ratios == pytest.approx(wanted, abs=0.8), kind


def test_the_study_of_held_rates_shows_every_daily_rule_that_can_notify(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    study, desk = run("held_rates"), run("years")["Desk"](lives=100, paths=100)
    names = study["print_table"].__globals__
    names["ROWS"], names["OLDER"] = (300,), (3,)

    study["print_table"](desk, 1)
    study["print_older"](desk, 1)
    printed = capsys.readouterr().out
    header = printed.splitlines()[0]
    assert all(rule.replace("_", " ") in header for rule in DAILY)
    rows = table(printed, "")
    assert len({len(cells) for cells in rows[:14]}) == 1
    for kind in study["KINDS"]:
        shares = table(printed, kind)[0][3:]
        assert {float(each) for cell in shares for each in cell.split("/")} <= {0.0, 100.0}
    levels = table(printed, "*level")[0]
    assert levels[3] == "10.0 / 2.0"
    assert table(printed, "t(5)")[1][1] == "3"


def test_the_study_of_the_sample_opens_each_rule_with_and_without_evidence(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    study, helpers = run("sample_years"), run("years")
    desk = helpers["Desk"](lives=100, paths=100)
    pairs, spans = zip(*list(helpers["sample_years"]())[:3], strict=True)
    every = [desk.rated(year) for year in desk.years(pairs)]

    study["print_openings"](every)
    study["print_unions"](every, spans)
    printed = capsys.readouterr().out
    for rule in DAILY:
        cells = table(printed, rule)[0]
        assert float(cells[1]) <= max(float(cells[3]), float(cells[1])), rule
    total = [float(cell) for cell in table(printed, "sum")[0][1:]]
    assert total[2] > total[0]
    assert "over 3 years" in printed
    assert table(printed, "all")[0][1] == "3"


def test_the_study_of_a_desk_counts_openings_of_a_year_and_of_thirteen_weeks(run: Any) -> None:
    study, desk = run("desk_weeks"), run("years")["Desk"](strategies=40, lives=50, paths=100)
    study["openings"].__globals__["STRATEGIES"] = 3
    counts = study["openings"](desk, 1, 2)

    assert counts.shape == (2, 7)
    notified, critical, _, events, openings, at_critical, _ = counts.T
    assert (critical <= notified).all()
    assert (at_critical <= openings).all()
    assert (notified <= events).all()
    assert (events <= openings).all()


def test_the_study_of_bands_prints_how_often_they_are_left(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    study, sample = run("band_coverage"), run("years")["sample_records"]()
    names = ("etf_USMV", "sma_50_200")

    study["print_coverage"]({name: sample[name][0][-2_000:] for name in names})
    printed = capsys.readouterr().out
    assert table(printed, "63")[0][1] == "flat (1)"


def test_the_study_of_scores_tells_an_edge_from_none(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    study = run("score_readings")
    study["print_known"].__globals__["HISTORIES"] = 40
    study["print_known"]()

    none, edge = (float(line.split("mean ")[1].split(",")[0]) for line in
                  capsys.readouterr().out.splitlines())  # fmt: skip
    assert 0 <= none < 40 < 50 < edge <= 100
    rows = np.random.default_rng(1).normal(0.001, 0.01, 2_100)
    assert [len(each) for each in study["readings"](rows)] == [1_512] * 3
    assert np.array_equal(next(study["readings"](rows)), rows[:1_512])
    assert study["score_of"](rows[:1_512]) is not None
    assert study["score_of"](rows[:300]) is None


def test_what_opens_within_fourteen_days_is_one_event(run: Any) -> None:
    folded = run("years")["folded"]
    assert folded([]) == 0
    assert folded([3, 3, 12]) == 1
    assert folded([12, 3, 13, 22, 23]) == 3


@pytest.mark.parametrize("study", sorted(path.stem for path in STUDIES.glob("*.py")))
def test_no_study_has_the_name_of_an_installed_module(study: str) -> None:
    """A script's folder comes first on the path: numba imports `coverage` where it is there."""
    assert PathFinder.find_spec(study) is None


def test_the_study_of_hedges_sees_more_and_no_fall_of_the_benchmark(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    study = run("hedged")
    study["print_power"].__globals__.update(SHARES=(0.8,), LIVES=300, PATHS=40)

    study["print_power"](2)
    study["print_components"]()
    printed = capsys.readouterr().out
    raw, hedged = map(float, table(printed, "Sharpe 2 to 0, first year")[0][1:])
    assert hedged > 0.9 > raw
    assert max(map(float, table(printed, "nothing")[0][1:])) < 0.25
    raw, hedged = map(float, table(printed, "benchmark falls")[0][1:])
    assert raw > 0.7
    assert hedged < 0.25
    assert float(table(printed, "50 % below")[0][1]) < 0.3
    assert float(table(printed, "etf_QUAL")[0][2]) > float(table(printed, "etf_QUAL")[0][1]) + 0.05
    assert table(printed, "wfo_sma_spx")[0][2] == "none"


def test_the_studies_count_the_samples_real_strategies_alone(run: Any) -> None:
    assert len(run("years")["sample_records"]()) == 16


def test_the_study_of_paired_faults_sees_and_names_a_lag_also_in_noise_it_was_not_made_for(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    study = run("paired_faults")
    study["print_faults"].__globals__.update(NAMES={"lag": "lag"}, NOISES=("drifting",))

    study["print_faults"](4, 1, "drifting")
    study["print_healthy"](1, 1)
    printed = capsys.readouterr().out
    assert table(printed, "lag")[0][1:4] == ["1.00", "1.00", "1.00"]
    assert table(printed, "drifting")[0][1].endswith(" %")
