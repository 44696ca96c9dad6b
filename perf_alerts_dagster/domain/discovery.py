"""How much a `p_year` is worth when many strategies are looked at on the same day."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from perf_alerts_dagster.domain.evaluation import Evaluation
from perf_alerts_dagster.domain.record import Floats


def benjamini_hochberg(shares: Floats) -> Floats:
    """Adjusted p-values (n), each in [0, 1]: the least false discovery rate that includes it.

    Source: Benjamini, Hochberg, J. R. Stat. Soc. B 57, 1995.
    """
    count = len(shares)
    order = np.argsort(shares, kind="stable")
    ranked = shares[order] * count / np.arange(1, count + 1)
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return adjusted


def with_discovery(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Put the Benjamini-Hochberg value of `p_year`, across strategies, into each rule's parts.

    It is shown and gates nothing.
    """
    places: dict[str, list[int]] = {}
    for place, one in enumerate(evaluations):
        if one.p_year is not None:
            places.setdefault(one.rule, []).append(place)
    found = list(evaluations)
    for members in places.values():
        shares = np.array([found[place].p_year for place in members], dtype=np.float64)
        for place, value in zip(members, benjamini_hochberg(shares).tolist(), strict=True):
            one = found[place]
            found[place] = replace(one, parts={**one.parts, "benjamini_hochberg": value})
    return found
