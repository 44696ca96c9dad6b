"""Messages about strategies that went live below their backtest, and power for a change later on.

Two thousand lives of three years: a hundred backtests of t(5) rows, Sharpe ratio 2, half of
756 and half of 2,520 rows, and twenty lives of each. What `judging.rules.decay` and `gap` find
day by day is found here of all days and lives at once; a test compares both.

Run: python docs/studies/gap_and_decay.py
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from years import Desk

from perf_alerts_dagster.judging.rules.decay import LONG, OWN_ROWS, SHORT, SUM
from perf_alerts_dagster.judging.rules.gap import RULE as GAP
from perf_alerts_dagster.projections.calibration import Calibration, Pair
from perf_alerts_dagster.projections.walk import badness_of
from perf_alerts_dagster.projections.watchers import STATISTICS, YEAR, Known
from perf_alerts_dagster.records.model import Flags, Floats

DAYS = 3 * YEAR
SD, SHARPE = 0.01, 2.0
BACKTESTS = (756, 2_520) * 50
LIVES = 20
GAPS = (0.0, 0.3, 0.5, 0.73)
LOSSES = (0, 1, 2, 3)
STARTS = (0, 63, 126, 252, 504)
SUMS = {SHORT.id: 126, LONG.id: 252}
AGAINST = (SHORT.id, LONG.id, SUM.id, GAP.id)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strategy:
    """A backtest (n), what its rules know of it, and the levels at which they notify."""

    backtest: Floats
    known: Known
    calibration: Calibration
    levels: dict[str, Pair]

    def limit(self, rule: str, level: float, offset: int = 0) -> Floats:
        """The badness at a level as of each row (days, 1) of a life that begins at `offset`."""
        statistic = STATISTICS[rule]
        ages = np.minimum(np.maximum(np.arange(DAYS) - offset, 0) // YEAR, statistic.years - 1)
        at = [
            self.calibration.badness_at(statistic.name(year + 1), level)
            for year in range(statistic.years)
        ]
        return np.array(at)[ages][:, None]

    def against_backtest(self, logs: Floats) -> dict[str, Floats]:
        """The badness of each rule against the backtest (days, N)."""
        return badness_of(logs, self.known, rules=AGAINST)

    def own(self, logs: Floats) -> dict[str, Floats]:
        """The badness of the sums against the own record (days, N); none in the first 252 rows."""
        scores = self.known.decay.scores(logs)
        total = np.concatenate([np.zeros((1, logs.shape[1])), scores.cumsum(axis=0)])
        found = {}
        for rule, rows in SUMS.items():
            values = np.full(logs.shape, -np.inf)
            ends = np.arange(OWN_ROWS + 1, DAYS + 1)
            before = np.maximum(OWN_ROWS, ends - rows)[:, None]
            window = total[ends] - total[before[:, 0]]
            values[OWN_ROWS:] = -(window - (ends[:, None] - before) * total[before[:, 0]] / before)
            values[OWN_ROWS:] /= np.sqrt(rows + rows * rows / before)
            found[rule] = values
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Messages:
    """What is notified of lives (N).

    `gap` is the row of the gap's message, `critical` that on which it is or becomes critical,
    `DAYS` for none; by rule `beyond` are the days on which a sum is beyond its level; on those of
    `opens` an incident of decay opens (days, N).
    """

    gap: Floats
    critical: Floats
    beyond: dict[str, Flags]
    opens: Flags


def messages(strategy: Strategy, logs: Floats) -> Messages:
    """What is notified of lives (days, N) in log returns."""
    bad, found = strategy.against_backtest(logs), np.zeros((2, *logs.shape), dtype=bool)
    for rule, values in bad.items():
        for place, level in enumerate(strategy.levels[rule]):
            found[place] |= values >= strategy.limit(rule, level)
    gap = _first(found[0])
    # Later than in its first rows a warning does not rise.
    found[1, OWN_ROWS:] &= np.arange(OWN_ROWS, DAYS)[:, None] == gap
    own, beyond, common = strategy.own(logs), {}, {}
    for rule, values in own.items():
        level = strategy.levels[rule][0]
        beyond[rule] = values >= strategy.limit(rule, level, OWN_ROWS)
        common[rule] = values < strategy.limit(rule, 2.0 * level, OWN_ROWS)
    opens, is_open = np.zeros_like(found[0]), {rule: np.zeros(logs.shape[1], bool) for rule in own}
    for day in range(OWN_ROWS, DAYS):
        was = np.any(list(is_open.values()), axis=0)
        for rule in own:
            is_open[rule] = (is_open[rule] & ~common[rule][day]) | beyond[rule][day]
        opens[day] = ~was & np.any(list(is_open.values()), axis=0)
    return Messages(gap=gap, critical=_first(found[1]), beyond=beyond, opens=opens)


def _first(found: Flags) -> Floats:
    """The first row of each life (days, N); `DAYS` for none."""
    return np.where(found.any(axis=0), found.argmax(axis=0), DAYS)


def strategies(backtests: Sequence[int] = BACKTESTS, *, lives: int = 5_000) -> list[Strategy]:
    """Strategies with backtests of so many rows, each rated by its own healthy lives."""
    rng, desk = np.random.default_rng(18), Desk(lives=lives, paths=1_000)
    pairs = []
    for rows in backtests:
        before = np.expm1(rows_of(rng, (rows, 1), SHARPE)[:, 0])
        pairs.append((before, before[:YEAR]))
    return [
        Strategy(
            backtest=year.before, known=year.known, calibration=year.calibration,
            levels=desk.levels_of(year),
        )
        for year in desk.years(pairs)
    ]  # fmt: skip


def rows_of(rng: np.random.Generator, shape: tuple[int, int], sharpe: float) -> Floats:
    """Log returns of t(5) with an annual Sharpe ratio."""
    moves = rng.standard_t(5, shape) / np.sqrt(5.0 / 3.0)
    return SD * (moves + sharpe / np.sqrt(YEAR))


def lived(seed: int, lives: int, *, lost: float = 0.0, start: int = 0) -> Floats:
    """Lives (days, N) of which an annual Sharpe ratio is lost from a row on; others are alike."""
    logs = rows_of(np.random.default_rng(seed), (DAYS, lives), SHARPE)
    logs[start:] -= SD * lost / np.sqrt(YEAR)
    return logs


def print_gaps(every: Sequence[Strategy], lives: int = LIVES) -> None:
    """Messages of strategies that go live below their backtest and do not change."""
    print("| gap | gap messages | by year | critical, by year | decay messages | by year |")
    for gap in GAPS:
        found = [
            messages(each, lived(place, lives, lost=gap * SHARPE))
            for place, each in enumerate(every)
        ]
        first = np.concatenate([each.gap for each in found])
        opens = np.concatenate([each.opens for each in found], axis=1)
        by_year = opens.reshape(3, YEAR, -1).any(axis=1).mean(axis=1)
        of_gap = [((first // YEAR) == year).mean() for year in range(3)]
        critical = np.concatenate([each.critical for each in found])
        of_critical = [((critical // YEAR) == year).mean() for year in range(3)]
        print(
            f"| {gap:.0%} | {(first < DAYS).mean():.3f} | {_listed(of_gap)} | "
            f"{_listed(of_critical)} | "
            f"{opens.sum() / opens.shape[1]:.3f} | {_listed(by_year)} |"
        )


def print_power(every: Sequence[Strategy], lives: int = LIVES) -> None:
    """How many are notified of within 252 rows of a change, of those without a message before."""
    print("| change after | any message, lost 0 / 1 / 2 / 3 | a decay message |")
    for start in STARTS:
        either, decay = [], []
        for lost in LOSSES:
            hits = np.zeros((3, 0))
            for place, each in enumerate(every):
                found = messages(each, lived(1_000 + place, lives, lost=lost, start=start))
                opened = np.where(found.opens.any(axis=0), found.opens.argmax(axis=0), DAYS)
                first = np.minimum(found.gap, opened)
                within = found.opens[start : start + YEAR].any(axis=0)
                seen = np.stack([first < start, first < start + YEAR, within])
                hits = np.concatenate([hits, seen], axis=1)
            fresh = hits[0] == 0
            either.append(hits[1][fresh].mean())
            decay.append(hits[2].mean())
        print(f"| {start} | {_listed(either)} | {_listed(decay)} |")


def print_alone(every: Sequence[Strategy], lives: int = LIVES, level: float = 0.05) -> None:
    """Each rule alone at 5 % of healthy years, within 252 rows of a change after so many."""
    print("| rule alone at 5 % | change after | lost 0 / 1 / 2 / 3 |")
    for start in (0, 504):
        for own in (False, True)[: 1 + start // OWN_ROWS]:
            for rule in SUMS if own else AGAINST:
                seen = []
                for lost in LOSSES:
                    hits = []
                    for place, each in enumerate(every):
                        logs = lived(2_000 + place, lives, lost=lost, start=start)
                        values = each.own(logs) if own else each.against_backtest(logs)
                        limit = each.limit(rule, level, OWN_ROWS * own)
                        beyond = (values[rule] >= limit)[start : start + YEAR]
                        hits.append(beyond.any(axis=0))
                    seen.append(np.mean(hits))
                print(f"| {rule}{', own record' if own else ''} | {start} | {_listed(seen)} |")


def _listed(shares: Sequence[float]) -> str:
    return " / ".join(f"{share:.3f}" for share in shares)


if __name__ == "__main__":
    EVERY = strategies()
    print_gaps(EVERY)
    print_power(EVERY)
    for ROWS in (756, 2_520):
        print(f"\nbacktests of {ROWS:,} rows")
        print_alone([each for each in EVERY if len(each.backtest) == ROWS])
