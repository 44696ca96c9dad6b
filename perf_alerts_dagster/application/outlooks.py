"""Stored projections and calibrations as the rules look at them, and the way back."""

import math
from collections.abc import Mapping

import numpy as np

from perf_alerts_dagster.application.judgement import StoredProjection
from perf_alerts_dagster.domain.calibration import Calibration
from perf_alerts_dagster.domain.evaluation import Json
from perf_alerts_dagster.domain.forces import InForce
from perf_alerts_dagster.domain.projection import fan_of, monthly_expectation
from perf_alerts_dagster.domain.record import Floats
from perf_alerts_dagster.domain.rules.forward import Expectation

LAUNCH = "launch"
CURRENT = "current"
# The current projection that judges, and a launch's calibration, are kept as kinds of their own.
JUDGING = "judging"
CALIBRATION = "calibration"


def in_force(stored: StoredProjection | None) -> InForce | None:
    """The projection as the rules look at it; None for one of an older method, without a band."""
    if stored is None or "sup_below" not in stored.arrays:
        return None
    return InForce(
        kind=stored.kind,
        issued_on=stored.issued_on,
        fan=fan_of(stored.arrays),
        mean=_number(stored.facts, "mean"),
        log_mean=_number(stored.facts, "log_mean"),
        log_sigma=_number(stored.facts, "log_sigma"),
        haircut=_number(stored.facts, "haircut"),
    )


def expectation(stored: StoredProjection | None, periods_per_year: float) -> Expectation | None:
    """What the projection expects of a month; None where there is none."""
    if stored is None:
        return None
    monthly, error = monthly_expectation(
        _number(stored.facts, "mean"),
        _number(stored.facts, "sigma"),
        int(_number(stored.facts, "rows")),
        periods_per_year=periods_per_year,
    )
    return Expectation(
        issued_on=stored.issued_on.isoformat(), monthly=monthly, standard_error=error
    )


def calibration_facts(one: Calibration) -> dict[str, Json]:
    """What is not an array, JSON-ready."""
    return {
        "told": dict(one.told),
        "power": dict(one.power),
        "half": {rule: None if math.isnan(days) else days for rule, days in one.half.items()},
        "union": one.union,
    }


def calibration_arrays(one: Calibration) -> dict[str, Floats]:
    """The worst values of healthy years, by rule."""
    return dict(one.worst)


def calibrated(stored: StoredProjection) -> Calibration:
    """The calibration that was stored."""
    half = _numbers(stored.facts, "half")
    return Calibration(
        worst={rule: np.asarray(values) for rule, values in stored.arrays.items()},
        told=_numbers(stored.facts, "told"),
        power=_numbers(stored.facts, "power"),
        half=half,
        union=_number(stored.facts, "union"),
    )


def _number(facts: Mapping[str, Json], name: str) -> float:
    value = facts[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} of a stored projection is no number")
    return float(value)


def _numbers(facts: Mapping[str, Json], name: str) -> dict[str, float]:
    values = facts[name]
    if not isinstance(values, dict):
        raise TypeError(f"{name} of a stored calibration is no mapping")
    return {
        rule: float(value) if isinstance(value, int | float) else math.nan
        for rule, value in values.items()
    }
