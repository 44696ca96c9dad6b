"""What `volatility_shift` sees of a volatility 1.5 times as high, and how often it errs.

Run from the project's folder: `.venv/bin/python docs/studies/changed_volatility.py [STRATEGIES]`;
40 of each kind take a minute of CPU. Each goes live on 756 or 2,520 rows, or on all rows of the
bundled sample before. Prints Markdown: per cent of healthy years (252 rows after the first 63) with
an alarm, of which by the calm side, and of futures that are notified within 126 rows of the change.
"""

import sys
from collections.abc import Iterator

import numpy as np
from kinds import KINDS, records
from years import WARM_UP, YEAR, sample_years

from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.lives import draw_lives, life_of
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.walk import Walk, badness_of, days_of
from perf_alerts_dagster.projections.watchers import WILDER, Known
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.decay import decay_reference
from perf_alerts_dagster.statistics.ewma_volatility import WINDOW, filter_returns, size_shift

RULE = "volatility_shift"
COUNT, FUTURES, SOON = 40, 32, 126
# The level that the default budget gives it, and alone.
LEVELS = (0.002, 0.05)


def judged(walk: Walk, before: Floats, futures: Floats) -> Iterator[tuple[float, float, float]]:
    """By level: the shares of futures (63 + 252, N) with an alarm, by the calm side, seen."""
    residuals, decay = filter_returns(before[-WINDOW:]), decay_reference(np.log1p(before))
    if residuals is None or decay is None:
        raise ValueError("the rows vary")
    (band,) = fans([residuals], draw(1, 100, YEAR), YEAR)
    known = Known(residuals=residuals, band=band, decay=decay)
    life = life_of(before, residuals, decay)
    (worst,) = walk.yearly_worst(life, known, rules=[RULE])[RULE]
    logs = np.log1p(futures)
    # As many columns as the compiled loops take side by side.
    wide = np.tile(logs, (1, -(-16 // logs.shape[1])))
    healthy = badness_of(wide, known, rules=[RULE])[RULE][WARM_UP:, : logs.shape[1]]
    changed = wide.copy()
    changed[WARM_UP:] = decay.mean + (wide[WARM_UP:] - decay.mean) * WILDER
    seen = badness_of(changed, known, rules=[RULE])[RULE][WARM_UP:, : logs.shape[1]]
    for level in LEVELS:
        rare = float(np.quantile(worst, 1.0 - level))
        alarms = healthy >= rare
        calm = 0
        for column in np.flatnonzero(alarms.any(axis=0)).tolist():
            row = WARM_UP + int(alarms[:, column].argmax())
            calm += not size_shift(decay.sizes(logs[: row + 1, column])).is_wilder
        yield (
            float(alarms.any(axis=0).mean()),
            calm / logs.shape[1],
            float((seen[:SOON] >= rare).any(axis=0).mean()),
        )


def cells(found: list[list[tuple[float, float, float]]]) -> str:
    """The means over strategies, by level."""
    means = np.array(found).mean(axis=0)
    return " | ".join(
        f"{100 * alarms:.1f} ({100 * calm:.1f}) | {seen:.2f}" for alarms, calm, seen in means
    )


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    walk = Walk(draw_lives(1, 5_000, days_of([RULE])))
    print("| kind | rows before | .2 %: alarms (calm) | seen | 5 %: alarms (calm) | seen |")
    print("|---|---|---|---|---|---|")
    for kind in KINDS:
        for rows in (WINDOW, 2_520):
            before = records(kind, rows, count, seed=18)
            futures = records(kind, WARM_UP + YEAR, count * FUTURES, seed=19)
            found = []
            for place in range(count):
                # Of its own Sharpe ratio: one of five.
                own = range(place % 5 + 5 * FUTURES * (place // 5), count * FUTURES, 5)[:FUTURES]
                found.append(list(judged(walk, before[:, place], futures[:, list(own)])))
            print(f"| {kind} | {rows:,} | {cells(found)} |", flush=True)
    found = [
        list(judged(walk, before, live[: WARM_UP + YEAR, np.newaxis]))
        for (before, live), _ in sample_years()
    ]
    print(f"| the sample's {len(found)} years | all | {cells(found)} |")


if __name__ == "__main__":
    main()
