"""The loops that are walked most: sixteen strategies or lives at once in a processor's registers.

numba makes vectors of a loop, but keeps its state in memory; here the vectors are written out, and
stay in registers, which takes half of the time. This module imports numba, so it is imported by
its kernels alone. Where lives are no multiple of sixteen the last sixteen are walked, some of them
a second time: there must be sixteen.

What watches returns (days, N) writes the badness of each day (R, days, N), or, where `worst`
(R, years, N) has years, the largest of each: `rows` days from `start` on, of the lives from
`first` on.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from perf_alerts_dagster.projections.kernels.kernel import SIDE_BY_SIDE
from perf_alerts_dagster.projections.kernels.watching import (
    CALMEST_SQUARE,
    CONSTANT,
    NEVER,
    NONE,
    P2,
    P3,
    P4,
    P5,
    PER_ROW,
    RATE_ROWS,
    ROLLING_ROWS,
    SHARPE,
    SLACK,
)

# Paths whose results are kept together until they are written, a strategy after the other.
_TILE = 128
_VECTOR = ir.VectorType(ir.FloatType(), SIDE_BY_SIDE)


class _Vector(types.Type):
    """Sixteen numbers of single precision."""

    def __init__(self) -> None:
        super().__init__(name="Vector")


_vector = _Vector()


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type) -> None:
        super().__init__(dmm, fe_type, _VECTOR)


def _pointer(context, builder, signature, arguments):
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.bitcast(builder.gep(array.data, [arguments[1]]), _VECTOR.as_pointer())


@intrinsic
def _load(_typing, array, place):
    """The sixteen numbers of an array from a place on."""

    def generate(context, builder, signature, arguments):
        return builder.load(_pointer(context, builder, signature, arguments), align=4)

    return _vector(array, types.intp), generate


@intrinsic
def _store(_typing, array, place, values):
    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature, arguments)
        builder.store(arguments[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, _vector), generate


@intrinsic
def _all(_typing, number):
    """Sixteen times the same number."""

    def generate(context, builder, signature, arguments):
        none = ir.Constant(_VECTOR, ir.Undefined)
        first = builder.insert_element(none, arguments[0], ir.Constant(ir.IntType(32), 0))
        places = ir.Constant(ir.VectorType(ir.IntType(32), SIDE_BY_SIDE), [0] * SIDE_BY_SIDE)
        return builder.shuffle_vector(first, none, places)

    return _vector(types.float32), generate


@intrinsic
def _root(_typing, values):
    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(_VECTOR, [_VECTOR])
        name = f"llvm.sqrt.v{SIDE_BY_SIDE}f32"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)

    return _vector(_vector), generate


def _choosing(comparison: str):
    @intrinsic
    def choose(_typing, one, other):
        def generate(context, builder, signature, arguments):
            return builder.select(builder.fcmp_ordered(comparison, *arguments), *arguments)

        return _vector(_vector, _vector), generate

    return choose


_larger, _smaller = _choosing(">"), _choosing("<")


@intrinsic
def _where_larger(_typing, one, other, chosen, otherwise):
    """The third where the first is larger than the second, else the fourth."""

    def generate(context, builder, signature, arguments):
        return builder.select(builder.fcmp_ordered(">", *arguments[:2]), *arguments[2:])

    return _vector(_vector, _vector, _vector, _vector), generate


def _overload(of, name):
    @intrinsic
    def calculate(_typing, one, other):
        def generate(context, builder, signature, arguments):
            return getattr(builder, name)(*arguments)

        return _vector(_vector, _vector), generate

    # Without types: numba compares the signatures.
    @overload(of)
    def choose(one, other):
        if isinstance(one, _Vector) and isinstance(other, _Vector):
            return lambda one, other: calculate(one, other)
        return None


_overload(operator.add, "fadd")
_overload(operator.sub, "fsub")
_overload(operator.mul, "fmul")
_overload(operator.truediv, "fdiv")


def measure(
    residuals,
    fresh,
    variance,
    mean,
    error,
    median,
    per_width,
    keep,
    drawn,
    errors,
    days,
    totals,
    belows,
    above,
    deepest,
) -> None:
    """See `simulation.measure`; the first seven hold sixteen strategies side by side, flat."""
    marks, strategies, paths = totals.shape
    one, zero, kept = _all(np.float32(1.0)), _all(np.float32(0.0)), _all(keep)
    lowest, highest = _all(np.float32(-np.inf)), _all(np.float32(np.inf))
    first, weight = _load(variance, 0), _load(fresh, 0)
    drift, scale = _load(mean, 0), _load(error, 0)
    rows = np.empty((_TILE, days[-1]), dtype=np.uint16)
    tile = np.empty((2 * marks + 2) * _TILE * SIDE_BY_SIDE, dtype=np.float32)
    for start in range(0, paths, _TILE):
        width = min(_TILE, paths - start)
        for day in range(days[-1]):
            for path in range(width):
                rows[path, day] = drawn[day, start + path]
        for path in range(width):
            each = zero
            for draw in range(len(errors)):
                each = each + _load(residuals, np.intp(errors[draw, start + path]) * SIDE_BY_SIDE)
            each = each * scale + drift
            now, total, peak, deep, below, over = first, zero, zero, zero, lowest, highest
            day = 0
            for mark in range(marks):
                while day < days[mark]:
                    place = day * SIDE_BY_SIDE
                    shock = _load(residuals, np.intp(rows[path, day]) * SIDE_BY_SIDE)
                    total = total + (shock * _root(now) + each)
                    now = now * (shock * shock * weight + kept) + one
                    peak = _larger(peak, total)
                    deep = _smaller(deep, total - peak)
                    away = (_load(median, place) - total) * _load(per_width, place)
                    below = _larger(below, away)
                    over = _smaller(over, away)
                    day += 1
                _store(tile, (2 * mark * _TILE + path) * SIDE_BY_SIDE, total)
                _store(tile, ((2 * mark + 1) * _TILE + path) * SIDE_BY_SIDE, below)
            _store(tile, (2 * marks * _TILE + path) * SIDE_BY_SIDE, zero - over)
            _store(tile, ((2 * marks + 1) * _TILE + path) * SIDE_BY_SIDE, deep)
        # A strategy after the other, as they are sorted.
        for mark in range(marks):
            for side in range(strategies):
                total_of = totals[mark, side, start : start + width]
                below_of = belows[mark, side, start : start + width]
                place = 2 * mark * _TILE * SIDE_BY_SIDE + side
                for path in range(width):
                    total_of[path] = tile[place + path * SIDE_BY_SIDE]
                place += _TILE * SIDE_BY_SIDE
                for path in range(width):
                    below_of[path] = tile[place + path * SIDE_BY_SIDE]
        for side in range(strategies):
            above_of = above[side, start : start + width]
            deepest_of = deepest[side, start : start + width]
            place = 2 * marks * _TILE * SIDE_BY_SIDE + side
            for path in range(width):
                above_of[path] = tile[place + path * SIDE_BY_SIDE]
            place += _TILE * SIDE_BY_SIDE
            for path in range(width):
                deepest_of[path] = tile[place + path * SIDE_BY_SIDE]


def cusum(returns, mean, per_sigma, start, rows, first, worst, badness):
    """`watching.cusum`, compiled."""
    days, size = returns.shape
    _, years, lives = worst.shape
    centre, scale, slack = _all(mean), _all(per_sigma), _all(SLACK)
    zero, none = _all(np.float32(0.0)), _all(NONE)
    for lane in range(0, size, SIDE_BY_SIDE):
        side = min(lane, size - SIDE_BY_SIDE)
        place, day = side, 0
        total = zero
        most = none
        for year in range(years + 1):
            stop = start + year * rows if years else days
            while day < stop:
                total = _larger(total + ((centre - _load(returns, place)) * scale - slack), zero)
                if years:
                    most = _larger(most, total)
                else:
                    _store(badness, place, total)
                place += size
                day += 1
            if year:
                _store(worst, (year - 1) * lives + first + side, most)
            most = none


def band(returns, median, per_width, start, rows, first, worst, badness):
    """`watching.band`, compiled."""
    days, size = returns.shape
    _, years, lives = worst.shape
    zero, none = _all(np.float32(0.0)), _all(NONE)
    for lane in range(0, size, SIDE_BY_SIDE):
        side = min(lane, size - SIDE_BY_SIDE)
        place, day = side, 0
        total = zero
        most = none
        for year in range(years + 1):
            stop = start + year * rows if years else days
            while day < stop:
                total, away = total + _load(returns, place), none
                if day < len(median):
                    away = (_all(median[day]) - total) * _all(per_width[day])
                if years:
                    most = _larger(most, away)
                else:
                    _store(badness, place, away)
                place += size
                day += 1
            if year:
                _store(worst, (year - 1) * lives + first + side, most)
            most = none


def drawdown(returns, start, rows, first, worst, badness):
    """`watching.drawdown`, compiled."""
    days, size = returns.shape
    _, years, lives = worst.shape
    zero, none = _all(np.float32(0.0)), _all(NONE)
    for lane in range(0, size, SIDE_BY_SIDE):
        side = min(lane, size - SIDE_BY_SIDE)
        place, day = side, 0
        total = peak = zero
        most = none
        for year in range(years + 1):
            stop = start + year * rows if years else days
            while day < stop:
                total = total + _load(returns, place)
                peak = _larger(peak, total)
                depth = peak - total
                if years:
                    most = _larger(most, depth)
                else:
                    _store(badness, place, depth)
                place += size
                day += 1
            if year:
                _store(worst, (year - 1) * lives + first + side, most)
            most = none


def rolling(returns, per_spread, start, rows, first, worst, badness):
    """`watching.rolling`, compiled."""
    days, size = returns.shape
    _, years, lives = worst.shape
    one, zero, none, never = _all(np.float32(1.0)), _all(np.float32(0.0)), _all(NONE), _all(NEVER)
    p2, p3, p4, p5 = _all(P2), _all(P3), _all(P4), _all(P5)
    per_row, factor, calmest = _all(PER_ROW), _all(SHARPE), _all(CALMEST_SQUARE)
    scale, constant = _all(per_spread), _all(CONSTANT / per_spread)
    simple = np.empty(ROLLING_ROWS * SIDE_BY_SIDE, dtype=np.float32)
    for lane in range(0, size, SIDE_BY_SIDE):
        side = min(lane, size - SIDE_BY_SIDE)
        place, day = side, 0
        total, squares, slot = zero, zero, 0
        simple[:] = 0.0
        worst_sharpe = none
        widest = none
        for year in range(years + 1):
            stop = start + year * rows if years else days
            while day < stop:
                new, old = _load(returns, place), _load(simple, slot)
                new = (((new * p5 + p4) * new + p3) * new + p2) * new * new + new
                _store(simple, slot, new)
                slot = slot + SIDE_BY_SIDE if slot < (ROLLING_ROWS - 1) * SIDE_BY_SIDE else 0
                total = total + (new - old)
                squares = squares + (new * new - old * old)
                sharpe = width = none
                if day >= ROLLING_ROWS - 1:
                    spread = _larger(squares - total * total * per_row, constant)
                    sharpe = total * _larger(total, zero - total) / spread * factor
                    sharpe = _where_larger(spread, constant, sharpe, never)
                    ratio = _larger(spread * scale, calmest)
                    width = _larger(ratio, one / ratio)
                if years:
                    worst_sharpe = _larger(worst_sharpe, sharpe)
                    widest = _larger(widest, width)
                else:
                    _store(badness, place, sharpe)
                    _store(badness, days * size + place, width)
                place += size
                day += 1
            if year:
                _store(worst, (year - 1) * lives + first + side, worst_sharpe)
                _store(worst, years * lives + (year - 1) * lives + first + side, widest)
            worst_sharpe = widest = none


def exceedances(
    returns, mean, cut, floor, variance, keep, newest, start, rows, first, worst, badness
):
    """`watching.exceedances`, compiled."""
    days, size = returns.shape
    _, years, lives = worst.shape
    one, zero, minus = _all(np.float32(1.0)), _all(np.float32(0.0)), _all(np.float32(-1.0))
    centre, limit, least, longest = _all(mean), _all(cut), _all(floor), _all(np.float32(RATE_ROWS))
    kept, fresh, none = _all(keep), _all(newest), _all(NONE)
    hits = np.empty(RATE_ROWS * SIDE_BY_SIDE, dtype=np.float32)
    for lane in range(0, size, SIDE_BY_SIDE):
        side = min(lane, size - SIDE_BY_SIDE)
        place, day = side, 0
        now, rate, run, slot = _all(variance), zero, zero, 0
        hits[:] = 0.0
        worst_day = none
        highest = none
        longest_run = none
        for year in range(years + 1):
            stop = start + year * rows if years else days
            while day < stop:
                shock = _load(returns, place) - centre
                square = shock * _larger(shock, zero - shock) / now
                hit = _where_larger(limit, square, one, zero)
                now = _larger(now * kept + shock * shock * fresh, least)
                rate = rate + (hit - _load(hits, slot))
                _store(hits, slot, hit)
                slot = slot + SIDE_BY_SIDE if slot < (RATE_ROWS - 1) * SIDE_BY_SIDE else 0
                run = _smaller(run + one, longest) * hit
                bad = square * minus
                if years:
                    worst_day = _larger(worst_day, bad)
                    highest = _larger(highest, rate)
                    longest_run = _larger(longest_run, run)
                else:
                    _store(badness, place, bad)
                    _store(badness, days * size + place, rate)
                    _store(badness, 2 * days * size + place, run)
                place += size
                day += 1
            if year:
                _store(worst, (year - 1) * lives + first + side, worst_day)
                _store(worst, years * lives + (year - 1) * lives + first + side, highest)
                _store(worst, 2 * years * lives + (year - 1) * lives + first + side, longest_run)
            worst_day = highest = longest_run = none
