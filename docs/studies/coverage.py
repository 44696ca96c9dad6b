"""How well the bands cover, and what the evidence gate leaves, on the bundled real sample.

Run from the project's folder: `.venv/bin/python docs/studies/coverage.py`. Every window is out
of sample: it is projected from the 756 rows before it. Prints Markdown; takes about a minute.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from perf_alerts_dagster.projections.monitors import documented_badness

from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS
from perf_alerts_dagster.judging.rules.exceedances import exceedances_of
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import LIFE, Calibration, calibrate
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.records.sources import sample
from perf_alerts_dagster.records.sources.files import ParquetTable
from perf_alerts_dagster.statistics.ewma_volatility import WINDOW, filter_returns
from perf_alerts_dagster.statistics.rolling import drawdown_path, rolling_sharpe

PATHS = 2_000
YEAR = 252
# A strategy counts as flat where as many of its days have no P&L.
FLAT = 0.20
LIMITS = {
    "rolling_sharpe": (-0.8 / YEAR**0.5, -0.5 / YEAR**0.5),
    "drawdown": (-np.log(0.92), -np.log(0.88)),
    "exceedance_rate": (0.15, 0.25),
    "consecutive_exceedances": (3.0, 5.0),
}


def strategies() -> dict[str, Floats]:
    """The sample's simple returns by strategy, oldest first."""
    folder = Path(sample.__file__).parent / "sample_data"
    frame = ParquetTable(folder / "daily.parquet").read().sort("strategy", "date")
    found = {}
    for (name,), rows in frame.partition_by("strategy", as_dict=True).items():
        if "return" in rows.columns:
            found[str(name)] = rows["return"].to_numpy()
        else:
            found[str(name)] = (rows["pnl"] / rows["capital"]).to_numpy()
    return found


def windows(returns: Floats, horizon: int) -> Iterator[tuple[Floats, Floats]]:
    """(reference, what came after) without overlap of what came after."""
    for start in range(WINDOW, len(returns) - horizon + 1, horizon):
        yield returns[start - WINDOW : start], returns[start : start + horizon]


def coverage(name: str, returns: Floats, horizon: int) -> dict[str, list[bool]]:
    """Whether each window left its bands."""
    found: dict[str, list[bool]] = {"both 95": [], "both 99": [], "lower 95": [], "lower 99": []}
    for seed, (reference, after) in enumerate(windows(returns, horizon)):
        residuals = filter_returns(reference)
        if residuals is None:
            continue
        (fan,) = fans([residuals], draw(seed, PATHS, horizon), horizon)
        path = np.log1p(after).cumsum()
        for level in (0.95, 0.99):
            low, high = fan.both(level)
            found[f"both {level:.0%}"[:-1]].append(bool(((path < low) | (path > high)).any()))
            found[f"lower {level:.0%}"[:-1]].append(bool((path < fan.lower(level)).any()))
    return found


def spread(returns: Floats) -> tuple[float, float]:
    """Least and greatest projected over historical standard deviation at 252 days."""
    ratios = []
    for seed, (reference, _) in enumerate(windows(returns, YEAR)):
        residuals = filter_returns(reference)
        if residuals is None:
            continue
        (fan,) = fans([residuals], draw(seed, PATHS, YEAR), YEAR)
        projected = (fan.pointwise[6, -1] - fan.pointwise[4, -1]) / 2
        ratios.append(projected / (np.log1p(reference).std() * YEAR**0.5))
    return float(np.median(ratios)), float(np.max(ratios))


def statistics_of(reference: Floats, year: Floats) -> dict[str, Floats]:
    """Each rule's badness per day of a year that follows its reference."""
    warm = np.concatenate([reference[-62:], year])
    both = np.concatenate([reference, year])
    hits = np.zeros(len(year) + 30, dtype=bool)
    for place in range(-30, len(year)):
        known = exceedances_of(both[: WINDOW + place + 1], 1) if place >= 0 else None
        hits[place + 30] = bool(known.hits[0]) if known else False
    counts = np.convolve(hits, np.ones(30), "valid")[1:] / 30
    runs, run = np.zeros(len(year)), 0
    for place, hit in enumerate(hits[30:]):
        run = run + 1 if hit else 0
        runs[place] = run
    return {
        "rolling_sharpe": -rolling_sharpe(warm, periods_per_year=1)[62:],
        "drawdown": -np.log1p(drawdown_path(year)),
        "exceedance_rate": counts,
        "consecutive_exceedances": runs,
    }


def openings(notified: Floats) -> int:
    """How often a state begins."""
    return int((np.diff(np.concatenate([[0], notified.astype(int)])) == 1).sum())


def count(calibration: Calibration, rule: str, badness: Floats) -> dict[str, int]:
    """Openings of a year: by the documented limits, and with evidence."""
    warning, critical = LIMITS[rule]
    shares = np.array([calibration.p_year(rule, float(value)) for value in badness])
    return {
        "warning": openings(badness >= warning),
        "critical": openings(badness >= critical),
        "gated warning": openings((badness >= warning) & (shares <= 0.05)),
        "gated critical": openings((badness >= critical) & (shares <= 0.01)),
    }


def gate(records: dict[str, Floats]) -> tuple[dict[str, dict[str, float]], float]:
    """Openings per strategy-year by rule, over every year of the sample; and the years."""
    documented = documented_badness(DOCUMENTED_LIMITS, periods_per_year=YEAR)
    total: dict[str, dict[str, float]] = {}
    years = 0
    for number, returns in enumerate(records.values()):
        for block, (reference, year) in enumerate(windows(returns, YEAR)):
            residuals = filter_returns(reference)
            if residuals is None:
                continue
            bands = fans([residuals], draw(block, PATHS, YEAR), YEAR)
            (calibration,) = calibrate(
                [residuals], bands, draw(block, 1000, LIFE), budget=0.05, documented=documented
            )
            years += 1
            for rule, badness in statistics_of(reference, year).items():
                kept = total.setdefault(rule, {})
                for kind, times in count(
                    calibration, rule, np.nan_to_num(badness, nan=-9e9)
                ).items():
                    kept[kind] = kept.get(kind, 0) + times
            path = np.log1p(year).cumsum()
            kept = total.setdefault("interval_breach", {})
            for kind, level in (("gated warning", 0.95), ("gated critical", 0.99)):
                out = openings(path < bands[0].lower(level))
                kept[kind] = kept.get(kind, 0) + out
                kept[kind.removeprefix("gated ")] = kept.get(kind.removeprefix("gated "), 0) + out
        sys.stderr.write(f"\rgate: {number + 1} of {len(records)} strategies")
    sys.stderr.write("\n")
    return total, years


def main() -> None:
    """Print both tables."""
    records = strategies()
    flat = {name for name, returns in records.items() if float((returns == 0).mean()) >= FLAT}
    print("| horizon | strategies | windows | two-sided 95 % left | 99 % | lower 95 % | 99 % |")
    print("|---|---|---|---|---|---|---|")
    for horizon in (63, YEAR):
        groups = {"flat": flat, "other": set(records) - flat, "all": set(records)}
        left = {name: coverage(name, returns, horizon) for name, returns in records.items()}
        for group, names in groups.items():
            cells = []
            for kind in ("both 95", "both 99", "lower 95", "lower 99"):
                values = [value for name in sorted(names) for value in left[name][kind]]
                cells.append(f"{np.mean(values):.1%}")
            print(f"| {horizon} | {group} ({len(names)}) | {len(values)} | {' | '.join(cells)} |")
    print(
        "\n| strategy | flat days | projected over historical sd at 252 days, median | greatest |"
    )
    print("|---|---|---|---|")
    for name, returns in records.items():
        middle, maximum = spread(returns)
        print(f"| {name} | {float((returns == 0).mean()):.0%} | {middle:.2f} | {maximum:.2f} |")
    total, years = gate(records)
    print(f"\nOpenings per strategy-year over {years} years:\n")
    print(
        "| rule | warning, documented | critical, documented | warning, gated | critical, gated |"
    )
    print("|---|---|---|---|---|")
    sums = dict.fromkeys(("warning", "critical", "gated warning", "gated critical"), 0.0)
    for rule, kept in total.items():
        print(f"| {rule} | " + " | ".join(f"{kept[kind] / years:.2f}" for kind in sums) + " |")
        for kind in sums:
            sums[kind] += kept[kind] / years
    print("| sum | " + " | ".join(f"{value:.2f}" for value in sums.values()) + " |")


if __name__ == "__main__":
    main()
