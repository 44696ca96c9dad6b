"""The loops over healthy lives: sixteen at once in a processor's registers, see `vectors`.

Where lives are no multiple of sixteen the last sixteen are walked, some of them a second time:
there must be sixteen.

What watches returns (days, N) writes the badness of each day (R, days, N), or, where `worst`
(R, years, N) has years, the largest of each: `rows` days from `start` on, of the lives from
`first` on.
"""

import numpy as np

from perf_alerts_dagster.projections.kernels.kernel import SIDE_BY_SIDE
from perf_alerts_dagster.projections.kernels.vectors import (
    larger,
    load,
    repeated,
    smaller,
    store,
    where_larger,
)
from perf_alerts_dagster.projections.kernels.watching import (
    CALM,
    CALM_SIDE,
    CAP,
    CONSTANT,
    LEAST_SIZE,
    LONG_SUM,
    MOST,
    NEVER,
    NEW_SIZE,
    NONE,
    P2,
    P3,
    P4,
    P5,
    PER_ROW,
    QUARTER,
    RATE_ROWS,
    ROLLING_ROWS,
    SHARPE,
    SHORT_SUM,
    STEPS,
    WEIGHTS,
    WILD,
)


def decay(
    returns, mean, per_sigma, numerator, base, square, per_short, per_long,
    start, rows, first, worst, badness,
):  # fmt: skip
    """`watching.decay`, compiled."""
    days, size = returns.shape
    _, years, lives = worst.shape
    centre, scale, over, under, bend = (
        repeated(mean), repeated(per_sigma), repeated(numerator), repeated(base), repeated(square)
    )  # fmt: skip
    short_scale, long_scale = repeated(per_short), repeated(per_long)
    one, zero, none, cap = (
        repeated(np.float32(1.0)),
        repeated(np.float32(0.0)),
        repeated(NONE),
        repeated(CAP),
    )
    p2, p3, p4, p5 = repeated(P2), repeated(P3), repeated(P4), repeated(P5)
    quarter, most_step, least_step = repeated(QUARTER), repeated(MOST), repeated(-MOST)
    w0, w1, w2, w3 = (
        repeated(WEIGHTS[0]),
        repeated(WEIGHTS[1]),
        repeated(WEIGHTS[2]),
        repeated(WEIGHTS[3]),
    )
    s0, s1, s2, s3 = repeated(STEPS[0]), repeated(STEPS[1]), repeated(STEPS[2]), repeated(STEPS[3])
    kept = np.empty(LONG_SUM * SIDE_BY_SIDE, dtype=np.float32)
    for lane in range(0, size, SIDE_BY_SIDE):
        side = min(lane, size - SIDE_BY_SIDE)
        place, day, slot = side, 0, 0
        kept[:] = 0.0
        short, long = zero, zero
        e0, e1, e2, e3 = zero, zero, zero, zero
        worst_short = worst_long = worst_sum = none
        for year in range(years + 1):
            stop = start + year * rows if years else days
            while day < stop:
                away = (load(returns, place) - centre) * scale
                score = away * over / (away * away * bend + under)
                long = long + (score - load(kept, slot * SIDE_BY_SIDE))
                half = slot + LONG_SUM - SHORT_SUM if slot < SHORT_SUM else slot - SHORT_SUM
                short = short + (score - load(kept, half * SIDE_BY_SIDE))
                store(kept, slot * SIDE_BY_SIDE, score)
                slot = slot + 1 if slot < LONG_SUM - 1 else 0
                x0 = larger(smaller(s0 - score * w0, most_step), least_step) * quarter
                x1 = larger(smaller(s1 - score * w1, most_step), least_step) * quarter
                x2 = larger(smaller(s2 - score * w2, most_step), least_step) * quarter
                x3 = larger(smaller(s3 - score * w3, most_step), least_step) * quarter
                x0 = ((((x0 * p5 + p4) * x0 + p3) * x0 + p2) * x0 + one) * x0 + one
                x1 = ((((x1 * p5 + p4) * x1 + p3) * x1 + p2) * x1 + one) * x1 + one
                x2 = ((((x2 * p5 + p4) * x2 + p3) * x2 + p2) * x2 + one) * x2 + one
                x3 = ((((x3 * p5 + p4) * x3 + p3) * x3 + p2) * x3 + one) * x3 + one
                x0, x1, x2, x3 = x0 * x0, x1 * x1, x2 * x2, x3 * x3
                e0 = smaller((e0 + one) * (x0 * x0), cap)
                e1 = smaller((e1 + one) * (x1 * x1), cap)
                e2 = smaller((e2 + one) * (x2 * x2), cap)
                e3 = smaller((e3 + one) * (x3 * x3), cap)
                short_now, long_now = short * short_scale, long * long_scale
                sum_now = smaller((e0 + e1) + (e2 + e3), cap)
                if years:
                    worst_short = larger(worst_short, short_now)
                    worst_long = larger(worst_long, long_now)
                    worst_sum = larger(worst_sum, sum_now)
                else:
                    store(badness, place, short_now)
                    store(badness, days * size + place, long_now)
                    store(badness, 2 * days * size + place, sum_now)
                place += size
                day += 1
            if year:
                store(worst, (year - 1) * lives + first + side, worst_short)
                store(worst, years * lives + (year - 1) * lives + first + side, worst_long)
                store(worst, 2 * years * lives + (year - 1) * lives + first + side, worst_sum)
            worst_short = worst_long = worst_sum = none


def gap(
    returns, mean, per_sigma, numerator, base, square, per_row, year,
    start, rows, first, worst, badness,
):  # fmt: skip
    """`watching.gap`, compiled."""
    days, size = returns.shape
    _, years, lives = worst.shape
    centre, scale, over, under, bend = (
        repeated(mean), repeated(per_sigma), repeated(numerator), repeated(base), repeated(square)
    )  # fmt: skip
    zero, none, every = repeated(np.float32(0.0)), repeated(NONE), int(year)
    for lane in range(0, size, SIDE_BY_SIDE):
        side = min(lane, size - SIDE_BY_SIDE)
        place, day = side, 0
        total = zero
        most = none
        for of_life in range(years + 1):
            stop = start + of_life * rows if years else days
            while day < stop:
                away = (load(returns, place) - centre) * scale
                total = total + away * over / (away * away * bend + under)
                counted = day + 1
                shortfall = none
                if counted % every == 0 or counted == every // 2 or counted == every // 4:
                    length = np.float32(counted)
                    per_sum = np.float32(-1.0) / np.sqrt(length + length * length * per_row)
                    shortfall = total * repeated(per_sum)
                if years:
                    most = larger(most, shortfall)
                else:
                    store(badness, place, shortfall)
                place += size
                day += 1
            if of_life:
                store(worst, (of_life - 1) * lives + first + side, most)
            most = none


def band(returns, median, per_width, start, rows, first, worst, badness):
    """`watching.band`, compiled."""
    days, size = returns.shape
    _, years, lives = worst.shape
    zero, none = repeated(np.float32(0.0)), repeated(NONE)
    for lane in range(0, size, SIDE_BY_SIDE):
        side = min(lane, size - SIDE_BY_SIDE)
        place, day = side, 0
        total = zero
        most = none
        for year in range(years + 1):
            stop = start + year * rows if years else days
            while day < stop:
                total, away = total + load(returns, place), none
                if day < len(median):
                    away = (repeated(median[day]) - total) * repeated(per_width[day])
                if years:
                    most = larger(most, away)
                else:
                    store(badness, place, away)
                place += size
                day += 1
            if year:
                store(worst, (year - 1) * lives + first + side, most)
            most = none


def drawdown(returns, start, rows, first, worst, badness):
    """`watching.drawdown`, compiled."""
    days, size = returns.shape
    _, years, lives = worst.shape
    zero, none = repeated(np.float32(0.0)), repeated(NONE)
    for lane in range(0, size, SIDE_BY_SIDE):
        side = min(lane, size - SIDE_BY_SIDE)
        place, day = side, 0
        total = peak = zero
        most = none
        for year in range(years + 1):
            stop = start + year * rows if years else days
            while day < stop:
                total = total + load(returns, place)
                peak = larger(peak, total)
                depth = peak - total
                if years:
                    most = larger(most, depth)
                else:
                    store(badness, place, depth)
                place += size
                day += 1
            if year:
                store(worst, (year - 1) * lives + first + side, most)
            most = none


def rolling_sharpe(returns, per_spread, start, rows, first, worst, badness):
    """`watching.rolling_sharpe`, compiled."""
    days, size = returns.shape
    _, years, lives = worst.shape
    zero, none, never = repeated(np.float32(0.0)), repeated(NONE), repeated(NEVER)
    p2, p3, p4, p5 = repeated(P2), repeated(P3), repeated(P4), repeated(P5)
    per_row, factor = repeated(PER_ROW), repeated(SHARPE)
    constant = repeated(CONSTANT / per_spread)
    simple = np.empty(ROLLING_ROWS * SIDE_BY_SIDE, dtype=np.float32)
    for lane in range(0, size, SIDE_BY_SIDE):
        side = min(lane, size - SIDE_BY_SIDE)
        place, day = side, 0
        total, squares, slot = zero, zero, 0
        simple[:] = 0.0
        most = none
        for year in range(years + 1):
            stop = start + year * rows if years else days
            while day < stop:
                new, old = load(returns, place), load(simple, slot)
                new = (((new * p5 + p4) * new + p3) * new + p2) * new * new + new
                store(simple, slot, new)
                slot = slot + SIDE_BY_SIDE if slot < (ROLLING_ROWS - 1) * SIDE_BY_SIDE else 0
                total = total + (new - old)
                squares = squares + (new * new - old * old)
                sharpe = none
                if day >= ROLLING_ROWS - 1:
                    spread = larger(squares - total * total * per_row, constant)
                    sharpe = total * larger(total, zero - total) / spread * factor
                    sharpe = where_larger(spread, constant, sharpe, never)
                if years:
                    most = larger(most, sharpe)
                else:
                    store(badness, place, sharpe)
                place += size
                day += 1
            if year:
                store(worst, (year - 1) * lives + first + side, most)
            most = none


def volatility(returns, mean, largest, per_size, sizes, start, rows, first, worst, badness):
    """`watching.volatility`, compiled."""
    days, size = returns.shape
    _, years, lives = worst.shape
    zero, none = repeated(np.float32(0.0)), repeated(NONE)
    centre, most_move, size_scale = repeated(mean), repeated(largest), repeated(per_size)
    wild, calm, weight = repeated(WILD), repeated(CALM), repeated(CALM_SIDE)
    one, newest, least = repeated(np.float32(1.0)), repeated(NEW_SIZE), repeated(LEAST_SIZE)
    for lane in range(0, size, SIDE_BY_SIDE):
        side = min(lane, size - SIDE_BY_SIDE)
        place, day = side, 0
        factor, usual, wilder, calmer = load(sizes, side), one, zero, zero
        most = none
        for year in range(years + 1):
            stop = start + year * rows if years else days
            while day < stop:
                away = load(returns, place) - centre
                away = smaller(larger(away, zero - away) * factor, most_move) * size_scale
                move = away / larger(usual, least)
                usual = usual + (away - usual) * newest
                wilder = larger(wilder + (move - wild), zero)
                calmer = larger(calmer + (calm - move), zero)
                either = larger(wilder, calmer * weight)
                if years:
                    most = larger(most, either)
                else:
                    store(badness, place, either)
                place += size
                day += 1
            if year:
                store(worst, (year - 1) * lives + first + side, most)
            most = none


def exceedances(
    returns, mean, cut, floor, variance, keep, newest, start, rows, first, worst, badness
):
    """`watching.exceedances`, compiled."""
    days, size = returns.shape
    _, years, lives = worst.shape
    one, zero, minus = (
        repeated(np.float32(1.0)),
        repeated(np.float32(0.0)),
        repeated(np.float32(-1.0)),
    )
    centre, limit, least, longest = (
        repeated(mean),
        repeated(cut),
        repeated(floor),
        repeated(np.float32(RATE_ROWS)),
    )
    kept, fresh, none = repeated(keep), repeated(newest), repeated(NONE)
    hits = np.empty(RATE_ROWS * SIDE_BY_SIDE, dtype=np.float32)
    for lane in range(0, size, SIDE_BY_SIDE):
        side = min(lane, size - SIDE_BY_SIDE)
        place, day = side, 0
        now, rate, run, slot = repeated(variance), zero, zero, 0
        hits[:] = 0.0
        worst_day = none
        highest = none
        longest_run = none
        for year in range(years + 1):
            stop = start + year * rows if years else days
            while day < stop:
                shock = load(returns, place) - centre
                square = shock * larger(shock, zero - shock) / now
                hit = where_larger(limit, square, one, zero)
                now = larger(now * kept + shock * shock * fresh, least)
                rate = rate + (hit - load(hits, slot))
                store(hits, slot, hit)
                slot = slot + SIDE_BY_SIDE if slot < (RATE_ROWS - 1) * SIDE_BY_SIDE else 0
                run = smaller(run + one, longest) * hit
                bad = square * minus
                if years:
                    worst_day = larger(worst_day, bad)
                    highest = larger(highest, rate)
                    longest_run = larger(longest_run, run)
                else:
                    store(badness, place, bad)
                    store(badness, days * size + place, rate)
                    store(badness, 2 * days * size + place, run)
                place += size
                day += 1
            if year:
                store(worst, (year - 1) * lives + first + side, worst_day)
                store(worst, years * lives + (year - 1) * lives + first + side, highest)
                store(worst, 2 * years * lives + (year - 1) * lives + first + side, longest_run)
            worst_day = highest = longest_run = none
