"""Years of live rows, rated by what was known before them; for the studies beside this file.

What the judge, the lines of the drawdown and an incident's recovery do day by day is done here of
all days at once; a test compares both.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.context import yearly
from perf_alerts_dagster.judging.evaluation import Kind
from perf_alerts_dagster.judging.rules.catalogue import BY_ID, DOCUMENTED_LIMITS, WEIGHTS
from perf_alerts_dagster.judging.rules.decay import OWN_ROWS
from perf_alerts_dagster.judging.rules.interval import LEVELS
from perf_alerts_dagster.projections.bands import Fan, fans
from perf_alerts_dagster.projections.calibration import (
    LIVES,
    Calibration,
    Pair,
    calibrate,
    yearly_share,
)
from perf_alerts_dagster.projections.lives import draw_lives, life_of
from perf_alerts_dagster.projections.projection import CURRENT_HORIZON, Subject
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.walk import badness_of, days_of
from perf_alerts_dagster.projections.watchers import (
    STATISTICS,
    UNHEDGED,
    WARM_UP,
    YEAR,
    Known,
    documented_badness,
)
from perf_alerts_dagster.records.model import Flags, Floats
from perf_alerts_dagster.records.sources import sample
from perf_alerts_dagster.records.sources.files import ParquetTable
from perf_alerts_dagster.statistics.decay import decay_reference, own_shortfall
from perf_alerts_dagster.statistics.ewma_volatility import (
    WINDOW,
    filter_returns,
    size_shift,
)

PATHS = 10_000
DOCUMENTED = documented_badness(DOCUMENTED_LIMITS, periods_per_year=YEAR)
# The rules whose badness looks at windows of rows, those that know all of a life, the band.
WINDOWS = ("rolling_sharpe", "daily_exceedance", "exceedance_rate", "consecutive_exceedances")
BAND = "interval_breach"
LIFELONG = tuple(rule for rule in UNHEDGED if rule not in (*WINDOWS, BAND))
JUDGING, LINE = "judging band", "drawdown's lines"
# Sessions of 14 days.
FOLD = 10
SUMS = {"mean_shortfall_126": 126, "mean_shortfall_252": 252}
GAP = "gap_since_launch"
DECAY = (*SUMS, "decay_cusum", GAP)
RATED = tuple(rule for rule in UNHEDGED if rule in WEIGHTS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveYear:
    """Simple returns before live (n), of live until the year's end, and what was known at issue.

    `first` is the row of live on which the projection in force was issued: 0, 252, ...
    """

    before: Floats
    live: Floats
    first: int
    known: Known
    calibration: Calibration

    @property
    def age(self) -> int:
        """The year of life, from 1 on."""
        return self.first // YEAR + 1

    def rows_of(self, rule: str) -> slice:
        """The rows of live that the rule is rated on in this year.

        That of a rule that looks at windows begins when they are full.
        """
        start = max(self.first, STATISTICS[rule].starts)
        return slice(start, start + YEAR)

    def badness(self) -> dict[str, Floats]:
        """Each rule's badness on each row of its year (252)."""
        logs = np.log1p(self.live)[:, None]
        # So many alike are walked by the compiled loops.
        alike = np.repeat(logs, 16, axis=1)
        early = max(0, self.first - WARM_UP)
        found = {
            BAND: (badness_of(alike[self.first :], self.known, rules=(BAND,)), self.first),
            **dict.fromkeys(LIFELONG, (badness_of(alike, self.known, rules=LIFELONG), 0)),
            **dict.fromkeys(WINDOWS, (badness_of(alike[early:], self.known, rules=WINDOWS), early)),
        }
        years = {}
        for rule, (values, begins) in found.items():
            rows = self.rows_of(rule)
            days = values[rule][rows.start - begins : rows.stop - begins, 0]
            years[rule] = days.astype(np.float64)
        if self.first:
            # Against the own record.
            scores = self.known.decay.scores(logs[:, 0])
            for rule, window in SUMS.items():
                ends = np.arange(self.first, self.first + YEAR) + 1
                before = np.maximum(ends - window, OWN_ROWS)
                years[rule] = np.array(
                    [
                        own_shortfall(scores[:end], window, own)
                        for end, own in zip(ends, before, strict=True)
                    ]
                )
        return years

    def against_backtest(self) -> dict[str, Floats]:
        """The badness of each rule against the backtest on each row of live (first + 252)."""
        logs = np.log1p(self.live[: self.first + YEAR])[:, None]
        values = badness_of(np.repeat(logs, 16, axis=1), self.known, rules=DECAY)
        return {rule: days[:, 0] for rule, days in values.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rated:
    """A rule on the rows (252) of its year.

    `breach` are its limits, `notified` what is notified of, both at warning and at critical; an
    incident ends where it has `recovered`. `first` is the first row of live.
    """

    first: int
    p_year: Floats
    breach: tuple[Flags, Flags]
    notified: tuple[Flags, Flags]
    recovered: Flags

    def openings(self, severity: int = 0, *, gate: bool = True) -> list[int]:
        """The rows of live on which an incident opens at 0, warning, or becomes 1, critical."""
        opened, is_open = [], False
        begins = (self.notified if gate else self.breach)[severity]
        ends = self.recovered if gate else ~begins
        for day, (does_begin, does_end) in enumerate(zip(begins, ends, strict=True)):
            if does_begin and not is_open:
                opened.append(self.first + day)
            is_open = (is_open or bool(does_begin)) and not does_end
        return opened


class Desk:
    """Budgets and draws that strategies are rated by; groups count among the strategies."""

    def __init__(
        self, budgets: Budgets | None = None, *, strategies: int = 1, lives: int = LIVES,
        paths: int = PATHS, judging: bool = True, seed: int = 1,
    ) -> None:  # fmt: skip
        self.budgets, self.strategies, self.judging = budgets or Budgets(), strategies, judging
        self.draws = draw_lives(seed, lives, days_of())
        self.drawn = {rows: draw(seed, paths, rows) for rows in (CURRENT_HORIZON, YEAR)}

    def years(self, pairs: Iterable[tuple[Floats, Floats]], age: int = 1) -> Iterator[LiveYear]:
        """Each (before, live) of simple returns in a year of its life, from 1 on.

        Those that do not vary are left out.
        """
        first, cases = YEAR * (age - 1), []
        for before, live in pairs:
            recent = np.concatenate([before, live[:first]])[-WINDOW:]
            window = before[-WINDOW:]
            residuals = Subject(strategy="", window=window, recent=recent).residuals()
            decay = decay_reference(np.log1p(before))
            if residuals is not None and decay is not None:
                cases.append((before, live, residuals, decay))
        bands = fans([residuals for _, _, residuals, _ in cases], self.drawn[YEAR], YEAR)
        known = [
            Known(residuals=residuals, band=band, decay=decay)
            for (_, _, residuals, decay), band in zip(cases, bands, strict=True)
        ]
        calibrations = calibrate(
            [life_of(before, residuals, decay) for before, _, residuals, decay in cases],
            known,
            self.draws,
            weights=[self.budgets.weights_of("")] * len(cases),
            documented=[DOCUMENTED] * len(cases),
            power=False,
        )
        for (before, live, _, _), each, calibration in zip(cases, known, calibrations, strict=True):
            yield LiveYear(
                before=before, live=live[: first + WARM_UP + YEAR], first=first, known=each,
                calibration=calibration,
            )  # fmt: skip

    def levels_of(self, year: LiveYear) -> dict[str, Pair]:
        """The largest `p_year` at which each rule notifies."""
        return self.budgets.levels_of("", year.calibration, self.strategies)

    def rated(self, year: LiveYear) -> dict[str, Rated]:
        """Each rule that can notify, on the rows of its year.

        `JUDGING` are the current projections that judge, `LINE` the limits of the drawdown.
        """
        levels, found = self.levels_of(year), {}
        for rule, badness in year.badness().items():
            if rule == BAND:
                found[BAND] = self._launch(year, levels[BAND])
                if self.judging:
                    found[JUDGING] = self._judging(year, levels[BAND])
            elif rule in levels:
                found[rule] = _rated(year, rule, badness, levels[rule])
        found[LINE] = _line(year)
        return _with_gap(year, found, levels)

    def _launch(self, year: LiveYear, level: Pair) -> Rated:
        path = np.log1p(year.live[year.first : year.first + YEAR]).cumsum()
        return _band(year, year.known.band, path, "launch", level, doubled=self.judging)

    def _judging(self, year: LiveYear, level: Pair) -> Rated:
        """The current projections of the year's quarters, each from the rows before it."""
        starts = range(year.first, year.first + YEAR, CURRENT_HORIZON)
        rows = [np.concatenate([year.before, year.live[:start]])[-WINDOW:] for start in starts]
        known = [filter_returns(each) for each in rows]
        varying = [each for each in known if each is not None]
        bands = iter(fans(varying, self.drawn[CURRENT_HORIZON], CURRENT_HORIZON))
        quarters = []
        for start, residuals in zip(starts, known, strict=True):
            path = np.log1p(year.live[start : start + CURRENT_HORIZON]).cumsum()
            if residuals is not None:
                quarters.append(_band(year, next(bands), path, "judging", level, doubled=True))
                # Another projection's breach is another incident.
                quarters[-1].recovered[-1] = True
            else:
                quarters.append(_nothing(len(path)))
        return Rated(
            first=year.first,
            p_year=np.concatenate([each.p_year for each in quarters]),
            breach=_joined([each.breach for each in quarters]),
            notified=_joined([each.notified for each in quarters]),
            recovered=np.concatenate([each.recovered for each in quarters]),
        )


def drawdown_openings(
    rated: Mapping[str, Rated], severity: int = 0, *, documented: bool = True
) -> list[int]:
    """Openings of the drawdown's one incident, by its evidence or by its limits.

    Without `documented` its own line is the only limit.
    """
    gated, line = rated["drawdown"], rated[LINE]
    latched, recovered = False, np.empty(len(gated.recovered), dtype=bool)
    beyond = line.notified[0] if documented else line.notified[1]
    for day, (passes, high) in enumerate(zip(beyond, line.recovered, strict=True)):
        latched = (latched or bool(passes)) and not high
        recovered[day] = gated.recovered[day] and not latched
    either = (gated.notified[0] | beyond, gated.notified[1] | line.notified[1])
    return Rated(
        first=gated.first, p_year=gated.p_year, breach=gated.breach,
        notified=either, recovered=recovered,
    ).openings(severity)  # fmt: skip


def openings_of(rated: Mapping[str, Rated], severity: int = 0) -> dict[str, list[int]]:
    """The rows of live on which each rule's incidents open; the drawdown's limits are its own."""
    found = {
        rule: each.openings(severity)
        for rule, each in rated.items()
        if rule not in (LINE, "drawdown")
    }
    return {**found, "drawdown": drawdown_openings(rated, severity)}


def folded(rows: Sequence[int]) -> int:
    """Events of a strategy: what opens within 14 days of the first opening is one."""
    events, last = 0, -FOLD
    for row in sorted(rows):
        if row - last >= FOLD:
            events, last = events + 1, row
    return events


def _with_gap(
    year: LiveYear, rated: Mapping[str, Rated], levels: Mapping[str, Pair]
) -> dict[str, Rated]:
    """What is found against the backtest is the gap, once in a life, with the severity of its row.

    In the first year of life it may become critical later. What an earlier year found is known.
    """
    days = year.first + YEAR
    beyond = np.zeros((2, days), dtype=bool)
    for rule, badness in year.against_backtest().items():
        names = [STATISTICS[rule].name(age) for age in range(1, year.age + 1)]
        for place, level in enumerate(levels[rule]):
            limits = [year.calibration.badness_at(name, level) for name in names]
            beyond[place] |= badness >= np.repeat(limits, YEAR)
    first = int(beyond[0].argmax()) if beyond[0].any() else days
    beyond[1, YEAR:] &= np.arange(YEAR, days) == first
    critical = int(beyond[1].argmax()) if beyond[1].any() else days
    rows, none = np.arange(year.first, days), np.zeros(YEAR, dtype=bool)
    warned, is_critical = ((rows >= found) & (found >= year.first) for found in (first, critical))
    shown = [rule for rule in DECAY if year.age == 1 or rule not in SUMS]
    found = {rule: replace(rated[rule], notified=(none, none)) for rule in shown}
    gap = replace(rated[GAP], notified=(warned, is_critical), recovered=none)
    return {**rated, **found, GAP: gap}


def _joined(pairs: Sequence[tuple[Flags, Flags]]) -> tuple[Flags, Flags]:
    warning, critical = (np.concatenate(each) for each in zip(*pairs, strict=True))
    return warning, critical


def _nothing(rows: int) -> Rated:
    never = np.zeros(rows, dtype=bool)
    return Rated(
        first=0, p_year=np.ones(rows), breach=(never, never), notified=(never, never),
        recovered=~never,
    )  # fmt: skip


def _restarted(year: LiveYear, badness: Floats, rare: float) -> Floats:
    """The CUSUM of each row (252), which begins anew when moves are as before."""
    if badness.max() < rare:
        return badness
    sizes = year.known.decay.sizes(np.log1p(year.live))
    rows = range(*year.rows_of("volatility_shift").indices(len(sizes)))
    return np.array([size_shift(sizes[: row + 1], rare).cusum for row in rows])


def _rated(year: LiveYear, rule: str, badness: Floats, level: Pair) -> Rated:
    calibration = year.calibration
    # A life against its own record is a year younger.
    age = year.age - (rule in SUMS and year.age > 1)
    name = STATISTICS[rule].name_after(YEAR * (age - 1) + 1)
    if rule == "volatility_shift":
        badness = _restarted(year, badness, calibration.badness_at(name, level[0]))
    worst = calibration.p_year(name, float(badness.max()))
    shares = np.full(len(badness), worst)
    # Where the worst day is not notified, none is.
    if worst <= level[0]:
        shares[:] = [calibration.p_year(name, bad) for bad in badness.tolist()]
    if rule == "daily_exceedance":
        residuals = np.sort(year.known.residuals.standardised)
        worst = -float(residuals[0])
        rare = badness > worst
        shares[rare] = [
            max(share, yearly_share(-bad, residuals))
            for share, bad in zip(shares[rare].tolist(), badness[rare].tolist(), strict=True)
        ]
        limits = worst, 1.5 * worst
    elif rule == "volatility_shift":
        limits = calibration.badness_at(name, level[0]), math.inf
    elif rule in DECAY:
        limits = calibration.badness_at(name, level[0]), calibration.badness_at(name, level[1])
    else:
        limits = DOCUMENTED[rule]
    breach = badness >= limits[0], badness >= max(limits)
    # As `is_recovered`: within by a tenth of the limit, or common by twice the level.
    inside = badness <= limits[0] - 0.1 * abs(limits[0])
    if rule in DECAY:
        inside = np.zeros(len(badness), dtype=bool)
    is_event = BY_ID[rule].kind is Kind.EVENT
    return _notifying(
        year.rows_of(rule).start, shares, breach, level, inside | is_event, event=is_event
    )


def _notifying(
    first: int, shares: Floats, breach: tuple[Flags, Flags], level: Pair, inside: Flags, *,
    event: bool = False,
) -> Rated:  # fmt: skip
    warning, critical = (
        each & (shares <= share) for each, share in zip(breach, level, strict=True)
    )
    recovered = inside if event else ~warning & (inside | (shares > 2.0 * level[0]))
    return Rated(
        first=first, p_year=shares, breach=breach, notified=(warning, critical),
        recovered=recovered,
    )  # fmt: skip


def _band(
    year: LiveYear, band: Fan, path: Floats, kind: str, level: Pair, *, doubled: bool
) -> Rated:
    rows = len(path)
    lower = [band.lower(share)[:rows] for share in LEVELS[kind]]
    breach = path < lower[0], path < lower[1]
    distance = np.maximum.accumulate((band.median[:rows] - path) / band.below[:rows])
    shares = np.ones(rows)
    # Nothing is notified before the path has left the band.
    for day in np.flatnonzero(np.maximum.accumulate(breach[0])).tolist():
        p = yearly(band.share_below(float(distance[day]), day + 1), band.horizon, YEAR)
        if kind == "launch":
            p = max(p, year.calibration.p_year(BAND, float(distance[day])))
        shares[day] = 1.0 - (1.0 - p) ** 2 if doubled else p
    limit = np.expm1(lower[0])
    inside = ~breach[0] & (np.abs(np.expm1(path) - limit) >= 0.1 * np.abs(limit))
    return _notifying(year.first, shares, breach, level, inside)


def _line(year: LiveYear) -> Rated:
    """The limits of the drawdown: its own line, at critical, and the documented 20 % as well.

    An episode ends at a new high of the live index.
    """
    rows = year.rows_of("drawdown")
    total = np.log1p(year.live).cumsum()
    depth = -np.expm1(total - np.maximum.accumulate(np.maximum(total, 0.0)))[rows]
    own = depth >= year.calibration.emergency_depth(YEAR * (year.age - 1) + 1)
    beyond = own | (depth >= DOCUMENTED_LIMITS["drawdown_emergency"])
    return Rated(
        first=rows.start, p_year=np.ones(len(depth)), breach=(beyond, own),
        notified=(beyond, own), recovered=depth == 0.0,
    )  # fmt: skip


def sample_records() -> dict[str, tuple[Floats, int]]:
    """The bundled sample's simple returns by strategy, oldest first, and its backtest's rows."""
    table = ParquetTable(Path(sample.__file__).parent / "sample_data" / "daily.parquet")
    frame = table.read().sort("strategy", "date")
    return {
        str(name): (rows["return"].to_numpy(), int((rows["segment"] == "backtest").sum()))
        for (name,), rows in frame.partition_by("strategy", as_dict=True).items()
    }


def starts_of(returns: Floats, rows: int | None = None) -> Iterator[tuple[Floats, Floats]]:
    """A start of live every 252 rows, by the `rows` before it; by all, at least 756, if None."""
    for start in range(rows or WINDOW, len(returns) - WARM_UP - YEAR + 1, YEAR):
        yield returns[start - rows if rows else 0 : start], returns[start:]


def sample_years() -> Iterator[tuple[tuple[Floats, Floats], str]]:
    """Every year of the sample's strategies, see `starts_of`, and the calendar years it is in."""
    table = ParquetTable(Path(sample.__file__).parent / "sample_data" / "daily.parquet")
    frame = table.read().sort("strategy", "date")
    for rows in frame.partition_by("strategy"):
        returns, dates = rows["return"].to_numpy(), rows["date"].to_list()
        for before, live in starts_of(returns):
            first = len(before)
            span = {str(day)[:4] for day in dates[first : first + WARM_UP + YEAR]}
            yield (before, live), " ".join(sorted(span))
