"""The compiled walk of projections: sixteen strategies at once, in a processor's registers.

numba turns a loop into vectors, but keeps their state in memory; here it is told to use vectors,
which takes half of the time. This module imports numba, so it is imported by its kernel alone.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

# Strategies side by side: the single precision numbers of the widest registers.
_SIDE_BY_SIDE = 16
# Paths whose results are kept together until they are written, a strategy after the other.
_TILE = 128
_VECTOR = ir.VectorType(ir.FloatType(), _SIDE_BY_SIDE)


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
        places = ir.Constant(ir.VectorType(ir.IntType(32), _SIDE_BY_SIDE), [0] * _SIDE_BY_SIDE)
        return builder.shuffle_vector(first, none, places)

    return _vector(types.float32), generate


@intrinsic
def _root(_typing, values):
    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(_VECTOR, [_VECTOR])
        name = f"llvm.sqrt.v{_SIDE_BY_SIDE}f32"
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


def _calculating(name: str):
    @intrinsic
    def calculate(_typing, one, other):
        def generate(context, builder, signature, arguments):
            return getattr(builder, name)(*arguments)

        return _vector(_vector, _vector), generate

    return calculate


def _overload(of, name):
    calculate = _calculating(name)

    # Without types: numba compares the signatures.
    @overload(of)
    def choose(one, other):
        if isinstance(one, _Vector) and isinstance(other, _Vector):
            return lambda one, other: calculate(one, other)
        return None


_overload(operator.add, "fadd")
_overload(operator.sub, "fsub")
_overload(operator.mul, "fmul")


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
    tile = np.empty((2 * marks + 2) * _TILE * _SIDE_BY_SIDE, dtype=np.float32)
    for start in range(0, paths, _TILE):
        width = min(_TILE, paths - start)
        for day in range(days[-1]):
            for path in range(width):
                rows[path, day] = drawn[day, start + path]
        for path in range(width):
            each = zero
            for draw in range(len(errors)):
                each = each + _load(residuals, np.intp(errors[draw, start + path]) * _SIDE_BY_SIDE)
            each = each * scale + drift
            now, total, peak, deep, below, over = first, zero, zero, zero, lowest, highest
            day = 0
            for mark in range(marks):
                while day < days[mark]:
                    place = day * _SIDE_BY_SIDE
                    shock = _load(residuals, np.intp(rows[path, day]) * _SIDE_BY_SIDE)
                    total = total + (shock * _root(now) + each)
                    now = now * (shock * shock * weight + kept) + one
                    peak = _larger(peak, total)
                    deep = _smaller(deep, total - peak)
                    away = (_load(median, place) - total) * _load(per_width, place)
                    below = _larger(below, away)
                    over = _smaller(over, away)
                    day += 1
                _store(tile, (2 * mark * _TILE + path) * _SIDE_BY_SIDE, total)
                _store(tile, ((2 * mark + 1) * _TILE + path) * _SIDE_BY_SIDE, below)
            _store(tile, (2 * marks * _TILE + path) * _SIDE_BY_SIDE, zero - over)
            _store(tile, ((2 * marks + 1) * _TILE + path) * _SIDE_BY_SIDE, deep)
        # A strategy after the other, as they are sorted.
        for mark in range(marks):
            for side in range(strategies):
                total_of = totals[mark, side, start : start + width]
                below_of = belows[mark, side, start : start + width]
                place = 2 * mark * _TILE * _SIDE_BY_SIDE + side
                for path in range(width):
                    total_of[path] = tile[place + path * _SIDE_BY_SIDE]
                place += _TILE * _SIDE_BY_SIDE
                for path in range(width):
                    below_of[path] = tile[place + path * _SIDE_BY_SIDE]
        for side in range(strategies):
            above_of = above[side, start : start + width]
            deepest_of = deepest[side, start : start + width]
            place = 2 * marks * _TILE * _SIDE_BY_SIDE + side
            for path in range(width):
                above_of[path] = tile[place + path * _SIDE_BY_SIDE]
            place += _TILE * _SIDE_BY_SIDE
            for path in range(width):
                deepest_of[path] = tile[place + path * _SIDE_BY_SIDE]
