"""When a level is back inside: by a margin, so that it does not flap at its limit."""

import math

from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind, Outcome

# Back inside by this share of the limit, or healthy years above this multiple of the budget.
_MARGIN = 0.1
_BUDGETS = 2.0
# A value worsens where it goes beyond the limit by this share of it more than when acknowledged.
_WORSE = 0.25
# Bounds written in decimals, such as a tenth of 0.8, are not exact in binary.
_SLACK = 1e-9
# These have no limit to come back from: their next good judgement ends them.
PLAIN = frozenset({"no_data", "record_error"})


def is_recovered(one: Evaluation, *, budget: float) -> bool:
    """Whether a level's final evaluation ends its incident.

    Args:
        one: An evaluation that is not told. A breach too weak to be told is back only by its
            `p_year`.
        budget: The largest `p_year` that the rule tells at warning.
    """
    if one.provisional or one.kind is Kind.EVENT:
        return False
    if one.outcome not in (Outcome.OK, Outcome.BREACH):
        return False
    if one.parts.get("above"):
        # A band's upper side, which is good news: as far from the lower one as can be.
        return True
    if one.p_year is not None and one.p_year > _BUDGETS * budget:
        return True
    if one.outcome is not Outcome.OK:
        return False
    if one.rule in PLAIN:
        return True
    if one.value is None or one.limit is None:
        # Without a limit there is no margin; with a `p_year` that is the only measure.
        return one.p_year is None
    margin = _MARGIN * abs(one.limit)
    return abs(one.value - one.limit) >= margin * (1 - _SLACK)


def has_no_cause_left(one: Evaluation, *, budget: float) -> bool:
    """Whether restated data leave nothing of the cause: no margin, since it never happened."""
    if one.provisional:
        return False
    if one.outcome is Outcome.OK or one.parts.get("above"):
        return True
    rare_no_more = one.p_year is not None and one.p_year > _BUDGETS * budget
    return one.outcome is Outcome.BREACH and rare_no_more


def is_worse(incident: Incident, value: float | None, limit: float | None) -> bool:
    """Whether a breach is a quarter worse than when its incident was acknowledged.

    Distances beyond the limit are compared, so that it holds for either direction; the quarter
    is of the value or of the limit, whichever is larger, since a value may be near zero.
    """
    then = incident.acknowledged
    if then is None or then.value is None or then.limit is None:
        return False
    if value is None or limit is None:
        return False
    scale = max(abs(then.value), abs(then.limit))
    if scale == 0.0 or not math.isfinite(scale):
        return False
    further = abs(value - then.limit) - abs(then.value - then.limit)
    return further >= _WORSE * scale * (1 - _SLACK)
