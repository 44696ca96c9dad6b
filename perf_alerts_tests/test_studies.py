"""The studies behind the figures in docs/ run on the code as it is."""

import runpy
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.projections.calibration import LIFE
from perf_alerts_dagster.projections.lives import draw_lives
from perf_alerts_dagster.projections.walk import Walk, days_of
from perf_alerts_dagster.projections.watchers import STATISTICS

STUDIES = Path(__file__).parents[1] / "docs" / "studies"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The names of a study, imported as when it is run from its folder."""
    monkeypatch.syspath_prepend(str(STUDIES))
    return lambda name: runpy.run_path(str(STUDIES / f"{name}.py"))


def numbers(line: str) -> list[float]:
    """The numbers in the cells of a row, but the first two."""
    return [float(each.strip(" %")) for cell in line.split("|")[3:-1] for each in cell.split("/")]


def test_the_study_of_healthy_years_rates_every_rule_of_every_kind(run: Any) -> None:
    study, years = run("healthy_years"), run("years")["live_years"]
    walk = Walk(draw_lives(1, study["LIVES"], days_of(years=1)))
    records = study["records"](756 + 315 + 252)

    assert len(records) == 9
    for name, returns in records.items():
        assert np.isfinite(returns).all(), name
        count, *shares = numbers(study["row"](name, "756", list(years(returns, 756)), walk))
        assert count == 2
        assert len(shares) == 2 * (len(STATISTICS) + 1)
        assert set(shares) <= {0.0, 50.0, 100.0}


def test_the_study_of_the_sample_prints_its_tables(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    study = run("band_coverage")
    sample = run("years")["sample_records"]()
    names = ("etf_USMV", "sma_50_200")
    records = {name: sample[name][0][-2_000:] for name in names}
    draws = draw_lives(1, 50, LIFE)

    study["print_coverage"](records)
    study["print_openings"](records, draws)
    starts = [run("years")["at_start_of_live"](*sample[name]) for name in names]
    study["print_calibrations"](starts, draws)

    printed = capsys.readouterr().out
    for rule in STATISTICS:
        assert f"\n| {rule} | " in printed
    assert "| 63 | flat (1) |" in printed
    assert "over 8 years" in printed


@pytest.mark.parametrize("study", sorted(path.stem for path in STUDIES.glob("*.py")))
def test_no_study_has_the_name_of_an_installed_module(study: str) -> None:
    """A script's folder comes first on the path: numba imports `coverage` where it is there."""
    assert PathFinder.find_spec(study) is None
