"""What a share of healthy years makes of a breach: its evidence, and how it is told."""

from perf_alerts_dagster.domain.evaluation import Evidence, Json
from perf_alerts_dagster.domain.severity import Severity


def evidence_of(
    severity: Severity | None, p_year: float | None, budgets: tuple[float, float]
) -> Evidence | None:
    """Of a gated rule: strong within the budget of a warning; None where there is no breach."""
    if severity is None:
        return None
    if p_year is None:
        return Evidence.UNRATED
    return Evidence.STRONG if p_year <= budgets[0] else Evidence.WEAK


def told_as(
    severity: Severity | None, p_year: float | None, budgets: tuple[float, float]
) -> dict[str, Json]:
    """`told_as` for a breach that passes a critical limit with evidence for a warning only."""
    if severity is None or p_year is None or severity.rank < Severity.CRITICAL.rank:
        return {}
    return {"told_as": Severity.WARNING.value} if budgets[1] < p_year <= budgets[0] else {}
