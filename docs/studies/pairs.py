"""Made-up live rows beside their model's: healthy ones, and ones with a planted fault."""

import numpy as np

from perf_alerts_dagster.records.model import Floats

FAULTS = ("size", "lag", "sign", "whole", "missed", "cost")
# The row that a fault is planted from, and the model's standard deviation per day.
PLANTED, SD = 189, 0.01


def noise_of(generator: np.random.Generator, rows: int, kind: str = "t4") -> Floats:
    """Noise of unit variance: t4, normal, with an autocorrelation of .3, or in bursts.

    `drifting` is no law that the settings of the rule were chosen on: t3 with an autocorrelation
    of .2, of a size that wanders by a third.
    """
    if kind == "t4":
        heavy: Floats = generator.standard_t(4, rows) / np.sqrt(2.0)
        return heavy
    if kind == "drifting":
        made = generator.standard_t(3, rows) / np.sqrt(3.0)
        for row in range(1, rows):
            made[row] = 0.2 * made[row - 1] + np.sqrt(0.96) * made[row]
        logs = np.empty(rows)
        logs[0] = generator.normal() / 3.0
        for row in range(1, rows):
            logs[row] = 0.98 * logs[row - 1] + np.sqrt(1.0 - 0.98**2) * generator.normal() / 3.0
        wandering: Floats = made * np.exp(logs)
        return wandering
    made = generator.normal(size=rows)
    if kind == "ar":
        for row in range(1, rows):
            made[row] = 0.3 * made[row - 1] + np.sqrt(0.91) * made[row]
    if kind == "burst":
        wild = False
        for row in range(rows):
            wild = generator.random() > 0.2 if wild else generator.random() < 0.05
            made[row] *= 2.0 if wild else 0.75
    return made


def a_pair(
    generator: np.random.Generator,
    rows: int = PLANTED + 63,
    *,
    noise: float = 0.1,
    kind: str = "t4",
    fault: str | None = None,
    planted: int = PLANTED,
) -> tuple[Floats, Floats]:
    """Live and the model's returns; the model's are t5, with a Sharpe ratio of 1."""
    model = generator.standard_t(5, rows) / np.sqrt(5.0 / 3.0) + 1.0 / np.sqrt(252.0)
    error = noise * noise_of(generator, rows, kind)
    live, after = model + error, slice(planted, None)
    m, e = model[after], error[after]
    match fault:
        case "size":
            live[after] = 0.8 * m + e
        case "lag":
            live[after] = model[planted - 1 : -1] + e
        case "sign":
            # One of ten instruments alike.
            own = 0.1 * m + 0.3 * generator.normal(size=len(m))
            live[after] = m - 2.0 * own + e
        case "whole":
            live[after] = -m + e
        case "missed":
            live[after] = np.where(generator.random(len(m)) < 0.1, 0.0, live[after])
        case "cost":
            live[after] -= 0.05
    return SD * live, SD * model
