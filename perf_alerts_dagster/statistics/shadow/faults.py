"""Which fault explains live's differences from its model best, and since when.

Each explanation is a law of the differences after an onset; the one that raises their likelihood
most counts, less the price of its parameters (Schwarz, Ann. Statist. 6, 1978). The law is Student's
with four degrees of freedom in the learnt noise, so that single days have a bounded say.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.shadow.pairs import Pairs, missed_days

# The newest pairs that an onset is looked for in, and how few it may leave.
_LOOK_BACK, _FEWEST = 252, 3
_FREEDOM = 4.0
_STEPS = 6
# A missed day is one in so many.
_MISSED = 0.1
# Wrong signs look like a larger tracking error for months. From this share of the model's variance
# on they are taken for the likelier cause, up to this factor of the likelihood (as its log).
_LEAST_OPPOSITE, _BENEFIT = 0.04, 2.0
# A size below this is a sign that is flipped: live's size is 1 more.
_OPPOSITE = -1.5


class Kind(StrEnum):
    """The faults that have a name."""

    DRIFT = "drift"
    SIZE = "size"
    LAG = "lag"
    SIGN = "sign"
    PARTLY_OPPOSITE = "partly opposite"
    MISSED = "missed"
    TRACKING = "tracking"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The fault that explains most. `first` is the pair that it begins with, about.

    `number` is the mean difference a day of a drift, live's size in the model's, the share of the
    model's P&L that has the wrong sign, the tracking error in what was learnt; else None. `days`
    are the pairs that were missed.
    """

    kind: Kind
    first: int
    number: float | None = None
    days: tuple[int, ...] = ()


def fault_of(pairs: Pairs) -> Fault:
    """The fault of pairs that differ too much; of at least 63."""
    start = max(len(pairs) - _LOOK_BACK, 1)
    scales = pairs.scales
    noise = float(scales.noise[0, 0])
    differences = (pairs.differences - scales.offset[0, 0])[start:]
    model, before = pairs.shadow[start:], pairs.shadow[start - 1 : -1]
    usual, price = _log_law(differences, noise), 0.5 * math.log(len(differences))
    after = np.tri(len(usual), dtype=bool).T[: len(usual) - _FEWEST + 1]
    found: list[tuple[float, int, Kind, float]] = []
    for kind, parameters, laws, numbers in _explanations(differences, model, before, noise):
        gains = np.where(after, laws - usual, 0.0).sum(axis=1) - price * parameters
        if kind is Kind.PARTLY_OPPOSITE:
            gains += np.where(numbers >= _LEAST_OPPOSITE, _BENEFIT, -np.inf)
        place = int(gains.argmax())
        found.append((float(gains[place]), start + place, kind, float(numbers[place])))
    _, first, kind, number = max(found)
    return _named(pairs, kind, first, number, noise)


def _explanations(
    differences: Floats, model: Floats, before: Floats, noise: float
) -> Iterator[tuple[Kind, int, Floats, Floats]]:
    """Each explanation: its parameters, the log laws (onsets, n), and its number from each onset.

    An explanation without parameters has one law for all onsets.
    """
    onsets = len(differences) - _FEWEST + 1
    none = np.zeros(onsets)
    yield Kind.LAG, 0, _log_law(differences + model - before, noise), none
    flat = math.log(_MISSED) + _log_law(differences + model, noise)
    as_usual = math.log(1.0 - _MISSED) + _log_law(differences, noise)
    yield Kind.MISSED, 0, np.logaddexp(as_usual, flat), none
    for kind, regressor in ((Kind.DRIFT, np.ones_like(model)), (Kind.SIZE, model)):
        slopes = _slopes(differences, regressor, noise, onsets)
        laws = _log_law(differences - slopes[:, None] * regressor, noise)
        yield kind, 1, laws, slopes
    widths = _widths(differences, noise, onsets)
    yield Kind.TRACKING, 1, _log_law(differences, noise * widths[:, None]), widths
    # A share v of the model's variance with the wrong sign: a slope of -2 v, and 4 v (1 - v) added.
    variance = float(model.var())
    shares = np.minimum((widths**2 - 1.0) * noise**2 / (4.0 * variance), 0.5)
    added = 4.0 * shares * (1.0 - shares) * variance
    laws = _log_law(differences + 2.0 * shares[:, None] * model, np.sqrt(noise**2 + added)[:, None])
    yield Kind.PARTLY_OPPOSITE, 1, laws, shares


def _log_law(values: Floats, noise: float | Floats) -> Floats:
    law: Floats = -np.log(noise) - (_FREEDOM + 1.0) / 2.0 * np.log1p(
        (values / noise) ** 2 / _FREEDOM
    )
    return law


def _weights(left: Floats, onsets: int) -> Floats:
    after = np.tri(left.shape[1]).T[:onsets]
    weights: Floats = after * (_FREEDOM + 1.0) / (_FREEDOM + left**2)
    return weights


def _slopes(differences: Floats, regressor: Floats, noise: float, onsets: int) -> Floats:
    """The slope from each onset on, by expectation and maximisation."""
    slopes = np.zeros(onsets)
    for _ in range(_STEPS):
        weights = _weights((differences - slopes[:, None] * regressor) / noise, onsets)
        square = (weights * regressor**2).sum(axis=1)
        product = (weights * regressor * differences).sum(axis=1)
        slopes = product / np.where(square > 0.0, square, 1.0)
    return slopes


def _widths(differences: Floats, noise: float, onsets: int) -> Floats:
    """The width from each onset on, in the noise, at least 1; as `_slopes`."""
    widths, rows = np.full(onsets, 3.0), len(differences) - np.arange(onsets)
    for _ in range(_STEPS):
        weights = _weights(differences / (noise * widths[:, None]), onsets)
        squares = (weights * (differences / noise) ** 2).sum(axis=1) / rows
        widths = np.sqrt(np.maximum(squares, 1.0))
    return widths


def _named(pairs: Pairs, kind: Kind, first: int, number: float, noise: float) -> Fault:
    if kind is Kind.MISSED:
        live = pairs.live[first:]
        days = first + np.flatnonzero(missed_days(live, pairs.shadow[first:], np.asarray(noise)))
        if len(days):
            return Fault(kind=kind, first=int(days[0]), days=tuple(days.tolist()))
    if kind is Kind.SIZE and number < _OPPOSITE:
        return Fault(kind=Kind.SIGN, first=first)
    number = 1.0 + number if kind is Kind.SIZE else number
    return Fault(kind=kind, first=first, number=number)
