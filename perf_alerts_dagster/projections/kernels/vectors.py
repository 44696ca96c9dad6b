"""Vectors of sixteen numbers, and the simulation of paths by them: in a processor's registers.

numba makes vectors of a loop, but keeps its state in memory; here the vectors are written out, and
stay in registers, which takes half of the time. This module and `loops` import numba, so they are
imported by their kernels alone.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from perf_alerts_dagster.projections.kernels.kernel import SIDE_BY_SIDE

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
def load(_typing, array, place):
    """The sixteen numbers of an array from a place on."""

    def generate(context, builder, signature, arguments):
        return builder.load(_pointer(context, builder, signature, arguments), align=4)

    return _vector(array, types.intp), generate


@intrinsic
def store(_typing, array, place, values):
    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature, arguments)
        builder.store(arguments[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, _vector), generate


@intrinsic
def repeated(_typing, number):
    """Sixteen times the same number."""

    def generate(context, builder, signature, arguments):
        none = ir.Constant(_VECTOR, ir.Undefined)
        first = builder.insert_element(none, arguments[0], ir.Constant(ir.IntType(32), 0))
        places = ir.Constant(ir.VectorType(ir.IntType(32), SIDE_BY_SIDE), [0] * SIDE_BY_SIDE)
        return builder.shuffle_vector(first, none, places)

    return _vector(types.float32), generate


@intrinsic
def root(_typing, values):
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


larger, smaller = _choosing(">"), _choosing("<")


@intrinsic
def where_larger(_typing, one, other, chosen, otherwise):
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
    one, zero, kept = repeated(np.float32(1.0)), repeated(np.float32(0.0)), repeated(keep)
    lowest, highest = repeated(np.float32(-np.inf)), repeated(np.float32(np.inf))
    first, weight = load(variance, 0), load(fresh, 0)
    drift, scale = load(mean, 0), load(error, 0)
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
                each = each + load(residuals, np.intp(errors[draw, start + path]) * SIDE_BY_SIDE)
            each = each * scale + drift
            now, total, peak, deep, below, over = first, zero, zero, zero, lowest, highest
            day = 0
            for mark in range(marks):
                while day < days[mark]:
                    place = day * SIDE_BY_SIDE
                    shock = load(residuals, np.intp(rows[path, day]) * SIDE_BY_SIDE)
                    total = total + (shock * root(now) + each)
                    now = now * (shock * shock * weight + kept) + one
                    peak = larger(peak, total)
                    deep = smaller(deep, total - peak)
                    away = (load(median, place) - total) * load(per_width, place)
                    below = larger(below, away)
                    over = smaller(over, away)
                    day += 1
                store(tile, (2 * mark * _TILE + path) * SIDE_BY_SIDE, total)
                store(tile, ((2 * mark + 1) * _TILE + path) * SIDE_BY_SIDE, below)
            store(tile, (2 * marks * _TILE + path) * SIDE_BY_SIDE, zero - over)
            store(tile, ((2 * marks + 1) * _TILE + path) * SIDE_BY_SIDE, deep)
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
