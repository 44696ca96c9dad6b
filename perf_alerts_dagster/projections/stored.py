"""What is stored of projections and calibrations, and what rules read of it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, fields

import numpy as np

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.projections.bands import PATHS
from perf_alerts_dagster.projections.calibration import SEVERITIES, TAILS, Calibration
from perf_alerts_dagster.projections.ports import StoredProjection
from perf_alerts_dagster.projections.projection import Expectation, InForce, fan_of
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.decay import DecayReference

_MONTHS = 12
_DECAY = tuple(part.name for part in fields(DecayReference))
# The facts that rules read.
_IN_FORCE = ("mean", "log_mean", "log_sigma", "haircut")
# What projections are of whose facts do not say so.
_BEFORE = {"paths": PATHS}


def in_force(stored: StoredProjection | None) -> InForce | None:
    """The projection as the rules read it; None for one of an older method, without a band."""
    if stored is None or "sup_below" not in stored.arrays:
        return None
    return InForce(
        kind=stored.kind,
        issued_on=stored.issued_on,
        fan=fan_of(stored.arrays, int(number_of({**_BEFORE, **stored.facts}, "paths"))),
        **{name: number_of(stored.facts, name) for name in _IN_FORCE},
    )


def expectation(stored: StoredProjection | None, periods_per_year: float) -> Expectation | None:
    """The monthly return that a stored projection expects; None without a projection."""
    if stored is None:
        return None
    mean, sigma, rows = (number_of(stored.facts, name) for name in ("mean", "sigma", "rows"))
    periods = periods_per_year / _MONTHS
    return Expectation(
        issued_on=stored.issued_on.isoformat(),
        monthly=periods * mean,
        standard_error=periods * sigma / math.sqrt(rows),
    )


def calibration_facts(calibration: Calibration) -> dict[str, Json]:
    """The scalar values of a calibration, as JSON."""
    decay = calibration.decay
    return {
        "year": calibration.year,
        "lives": calibration.lives,
        "decay": None if decay is None else asdict(decay),
    }


def calibration_arrays(calibration: Calibration) -> dict[str, Floats]:
    """The arrays of a calibration by name."""
    factors = {f"{_FACTORS}{name}": values for name, values in calibration.factors.items()}
    return {**calibration.worst, **factors, _TAILS: calibration.tails}


# The names of a calibration's arrays that are no statistic.
_FACTORS, _TAILS = "factors:", "tails"


def stored_calibration(stored: StoredProjection) -> Calibration:
    """The calibration from its stored form."""
    arrays = {name: np.asarray(values) for name, values in stored.arrays.items()}
    decay = stored.facts["decay"]
    if not isinstance(decay, dict):
        raise TypeError("decay of a stored calibration is no mapping")
    numbers = {name: number_of(decay, name) for name in _DECAY}
    return Calibration(
        tails=arrays.pop(_TAILS, TAILS),
        factors={name: arrays.pop(f"{_FACTORS}{name}") for name in SEVERITIES},
        worst=arrays,
        decay=DecayReference(**{**numbers, "rows": int(numbers["rows"])}),  # type: ignore[arg-type]
        year=int(number_of(stored.facts, "year")),
        lives=int(number_of(stored.facts, "lives")),
    )


def number_of(facts: Mapping[str, Json], name: str) -> float:
    """A number among stored facts.

    Raises:
        TypeError: it is none.
    """
    value = facts[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} of a stored projection is no number")
    return float(value)
