"""Compile the simulations into numba's cache: `python -m perf_alerts_dagster.projections`."""

import sys
import time

import numpy as np

from perf_alerts_dagster.projections import calibration, lives, simulation, walk
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.kernels.kernel import Kernel
from perf_alerts_dagster.projections.watchers import Known
from perf_alerts_dagster.statistics.decay import decay_reference
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns


def main() -> None:
    """Project and calibrate one strategy with few paths, which calls every kernel."""
    started = time.monotonic()
    window = np.where(np.arange(252) % 2, 0.01, -0.009)
    residuals = filter_returns(window)
    if residuals is None:
        raise ValueError("the window varies")
    (band,) = fans([residuals], simulation.draw(0, 16, 252), 252)
    decay = decay_reference(np.log1p(window))
    if decay is None:
        raise ValueError("the window varies")
    life, known = (
        lives.life_of(window, residuals, decay),
        Known(residuals=residuals, band=band, decay=decay),
    )
    draws = lives.draw_lives(0, 16, walk.days_of())
    calibration.calibrate([life], [known], draws, weights=[{}], documented=[{}])
    walk.Walk(draws).first_passages(life, known, {"drawdown": 0.0})
    seconds = time.monotonic() - started
    kernels = Kernel.all
    ready = sum(bool(kernel.signatures) for kernel in kernels)
    new = sum(kernel.is_new for kernel in kernels)
    sys.stdout.write(
        f"{ready} of {len(kernels)} simulation kernels are compiled, {new} of them now "
        f"({seconds:.0f} s)\n"
    )


if __name__ == "__main__":
    main()
