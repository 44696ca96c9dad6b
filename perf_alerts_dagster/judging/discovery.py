"""The false discovery rate of a rule's breaches across strategies; shown, and gates nothing."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.records.model import Floats


def benjamini_hochberg(shares: Floats) -> Floats:
    """Adjusted p-values (n): of each test the lowest false discovery rate that rejects it.

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

    It is shown only: it gates nothing.
    """
    positions: dict[str, list[int]] = {}
    for position, evaluation in enumerate(evaluations):
        if evaluation.p_year is not None:
            positions.setdefault(evaluation.rule, []).append(position)
    adjusted = list(evaluations)
    for members in positions.values():
        shares = np.array([adjusted[position].p_year for position in members], dtype=np.float64)
        for position, value in zip(members, benjamini_hochberg(shares).tolist(), strict=True):
            evaluation = adjusted[position]
            adjusted[position] = replace(
                evaluation, parts={**evaluation.parts, "benjamini_hochberg": value}
            )
    return adjusted
