"""Strategies with a shadow, made of the pairs that the study of planted faults looks at."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from perf_alerts_dagster.records.model import Floats, Shadow, StrategyRecord
from perf_alerts_tests.builders import a_record

_STUDIES = Path(__file__).parents[1] / "docs" / "studies"
sys.path.insert(0, str(_STUDIES))
try:
    _pairs = import_module("pairs")
finally:
    sys.path.remove(str(_STUDIES))

FAULTS, PLANTED, a_pair = _pairs.FAULTS, _pairs.PLANTED, _pairs.a_pair


def a_shadowed(live: Floats, model: Floats, *, backtest: Floats, **changes: Any) -> StrategyRecord:
    """A record with these live rows and a shadow of the same dates."""
    record = a_record(live, backtest=backtest)
    days = record.dates[record.live][: len(model)]
    shadow: dict[str, Any] = {
        "dates": days,
        "returns": model,
        "costs": np.zeros(len(model)),
        "versions": np.full(len(model), ""),
        "seen": np.full(len(model), "NaT", dtype="datetime64[D]"),
    }
    fields = {name: changes.pop(name) for name in list(changes) if name in shadow}
    faults = changes.pop("faults", ())
    return a_record(
        live, backtest=backtest, shadow=Shadow(**(shadow | fields), faults=faults), **changes
    )
