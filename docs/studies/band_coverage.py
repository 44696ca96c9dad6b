"""How well the bands cover on the bundled real sample.

Run from the project's folder: `.venv/bin/python docs/studies/band_coverage.py`. Every window is out
of sample: it is projected from rows before it. Prints Markdown; takes 15 s of CPU.
"""

import numpy as np
from years import PATHS, sample_records

from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.watchers import YEAR
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import WINDOW, filter_returns

# A strategy counts as flat where as many of its days have no P&L.
FLAT = 0.20


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


def main() -> None:
    """Print the table."""
    print_coverage({name: returns for name, (returns, _) in sample_records().items()})


if __name__ == "__main__":
    main()
