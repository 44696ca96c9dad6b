"""How often a year holds a window whose volatility is so many times a record's own."""

import math

import numpy as np

from perf_alerts_dagster.records.model import Floats

# Rows of the parts whose volatilities show how much it varies: shorter than the windows that are
# judged, so that a short record has enough of them; a shorter part varies more.
_PART = 21
# A part's volatility counts as at least this share of the record's.
_CALMEST = 1.0 / 32.0
# Windows that overlap are as many as twice those that do not.
_OVERLAP = 2.0
_STEPS = 200


def yearly_share_of_ratio(reference: Floats, ratio: float, windows: float) -> float:
    """Probability that a year of so many windows has one as far from the reference's volatility.

    The logarithms of volatilities are taken to be normal, with the mean and the spread of the
    reference's parts, both of which have an error: Student's t. Healthy lives of a record of three
    years hold few wild months, and no wilder one.

    Args:
        reference: Returns (n) that vary, n >= 42.
        ratio: Of the window's volatility to that of the reference.
        windows: Windows in a year that do not overlap.
    """
    count = len(reference) // _PART
    parts = reference[-count * _PART :].reshape(count, _PART).std(axis=1, ddof=1)
    logs = np.log(np.maximum(parts / reference.std(ddof=1), _CALMEST))
    spread = float(logs.std(ddof=1)) * math.sqrt(1.0 + 1.0 / count)
    away = abs(math.log(max(ratio, _CALMEST))) / max(spread, _CALMEST**2)
    return -math.expm1(-_OVERLAP * windows * _beyond(away, count - 1))


def _beyond(value: float, freedom: int) -> float:
    """P(T >= value), value >= 0, of Student's t.

    The density of the angle whose tangent is T / sqrt(freedom) is that of its
    cosine^(freedom - 1).
    """
    first = math.atan(value / math.sqrt(freedom))
    tail, half = (
        float(np.trapezoid(np.cos(angles) ** (freedom - 1), angles))
        for angles in (np.linspace(low, math.pi / 2.0, _STEPS) for low in (first, 0.0))
    )
    return 0.5 * tail / half
