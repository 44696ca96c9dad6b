"""When a level has recovered: by a margin, so that it does not flap at its limit."""

import math

from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind, Outcome

# Recovered: inside by this share of the limit, or `p_year` above this multiple of the budget.
_MARGIN = 0.1
_BUDGETS = 2.0
# Worse: beyond the limit by this share of it more than when the incident was acknowledged.
_WORSE = 0.25
# Bounds written in decimals, such as a tenth of 0.8, are not exact in binary.
_SLACK = 1e-9
# Rules without a limit: their next good evaluation resolves the incident.
PLAIN = frozenset({"no_data", "record_error"})


def is_recovered(one: Evaluation, *, budget: float) -> bool:
    """Whether a level's final evaluation resolves its incident.

    Args:
        one: An evaluation that is not notified. A breach too weak to be notified counts as
            recovered only by its `p_year`.
        budget: The largest `p_year` at which the rule notifies a warning.
    """
    if one.provisional or one.kind is Kind.EVENT:
        return False
    if one.outcome not in (Outcome.OK, Outcome.BREACH):
        return False
    if one.parts.get("above"):
        # Above the band's upper side, as far from the lower one as possible.
        return True
    if one.p_year is not None and one.p_year > _BUDGETS * budget:
        return True
    if one.outcome is not Outcome.OK:
        return False
    if one.rule in PLAIN:
        return True
    if one.value is None or one.limit is None:
        # Without a limit there is no margin; then a known `p_year` alone decides.
        return one.p_year is None
    margin = _MARGIN * abs(one.limit)
    return abs(one.value - one.limit) >= margin * (1 - _SLACK)


def has_no_cause_left(one: Evaluation, *, budget: float) -> bool:
    """Whether the breach disappeared with restated data; no margin, as it never happened."""
    if one.provisional:
        return False
    if one.outcome is Outcome.OK or one.parts.get("above"):
        return True
    is_common = one.p_year is not None and one.p_year > _BUDGETS * budget
    return one.outcome is Outcome.BREACH and is_common


def is_worse(incident: Incident, value: float | None, limit: float | None) -> bool:
    """Whether a breach is a quarter worse than when its incident was acknowledged.

    Distances from the limit are compared, so that it works for either direction; the quarter is
    of the value or the limit, whichever is larger in size, since a value may be near zero.
    """
    earlier = incident.acknowledged
    if earlier is None or earlier.value is None or earlier.limit is None:
        return False
    if value is None or limit is None:
        return False
    scale = max(abs(earlier.value), abs(earlier.limit))
    if scale == 0.0 or not math.isfinite(scale):
        return False
    further = abs(value - earlier.limit) - abs(earlier.value - earlier.limit)
    return further >= _WORSE * scale * (1 - _SLACK)
