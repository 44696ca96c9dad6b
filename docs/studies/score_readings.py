"""The scores of the bundled real sample, and of strategies whose Sharpe ratio is known.

Run from the project's folder: `.venv/bin/python docs/studies/score_readings.py`. Every 252 rows the
last 756 are live, and the 756 before them the reference. Prints the figures of docs/scores.md.
Takes half a minute of CPU.
"""

from collections.abc import Iterator

import numpy as np
from years import sample_records

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.scores.out_of_sample import missing_sharpe, out_of_sample
from perf_alerts_dagster.statistics.scores.walk_forward import Insufficient, stability

ROWS, EVERY, YEAR = 756, 252, 252
# Simulated histories of each true Sharpe ratio.
HISTORIES = 1_000
RATIOS = (0.0, 1.0)


def readings(returns: Floats) -> Iterator[Floats]:
    """The last 1,512 rows, every 252 rows."""
    for stop in range(2 * ROWS, len(returns) + 1, EVERY):
        yield returns[stop - 2 * ROWS : stop]


def score_of(rows: Floats) -> float | None:
    """The stability of the last 756 rows, which are live."""
    found = stability(rows, np.arange(len(rows)) >= len(rows) - ROWS, float(YEAR))
    return None if isinstance(found, Insufficient) else found.score


def print_sample() -> None:
    """Mean scores by strategy, and the shares of readings beyond the limits of the other two."""
    means, every, below, missing = {}, 0, [], []
    for name, (returns, _) in sample_records().items():
        scores = [score for rows in readings(returns) if (score := score_of(rows)) is not None]
        means[name], every = float(np.mean(scores)), every + len(scores)
        for rows in readings(returns):
            found = out_of_sample(rows[:ROWS], rows[ROWS:], np.random.default_rng(1))
            part = missing_sharpe(rows[:ROWS], rows[ROWS:])
            if found is not None:
                below.append(found.share_below)
            if part is not None and part.missing is not None:
                missing.append(part.missing)
    print(
        f"Mean score over {every} readings: {np.mean(list(means.values())):.0f} of all strategies"
    )
    for name, mean in sorted(means.items(), key=lambda each: each[1]):
        print(f"- {name} {mean:.0f}")
    shares, parts = np.array(below), np.array(missing)
    print(f"F <= 0.05 in {(shares <= 0.05).mean():.0%}, <= 0.01 in {(shares <= 0.01).mean():.0%}")
    print(f"Overfitting > 0.3 in {(parts > 0.3).mean():.0%}, > 0.5 in {(parts > 0.5).mean():.0%}")


def print_known() -> None:
    """Scores of normal returns with a true Sharpe ratio."""
    rng = np.random.default_rng(2)
    for ratio in RATIOS:
        made = rng.normal(ratio / np.sqrt(YEAR), 1.0, (HISTORIES, 2 * ROWS)) * 0.008
        scores = np.array([score for rows in made if (score := score_of(rows)) is not None])
        print(
            f"True Sharpe ratio {ratio:g}: mean {scores.mean():.0f}, below 60 in "
            f"{(scores < 60).mean():.0%}, below 50 in {(scores < 50).mean():.0%} of histories"
        )


def main() -> None:
    """Print the figures."""
    print_sample()
    print_known()


if __name__ == "__main__":
    main()
