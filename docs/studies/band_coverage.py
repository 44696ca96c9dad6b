"""How well the bands cover, and what the evidence gate leaves, on the bundled real sample.

Run from the project's folder: `.venv/bin/python docs/studies/band_coverage.py`. Every window is out
of sample: it is projected from rows before it. Prints Markdown; takes half a minute.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from years import PATHS, LiveYear, at_start_of_live, live_years, sample_records

from perf_alerts_dagster.judging.rules.catalogue import BY_ID, DOCUMENTED_LIMITS
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import LIFE, Calibration, calibrate, yearly_share
from perf_alerts_dagster.projections.lives import LifeDraws, draw_lives
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.watchers import STATISTICS, YEAR, documented_badness
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import WINDOW, filter_returns

# A strategy counts as flat where as many of its days have no P&L.
FLAT = 0.20
LIVES = 1_000
BUDGETS = {"warning": 0.05, "critical": 0.01}
DOCUMENTED = documented_badness(DOCUMENTED_LIMITS, periods_per_year=YEAR)


class Windows:
    """Windows of so many rows, without overlap, against the bands of the 756 rows before each.

    `left` says by band whether each window left it, `spread` gives the projected over the
    historical standard deviation at the horizon.
    """

    def __init__(self, returns: Floats, horizon: int) -> None:
        self.left: dict[str, list[bool]] = {}
        self.spread: list[float] = []
        starts = range(WINDOW, len(returns) - horizon + 1, horizon)
        known = [(start, filter_returns(returns[start - WINDOW : start])) for start in starts]
        varying = [(start, residuals) for start, residuals in known if residuals is not None]
        bands = fans([each for _, each in varying], draw(horizon, PATHS, horizon), horizon)
        for (start, residuals), fan in zip(varying, bands, strict=True):
            path = np.log1p(returns[start : start + horizon]).cumsum()
            for level in ("95", "99"):
                low, high = fan.both(int(level) / 100)
                lower = fan.lower(int(level) / 100)
                outside = bool(((path < low) | (path > high)).any())
                self.left.setdefault(f"both {level}", []).append(outside)
                self.left.setdefault(f"lower {level}", []).append(bool((path < lower).any()))
            projected = (fan.pointwise[6, -1] - fan.pointwise[4, -1]) / 2
            self.spread.append(float(projected / (residuals.sigma * horizon**0.5)))


def calibration_of(year: LiveYear, draws: LifeDraws) -> Calibration:
    """As the product calibrates at the start of live."""
    (found,) = calibrate(
        [year.life], [year.known], draws, budget=BUDGETS["warning"], documented=DOCUMENTED
    )
    return found


def openings(reached: Sequence[bool]) -> int:
    """How often a state begins."""
    return int((np.diff(np.r_[0, np.asarray(reached, dtype=int)]) == 1).sum())


def count(year: LiveYear, calibration: Calibration) -> Counter[tuple[str, str]]:
    """Openings of a year by (rule, kind): by the documented limits, and with evidence."""
    counted: Counter[tuple[str, str]] = Counter()
    band, residuals = year.known.band, np.sort(year.known.residuals.standardised)
    # The severities that each rule's value has by its own limits.
    steps = {
        "exceedance_rate": dict(BY_ID["exceedance_rate"].ladder.steps),
        "consecutive_exceedances": dict(BY_ID["consecutive_exceedances"].ladder.steps),
        "daily_exceedance": {"warning": -residuals[0], "critical": -1.5 * residuals[0]},
    }
    for rule in ("rolling_sharpe", "drawdown"):
        sign, badness = (-1.0 if rule == "drawdown" else 1.0), STATISTICS[rule].badness
        steps[rule] = {
            severity: badness(sign * DOCUMENTED_LIMITS[f"{rule}_{severity}"], YEAR)
            for severity in BUDGETS
        }
    for rule, days in year.badness().items():
        if rule == "volatility_shift":
            continue
        statistic = STATISTICS[rule].name(1)
        shares = np.array([calibration.p_year(statistic, value) for value in days.tolist()])
        if rule == "daily_exceedance":
            tail = [yearly_share(-value, residuals) for value in days.tolist()]
            shares = np.maximum(shares, tail)
        for severity, budget in BUDGETS.items():
            if rule == "interval_breach":
                k = (band.median - band.lower(1.0 - budget))[0] / band.below[0]
                documented = gated = days > k
            elif rule == "life_cusum":
                documented = gated = shares <= budget
            else:
                documented = days >= steps[rule][severity]
                gated = documented & (shares <= budget)
            counted[rule, f"{severity}, documented"] += openings(documented.tolist())
            counted[rule, f"{severity}, gated"] += openings(gated.tolist())
    return counted


def print_coverage(records: dict[str, Floats]) -> None:
    """The share of windows that leave each band, and how wide the bands are."""
    flat = {name for name, returns in records.items() if float((returns == 0).mean()) >= FLAT}
    print("| horizon | strategies | windows | two-sided 95 % left | 99 % | lower 95 % | 99 % |")
    print("|---|---|---|---|---|---|---|")
    for horizon in (63, YEAR):
        windows = {name: Windows(returns, horizon) for name, returns in records.items()}
        groups = {"flat": flat, "other": set(records) - flat, "all": set(records)}
        for group, names in groups.items():
            cells = []
            for kind in ("both 95", "both 99", "lower 95", "lower 99"):
                left = [each for name in sorted(names) for each in windows[name].left[kind]]
                cells.append(f"{np.mean(left):.1%}".replace("%", " %"))
            print(f"| {horizon} | {group} ({len(names)}) | {len(left)} | {' | '.join(cells)} |")
    medians = [np.median(each.spread) for each in windows.values()]
    largest = max(max(each.spread) for each in windows.values())
    print(f"\nProjected over historical sd at 252 days: median per strategy {min(medians):.2f} to ")
    print(f"{max(medians):.2f}, at most {largest:.2f} in any window.")


def print_openings(records: dict[str, Floats], draws: LifeDraws) -> None:
    """Openings per strategy-year by rule, over every year of the sample."""
    years = [year for returns in records.values() for year in live_years(returns)]
    total: Counter[tuple[str, str]] = Counter()
    for year in years:
        total += count(year, calibration_of(year, draws))
    kinds = [f"{severity}, {gate}" for gate in ("documented", "gated") for severity in BUDGETS]
    print(f"\nOpenings per strategy-year over {len(years)} years:\n")
    print(f"| rule | {' | '.join(kinds)} |\n|---|---|---|---|---|")
    rules = [rule for rule in STATISTICS if rule != "volatility_shift"]
    for rule in rules:
        print(
            f"| {rule} | {' | '.join(f'{total[rule, kind] / len(years):.2f}' for kind in kinds)} |"
        )
    sums = [sum(total[rule, kind] for rule in rules) / len(years) for kind in kinds]
    print(f"| sum | {' | '.join(f'{value:.2f}' for value in sums)} |")


def print_calibrations(years: Sequence[LiveYear], draws: LifeDraws) -> None:
    """What the calibrations at the start of live state, in the median over the strategies."""
    calibrations = [calibration_of(year, draws) for year in years]
    print(
        "\n| rule | false alarms a year | power, 126 sessions | days to half |\n|---|---|---|---|"
    )
    for rule, statistic in STATISTICS.items():
        name = statistic.name(1)
        rate = np.median([each.false_alarm_rate(name) for each in calibrations])
        power = np.median([each.power[name] for each in calibrations])
        half = np.median([each.half[name] for each in calibrations])
        print(f"| {rule} | {rate:.1%} | {power:.1%} | {half:.0f} |")
    unions = [each.union for each in calibrations]
    print(f"\nUnion: median {np.median(unions):.1%}, {min(unions):.1%} to {max(unions):.1%}.")


def main() -> None:
    """Print the tables."""
    sample = sample_records()
    records = {name: returns for name, (returns, _) in sample.items()}
    print_coverage(records)
    print_openings(records, draw_lives(1, LIVES, LIFE))
    starts = [at_start_of_live(returns, backtest) for returns, backtest in sample.values()]
    print_calibrations(starts, draw_lives(1, 2 * LIVES, LIFE))


if __name__ == "__main__":
    main()
