"""What is stored of projections and calibrations, and what rules read of it."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import date, timedelta
from typing import Any

import numpy as np

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.projections import shadow_lives
from perf_alerts_dagster.projections.bands import PATHS
from perf_alerts_dagster.projections.calibration import TAILS, Calibration
from perf_alerts_dagster.projections.ports import (
    CALIBRATION,
    CURRENT,
    JUDGING,
    ProjectionStore,
    StoredProjection,
    calibrations_in_force,
    launches_in_force,
)
from perf_alerts_dagster.projections.projection import (
    Expectation,
    InForce,
    Outlook,
    ProjectionsInForce,
    fan_of,
)
from perf_alerts_dagster.records.desk import Baseline
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.decay import DecayReference
from perf_alerts_dagster.statistics.hedge import Hedge

_MONTHS = 12
_DECAY = tuple(part.name for part in fields(DecayReference))
_HEDGE = ("rows", "r2", "r2_benchmark", "beta", "mean", "components", "edge")
# The facts that rules read.
_IN_FORCE = ("mean", "log_mean", "log_sigma", "haircut")
# What projections are of whose facts do not say so.
_BEFORE = {"paths": PATHS}


def in_force(stored: StoredProjection | None) -> InForce | None:
    """The projection as the rules read it; None for one of an older method, without a band."""
    if stored is None or "sup_below" not in stored.arrays:
        return None
    kind, _, number = stored.kind.partition("-")
    since, by = (stored.facts.get(name) for name in ("baseline_from", "baseline_by"))
    return InForce(
        kind=kind,
        issued_on=stored.issued_on,
        fan=fan_of(stored.arrays, int(number_of({**_BEFORE, **stored.facts}, "paths"))),
        number=int(number or 0),
        baseline_from=date.fromisoformat(since) if isinstance(since, str) else None,
        baseline_by=by if isinstance(by, str) else None,
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
    decay, hedge = calibration.decay, calibration.hedge
    return {
        "year": calibration.year,
        "lives": calibration.lives,
        "edge": calibration.edge,
        "decay": None if decay is None else asdict(decay),
        **({} if hedge is None else {"hedge": asdict(hedge)}),
    }


def calibration_arrays(calibration: Calibration) -> dict[str, Floats]:
    """The arrays of a calibration by name."""
    return {
        **calibration.worst,
        **{
            f"{name}:{key}": values
            for name in _MAPPINGS
            for key, values in getattr(calibration, name).items()
        },
        _TAILS: calibration.tails,
    }


# The names of a calibration's arrays that are no statistic.
_MAPPINGS, _TAILS = ("factors", "losses", "power"), "tails"


def stored_calibration(stored: StoredProjection) -> Calibration:
    """The calibration from its stored form."""
    arrays = {name: np.asarray(values) for name, values in stored.arrays.items()}
    decay = _decay(stored.facts["decay"])
    return Calibration(
        tails=arrays.pop(_TAILS, TAILS),
        worst={name: values for name, values in arrays.items() if ":" not in name},
        **{
            name: {
                key.partition(":")[2]: values
                for key, values in arrays.items()
                if key.startswith(f"{name}:")
            }
            for name in _MAPPINGS
        },
        decay=decay,
        edge=number_of(stored.facts, "edge"),
        hedge=_hedge(stored.facts.get("hedge")),
        year=int(number_of(stored.facts, "year")),
        lives=int(number_of(stored.facts, "lives")),
    )


def _decay(facts: Json) -> DecayReference:
    """What decay is measured against.

    Raises:
        TypeError: the facts are no mapping of numbers.
    """
    if not isinstance(facts, dict):
        raise TypeError("decay of a stored calibration is no mapping")
    numbers = {name: number_of(facts, name) for name in _DECAY}
    return DecayReference(**{**numbers, "rows": int(numbers["rows"])})  # type: ignore[arg-type]


def _hedge(facts: Json) -> Hedge | None:
    """The hedge of a stored calibration; None where there was no benchmark.

    Raises:
        TypeError: the facts are not those of a hedge.
    """
    if facts is None:
        return None
    loadings: Any = facts["loadings"] if isinstance(facts, dict) else None
    if not isinstance(facts, dict) or not isinstance(loadings, dict):
        raise TypeError("hedge of a stored calibration is no mapping with loadings")
    numbers: dict[str, Any] = {name: number_of(facts, name) for name in _HEDGE}
    whole = {name: int(numbers[name]) for name in ("rows", "components")}
    return Hedge(
        **{**numbers, **whole},
        loadings={name: (float(each[0]), float(each[1])) for name, each in loadings.items()},
        factors=str(facts["factors"]),
        decay=None if facts["decay"] is None else _decay(facts["decay"]),
    )


# The rule that version 3 calibrated by these shares of its healthy years.
CUSUM = "life_cusum"
_CUSUM_LIVES = 2_000
_CUSUM_TAILS = np.unique(
    np.concatenate([[0.0], np.geomspace(0.0005, 0.05, 41), np.linspace(0.05, 1.0, 60)])
)


def cusum_calibration(stored: StoredProjection) -> Calibration:
    """The calibration of the life CUSUM from the stored form of version 3."""
    return Calibration(
        worst={n: np.asarray(each) for n, each in stored.arrays.items() if n.startswith(CUSUM)},
        tails=_CUSUM_TAILS,
        lives=_CUSUM_LIVES,
    )


def outlook(
    store: ProjectionStore,
    as_of: date,
    periods_per_year: Mapping[str, float],
    baselines: Mapping[str, Sequence[Baseline]],
    *,
    calibrations: str,
    monthly: bool,
    life_cusum: Collection[str],
    unpack: Callable[[StoredProjection | None], InForce | None],
    unpack_calibration: Callable[[StoredProjection], Calibration],
) -> Outlook:
    """The projections that are in force on `as_of`.

    `periods_per_year` are the rows per year of each strategy; others have no expectation.
    `baselines` are those of each strategy, oldest first. `calibrations` is the kind that they are
    stored under. Without `monthly`, the expectations and the earlier month's projections are left
    out. `life_cusum` are the strategies that the rule of that name is still judged for. `unpack`
    and `unpack_calibration` are those of the issuer.
    """
    launched = launches_in_force(store, baselines, as_of)
    calibrated = calibrations_in_force(store, launched, as_of, kind=calibrations)
    judging, now = (
        store.projections(kind=kind, on_or_before=as_of) if monthly or kind != CURRENT else {}
        for kind in (JUDGING, CURRENT)
    )
    before = _month_before(store, now)
    of_version_3 = (
        store.projections(kind=CALIBRATION, on_or_before=as_of, strategies=life_cusum)
        if life_cusum
        else {}
    )
    return Outlook(
        projected=frozenset(launched),
        expectations={
            name: (expectation(before.get(name), rate), expectation(now[name], rate))
            for name, rate in periods_per_year.items()
            if name in now
        },
        in_force={
            name: ProjectionsInForce(
                launch=unpack(launched.get(name)), judging=unpack(judging.get(name))
            )
            for name in {*launched, *judging}
        },
        monthly={name: projection for name, each in before.items() if (projection := unpack(each))},
        calibrations={name: unpack_calibration(each) for name, each in calibrated.items()},
        life_cusum={name: cusum_calibration(each) for name, each in of_version_3.items()},
        shadows=shadow_lives.in_force(store, as_of),
    )


def _month_before(
    store: ProjectionStore, now: Mapping[str, StoredProjection]
) -> dict[str, StoredProjection]:
    projections: dict[str, StoredProjection] = {}
    for issued_on in sorted({stored.issued_on for stored in now.values()}):
        names = [name for name, stored in now.items() if stored.issued_on == issued_on]
        last = issued_on.replace(day=1) - timedelta(days=1)
        projections |= store.projections(kind=CURRENT, on_or_before=last, strategies=names)
    return projections


def number_of(facts: Mapping[str, Json], name: str) -> float:
    """A number among stored facts.

    Raises:
        TypeError: it is none.
    """
    value = facts[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} of a stored projection is no number")
    return float(value)
