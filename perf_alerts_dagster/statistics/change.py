"""When a mean fell: the likeliest day, and the days that are nearly as likely.

The profile likelihood of the day of a change (Hinkley, Biometrika 57, 1970; for intervals Siegmund,
Biometrika 75, 1988), of scores with a standard deviation of 1.
"""

from dataclasses import dataclass

import numpy as np

from perf_alerts_dagster.records.model import Floats

# Fewer rows after a change are a few bad days.
LEAST_AFTER = 10
# Simulated intervals hold the day with .96 to .99; with the 1.92 of chi squared, which the
# likelihood of a day does not follow, with .84 to .95.
_WITHIN = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The positions of the first row after the change: the likeliest, and the interval's ends."""

    at: int
    first: int
    last: int


def change_of(scores: Floats, reference_rows: int) -> Change:
    """The change of the mean of scores (n > 0) to below 0, the mean of their reference.

    l = S^2 / (2 (k + k^2 / f)) is the log likelihood ratio of a fall before the last k rows, with
    S their sum and f the rows of the reference, whose mean has an error. The interval holds the
    days from the first to the last of those within 3 of the likeliest: with .95 at least the
    true one.

    Args:
        scores: Oldest first, with a standard deviation of 1.
        reference_rows: The rows that their mean is of.
    """
    after = np.arange(1.0, len(scores) + 1.0)
    sums = np.minimum(scores[::-1].cumsum(), 0.0)
    likelihood = sums * sums / (2.0 * (after + after * after / reference_rows))
    likelihood[: min(LEAST_AFTER, len(scores)) - 1] = 0.0
    near = len(scores) - 1 - np.flatnonzero(likelihood >= likelihood.max() - _WITHIN)
    return Change(
        at=len(scores) - 1 - int(likelihood.argmax()), first=int(near[-1]), last=int(near[0])
    )
