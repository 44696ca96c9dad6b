"""The walk of many days at once against the judge, which takes them one by one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from functools import cache
from importlib import resources
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.context import yearly
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.judge import judge_strategy
from perf_alerts_dagster.judging.rules.catalogue import BY_ID, DOCUMENTED_LIMITS
from perf_alerts_dagster.judging.rules.decay import OWN_ROWS
from perf_alerts_dagster.judging.rules.exceedances import rates_by_chance
from perf_alerts_dagster.projections.calibration import Calibration, Pair, yearly_share
from perf_alerts_dagster.projections.issue import ProjectionIssuer
from perf_alerts_dagster.projections.kernels.watching import RATE_ROWS, ROLLING_ROWS
from perf_alerts_dagster.projections.lives import NO_CHANGE, draw_lives, returns_of
from perf_alerts_dagster.projections.ports import MemoryProjections
from perf_alerts_dagster.projections.projection import Outlook
from perf_alerts_dagster.projections.walk import badness_of
from perf_alerts_dagster.projections.watchers import (
    RATE_WARNING,
    STATISTICS,
    UNHEDGED,
    YEAR,
    Known,
    documented_badness,
)
from perf_alerts_dagster.records.model import Floats, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import read
from perf_alerts_dagster.statistics.decay import looks, own_shortfall
from perf_alerts_dagster.statistics.ewma_volatility import WINDOW
from perf_alerts_tests.builders import MARKET, a_record, context_of
from perf_alerts_tests.fakes import FakeRecordsSource
from perf_alerts_tests.projections.hard import decay_of, life_in
from perf_alerts_tests.projections.honest import garch, known, normal, student
from perf_alerts_tests.sizes import compared

# How far the rules of `MOVING` may be away in the mean and at most: standard deviations, a share
# of thirty rows, rows.
WITHIN = {
    "daily_exceedance": (0.05, 0.5),
    "exceedance_rate": (0.5 / 30, 3 / 30),
    "consecutive_exceedances": (0.05, 2.0),
}
FAMILIES = (Family.PROJECTION, Family.THRESHOLD, Family.DATA)
SAMPLE = Path(str(resources.files("perf_alerts_dagster"))) / "records" / "sources" / "sample_data"
# A second year of life begins, in which decay is rated by another calibration.
LIVE, CHANGE = 300, 180
MINIMUM_RATE_ROWS = 20
# Their residuals are estimated anew each session, from the rows before; the walk keeps those of
# the reference.
MOVING = {"daily_exceedance", "exceedance_rate", "consecutive_exceedances"}
GAP = "gap_since_launch"
SAME = set(UNHEDGED) - MOVING - {GAP}
SUMS = {"mean_shortfall_126": 126, "mean_shortfall_252": 252}
DECAY = {*SUMS, "decay_cusum", GAP}
BY_LEVEL = {*DECAY, "volatility_shift"}
FEWEST_MOVES = 5
DOCUMENTED = documented_badness(DOCUMENTED_LIMITS, periods_per_year=YEAR)
# Where the two part: a crash rules the 756 rows before, and the residuals are others without it;
# the 5 % quantile of a strategy that seldom trades is among its flat days.
PARTED = {"jumps", "rsi2_reversion"}


def flat(rows: int, rng: np.random.Generator) -> Floats:
    """No P&L on six days of ten."""
    return np.where(rng.random(rows) < 0.6, 0.0, rng.standard_t(5, rows) * 0.0125)


def jumps(rows: int, rng: np.random.Generator) -> Floats:
    """Small gains and, every half a year, a crash; one takes half of the capital."""
    found = rng.normal(0.001, 0.004, rows)
    crashes = np.flatnonzero(rng.random(rows) < 0.008)
    found[crashes] -= rng.uniform(0.05, 0.2, len(crashes))
    found[-150] = -0.5
    return found


def drawn(rows: int, rng: np.random.Generator) -> Floats:
    """A healthy life of a wild strategy, as calibrations draw it."""
    own = garch(1500, rng) * 1.5
    returns = np.empty((rows, 1), dtype=np.float32)
    returns_of(life_in(own), draw_lives(3, 1, rows), NO_CHANGE, returns)
    return np.expm1(returns[:, 0].astype(np.float64))


MADE: Mapping[str, Callable[[int, np.random.Generator], Floats]] = {
    "normal": normal,
    "student": student,
    "garch": garch,
    "flat": flat,
    "jumps": jumps,
    "drawn": drawn,
}


def of_sample() -> Mapping[str, Floats]:
    daily = pl.read_parquet(SAMPLE / "daily.parquet").sort("strategy", "date")
    return {
        str(name): rows["return"].to_numpy()
        for (name,), rows in daily.group_by("strategy", maintain_order=True)
    }


def record_of(name: str) -> StrategyRecord:
    """The rows of a name; those of a made one get worse and wilder after a while."""
    if name not in MADE:
        returns = of_sample()[name]
        return a_record(returns[-LIVE:], backtest=returns[:-LIVE])
    returns = MADE[name](756 + LIVE, np.random.default_rng(1))
    live = returns[756:].copy()
    live[CHANGE:] = 1.8 * live[CHANGE:] - 0.6 * float(returns.std())
    return a_record(live, backtest=returns[:756])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lived:
    """A strategy's record, what is in force for it, its evaluations by session and rule."""

    record: StrategyRecord
    known: Known
    calibration: Calibration
    levels: Mapping[str, Pair]
    judged: Mapping[tuple[int, str], Evaluation]
    walked: Mapping[str, Floats]
    # Against the backtest for the whole life.
    against: Mapping[str, Floats]

    @property
    def backtest(self) -> int:
        """Backtest rows."""
        return int((~self.record.live).sum())

    def measured(self, rules: set[str]) -> dict[tuple[int, str], Evaluation]:
        """The evaluations that have a value."""
        return {
            (day, rule): each
            for (day, rule), each in self.judged.items()
            if rule in rules and each.value is not None
        }

    def is_nearly_flat(self, day: int) -> bool:
        """Whether the last 63 rows vary a hundredth as much as the reference, or less."""
        live = self.record.returns[self.record.live]
        window = live[max(0, day + 1 - ROLLING_ROWS) : day + 1]
        return float(window.std()) <= 0.01 * self.known.residuals.simple_sigma

    def badness(self, day: int, rule: str) -> float:
        """The judge's value, turned as the calibration turns it."""
        value = self.judged[day, rule].value
        assert value is not None
        if rule == "volatility_shift":
            # The value is the mean size of moves, its evidence their CUSUM.
            cusum = self.judged[day, rule].parts["cusum"]
            assert isinstance(cusum, float)
            return cusum
        if rule != "interval_breach":
            return STATISTICS[rule].badness(value, YEAR)
        band = self.known.band
        return float((band.median[day] - np.log1p(value)) / band.below[day])

    def name_on(self, day: int, rule: str) -> str:
        """Its name in the calibration; against the own record the life is younger."""
        is_own = rule in SUMS and day >= OWN_ROWS
        return STATISTICS[rule].name_after(day + 1 - OWN_ROWS * is_own)

    def share(self, day: int, rule: str, badness: float) -> float:
        """The share of healthy years that the walk's badness has."""
        if rule == "interval_breach":
            worst = float(self.walked[rule][: day + 1].max()) + badness - self.walked[rule][day]
            share = max(
                yearly(self.known.band.share_below(worst, day + 1), YEAR),
                self.calibration.p_year(rule, worst),
            )
            # The launch and the judging band have one budget between them.
            return 1.0 - (1.0 - share) ** 2
        share = self.calibration.p_year(self.name_on(day, rule), badness)
        if rule == "daily_exceedance":
            residuals = np.sort(self.known.residuals.standardised)
            return max(share, yearly_share(-badness, residuals))
        if rule == "exceedance_rate" and badness >= RATE_WARNING:
            # Independent rows, by a quantile with the error of as many as it is of.
            known = min(self.backtest + day + 1 - RATE_ROWS, WINDOW)
            quarters = known // ROLLING_ROWS * ROLLING_ROWS
            hits = round(badness * RATE_ROWS)
            return max(share, float(rates_by_chance(quarters, YEAR)[hits]))
        return share

    def with_restarts(self) -> Floats:
        """The walk's CUSUM, begun anew after an alarm when 63 rows are as usual."""
        logs = np.log1p(self.record.returns[self.record.live])
        sizes = compared(self.known.decay.sizes(logs))
        rare = self.calibration.badness_at("volatility_shift", self.levels["volatility_shift"][0])
        found, wilder, calmer, since = [], 0.0, 0.0, [0, 0]
        begun_anew, alarm = False, -1
        for day, size in enumerate(sizes.tolist()):
            wilder, calmer = max(0.0, wilder + size - 1.2), max(0.0, calmer + 0.8 - size)
            value = float(self.walked["volatility_shift"][day])
            value = max(wilder, 1.15 * calmer) if begun_anew else value
            found.append(value)
            if alarm < 0:
                since = [
                    day + 1 if side == 0.0 else first
                    for side, first in zip((wilder, calmer), since, strict=True)
                ]
                alarm = int(1.15 * calmer > wilder) if value >= rare else -1
            if alarm >= 0:
                recent = float(sizes[max(since[alarm], day - 62) : day + 1].mean())
                if recent < 1.1 if alarm == 0 else recent > 0.9:
                    wilder, calmer, since, alarm = 0.0, 0.0, [day + 1] * 2, -1
                    begun_anew = True
        return np.array(found)

    def is_notified(self, day: int, rule: str, badness: float) -> bool:
        """The verdict that follows from the walk's badness."""
        share, name = self.share(day, rule, badness), self.name_on(day, rule)
        warning = self.levels.get(rule, (0.0, 0.0))[0]
        if rule == "interval_breach":
            band = self.known.band
            outside = badness > float((band.median - band.lower(0.95))[0] / band.below[0])
            return outside and share <= warning
        if rule in BY_LEVEL:
            return badness >= self.calibration.badness_at(name, warning) and share <= warning
        if rule == "daily_exceedance":
            return badness > STATISTICS[rule].minimum(self.known) and share <= warning
        if rule == "drawdown":
            # At its own line or the documented one it needs no evidence.
            own, documented = (
                self.calibration.emergency_depth(day + 1),
                DOCUMENTED_LIMITS["drawdown_emergency"],
            )
            if -np.expm1(-badness) >= min(own, documented):
                return True
        passes = badness >= DOCUMENTED[rule][0]
        return passes and (share <= warning or not BY_ID[rule].gated)


def outlook_of(record: StrategyRecord) -> Outlook:
    """Issued at the start of live by the product's own issuer."""
    now = datetime.combine(record.dates[-1].astype(object), time(), UTC) + timedelta(days=1)
    reading = read(
        FakeRecordsSource(TrackRecords(source="test", strategies={"trend": record})),
        MARKET,
        as_of=None,
        now=now,
        timezone=ZoneInfo("UTC"),
    )
    issuer = ProjectionIssuer(
        store=MemoryProjections(),
        paths=1000,
        haircut=0.0,
        settings_version="test",
        limits=lambda strategy: DOCUMENTED_LIMITS,
        weights=Budgets().weights_of,
        lives=1000,
    )
    start = record.dates[record.live][0].astype(object)
    issuer.issue_launch(reading, start, run_id="run")
    return issuer.outlook(start, {})


@cache
def lived(name: str) -> Lived:
    return lived_by(record_of(name))


def lived_by(record: StrategyRecord) -> Lived:
    outlook = outlook_of(record)
    launch = outlook.in_force["trend"].launch
    assert launch is not None
    assert outlook.in_force["trend"].judging is not None
    backtest = record.returns[~record.live]
    reference = Known(residuals=known(backtest), band=launch.fan, decay=decay_of(backtest))
    judged = {}
    for day in range(LIVE):
        rows = record.rows(0, len(backtest) + day + 1)
        context = context_of(
            rows,
            in_force=outlook.in_force,
            calibrations=outlook.calibrations,
            projected=outlook.projected,
        )
        for one in judge_strategy(rows, FAMILIES, context):
            # The walk has the launch band, which ends with its horizon.
            is_walked = one.projection is None or (one.projection == launch.name and day < YEAR)
            if one.rule in STATISTICS and is_walked:
                judged[day, one.rule] = one
    logs = np.log1p(record.returns[record.live])
    walked = badness_of(logs[:, None], reference)
    against = {rule: walked[rule][:, 0].astype(np.float64) for rule in DECAY}
    scores = reference.decay.scores(logs)
    for (rule, length), day in product(SUMS.items(), range(OWN_ROWS, LIVE)):
        before = max(OWN_ROWS, day + 1 - length)
        walked[rule][day] = own_shortfall(scores[: day + 1], length, before)
    life = Lived(
        record=record,
        known=reference,
        calibration=outlook.calibrations["trend"],
        levels=Budgets().levels_of("trend", outlook.calibrations["trend"], 1),
        judged=judged,
        walked={rule: values[:, 0].astype(np.float64) for rule, values in walked.items()},
        against=against,
    )
    return replace(life, walked={**life.walked, "volatility_shift": life.with_restarts()})


# One of each way in which days differ; `make test-long` has all of them.
OFTEN = ("drawn", "flat", "garch", "etf_VLUE")
SLOW = [
    pytest.param(name, marks=pytest.mark.slow if name in OFTEN else pytest.mark.long)
    for name in (*MADE, *of_sample())
    if name != "normal"
]
NAMES = pytest.mark.parametrize("name", ["normal", *SLOW])


@NAMES
def test_walked_badness_share_and_verdict_are_the_judges_on_every_session(name: str) -> None:
    life = lived(name)
    measured = life.measured(SAME)

    assert len(measured) > 3 * LIVE
    for (day, rule), one in measured.items():
        walked = float(life.walked[rule][day])
        where = (day, rule, one.value, walked)
        if one.parts.get("compared_with") == "backtest":
            assert life.is_notified(day, rule, walked) == (one.severity is not None), where
            assert not one.is_notified(), where
        else:
            assert life.is_notified(day, rule, walked) == one.is_notified(), where
        if rule == "rolling_sharpe" and life.is_nearly_flat(day):
            # Single precision holds no smaller difference of the window's sums.
            assert walked <= 1.02 * abs(life.badness(day, rule)), where
        else:
            assert walked == pytest.approx(life.badness(day, rule), rel=1e-3, abs=1e-5), where
            assert one.p_year is not None
            if life.share(day, rule, walked) != pytest.approx(one.p_year, abs=1e-3):
                # Many lives have the value of days without a move, to the error of their sums.
                error = 1e-3 * abs(walked) + 1e-5
                milder, worse = (life.share(day, rule, walked + by) for by in (-error, error))
                assert worse - 1e-3 <= one.p_year <= milder + 1e-3, where


@NAMES
def test_the_gap_is_notified_from_the_first_day_on_that_the_walk_finds_it(name: str) -> None:
    life, found, is_critical = lived(name), False, False
    for day, is_look in enumerate(looks(LIVE, YEAR)):
        warning, critical = (
            any(
                bad[day]
                >= life.calibration.badness_at(
                    STATISTICS[rule].name_after(day + 1), life.levels[rule][place]
                )
                for rule, bad in life.against.items()
            )
            for place in (0, 1)
        )
        is_critical |= critical and (day < OWN_ROWS or not found)
        found |= warning
        one = life.judged[day, GAP]
        assert one.is_notified() == found, day
        assert (one.notified_severity is Severity.CRITICAL) == is_critical, day
        assert is_look == bool(np.isfinite(life.walked[GAP][day]))
        if is_look and not found:
            assert life.walked[GAP][day] == pytest.approx(one.value, rel=1e-3, abs=1e-5)


@NAMES
def test_a_window_is_full_on_the_walk_when_the_judge_measures_it(name: str) -> None:
    life = lived(name)

    for (day, rule), one in life.judged.items():
        if rule in SAME and np.isneginf(life.walked[rule][day]):
            assert one.outcome is Outcome.INSUFFICIENT_DATA, (day, rule)
        elif rule == "volatility_shift" and day + 1 < FEWEST_MOVES:
            assert one.outcome is Outcome.INSUFFICIENT_DATA
        elif rule in SAME and one.value is None:
            # Rows that do not vary have no Sharpe ratio, and are nothing bad on the walk.
            assert rule == "rolling_sharpe", (day, rule)
            assert life.walked[rule][day] <= 1e-3


@NAMES
def test_exceedances_of_a_session_are_the_walk_of_its_rows_from_those_before(name: str) -> None:
    life = lived(name)
    windows = {frozenset({"daily_exceedance"}): 1, frozenset(MOVING - {"daily_exceedance"}): 30}
    for day, (rules, rows) in product(range(LIVE), windows.items()):
        end = life.backtest + day + 1
        first = end - min(rows, day + 1)
        before = replace(life.known, residuals=known(life.record.returns[:first]))
        walked = badness_of(np.log1p(life.record.returns[first:end, None]), before, rules=rules)
        for rule in rules:
            if rule == "exceedance_rate" and day + 1 < MINIMUM_RATE_ROWS:
                assert life.judged[day, rule].outcome is Outcome.INSUFFICIENT_DATA
            else:
                expected = life.badness(day, rule)
                if rule == "exceedance_rate":
                    # The judge's is a share of the rows that are there, the walk's of thirty.
                    expected *= min(day + 1, RATE_ROWS) / RATE_ROWS
                assert walked[rule][-1, 0] == pytest.approx(expected, rel=1e-4, abs=1e-5), (
                    day,
                    rule,
                )


@pytest.mark.parametrize("name", ["normal", *(one for one in SLOW if one.values[0] not in PARTED)])
def test_exceedances_from_the_fixed_reference_differ_little_from_the_judges(name: str) -> None:
    life = lived(name)
    for rule in MOVING:
        days = [day for day, each in life.measured({rule}) if each == rule and day >= RATE_ROWS]
        walked = [float(life.walked[rule][day]) for day in days]
        away = np.abs(np.array(walked) - [life.badness(day, rule) for day in days])
        shares = [
            life.share(day, rule, badness) - (life.judged[day, rule].p_year or 0.0)
            for day, badness in zip(days, walked, strict=True)
        ]
        verdicts = [
            life.is_notified(day, rule, badness) == life.judged[day, rule].is_notified()
            for day, badness in zip(days, walked, strict=True)
        ]

        mean, largest = WITHIN[rule]
        assert float(away.mean()) <= mean, rule
        assert float(away.max()) <= largest, rule
        if rule == "exceedance_rate":
            # A row more or less is a step of the share; the same rows have the same share.
            assert not np.abs(np.array(shares)[away < 1e-6]).any(), rule
        else:
            assert float(np.abs(shares).mean()) <= 0.03, rule
        assert verdicts.count(False) <= 1, rule


def test_a_quarter_without_pnl_is_as_calm_to_the_judge_as_to_healthy_lives() -> None:
    """A strategy that is often out of the market: no such quarter is rarer than its lives say."""
    rng = np.random.default_rng(4)
    traded = np.repeat(rng.random(12) < 0.5, 63)
    backtest = np.where(traded, rng.normal(0.0005, 0.01, 756), 0.0)
    record = a_record(np.zeros(63), backtest=backtest)
    outlook = outlook_of(record)
    context = context_of(record, calibrations=outlook.calibrations, in_force=outlook.in_force)

    found = {one.rule: one for one in judge_strategy(record, FAMILIES, context)}["volatility_shift"]

    assert found.value is not None
    assert found.value < 0.1
    assert found.p_year is not None
    assert found.p_year > 0.1


@pytest.mark.parametrize(("times", "side"), [(1.8, "wild"), (0.2, "calm")])
def test_a_shift_is_notified_on_the_days_of_the_walk_until_moves_are_as_before(
    times: float, side: str
) -> None:
    """Half a year of another size, then as before: one run of days, which ends within a quarter."""
    life = shifted(times)
    verdicts = []
    for day in range(LIVE):
        one = life.judged[day, "volatility_shift"]
        if one.value is None:
            assert day + 1 < FEWEST_MOVES
            continue
        walked = float(life.walked["volatility_shift"][day])
        assert walked == pytest.approx(life.badness(day, "volatility_shift"), rel=1e-4, abs=1e-4)
        assert life.is_notified(day, "volatility_shift", walked) == one.is_notified(), day
        verdicts.append(one.is_notified())

    # The first verdict is that of the fifth day; the change begins on the sixtieth.
    told = np.flatnonzero(verdicts) + FEWEST_MOVES - 1
    assert 60 < told[0] < 60 + 63, side
    assert told[-1] < 180 + 63
    # At first a day may bring the sum below its limit again.
    assert (np.diff(told[10:]) == 1).all()


@cache
def shifted(times: float) -> Lived:
    rng = np.random.default_rng(6)
    backtest, live = normal(1_500, rng), normal(LIVE, rng)
    live[60:180] *= times
    return lived_by(a_record(live, backtest=backtest))
