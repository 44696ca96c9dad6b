"""Sizes of moves and what was usual before each, row by row: of the volatility's CUSUM."""

import numpy as np

from perf_alerts_dagster.records.model import Floats


def compared(sizes: Floats) -> Floats:
    """Sizes (n) over what was usual before them."""
    usual, found = 1.0, []
    for size in sizes.tolist():
        found.append(size / max(usual, 0.5))
        usual += (size - usual) / 504
    return np.array(found)


def in_usual(*sizes: float) -> Floats:
    """The sizes that are so many times what was usual before them."""
    usual, found = 1.0, []
    for size in sizes:
        found.append(size * max(usual, 0.5))
        usual += (found[-1] - usual) / 504
    return np.array(found)
