"""The steps of a drawdown's episode, from one high to the next: people are notified of each once.

A limit's first step is 0; what is notified by evidence alone is -1.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents import model

# Between two steps, as a share of the peak, up to rounding.
_STEP, _ROUNDING = 0.10, 1e-9


def with_step(incident: model.Incident) -> model.Incident:
    """The incident whose newest breach people know of, by a message or since they answered."""
    if incident.steps is None:
        return incident
    steps, name = dict(incident.steps), incident.newest_severity.value
    steps[name] = max(_step_of(incident), steps.get(name, -1))
    capital = incident.parts.get("capital_limit")
    if capital is not None and _step_of(incident) >= 0:
        # Beyond its own line it is beyond the documented one's steps as well, which are critical.
        name, passed = Severity.CRITICAL.value, _steps_beyond(float(str(capital)), incident.value)
        steps[name] = max(passed, steps.get(name, -1))
    return replace(incident, steps=steps)


def _steps_beyond(line: float, value: float | None) -> int:
    """The step of a value beyond a line, a positive share; -1 before it."""
    depth = 0.0 if value is None else abs(value)
    return max(math.floor((depth - line) / _STEP + _ROUNDING), -1)


def _step_of(breach: model.Breach) -> int:
    """Steps beyond the line that a drawdown has passed; -1 where it is notified by evidence."""
    return int(str(breach.parts.get("step", -1)))


def is_new_step(firing: model.Firing, steps: Mapping[str, int] | None) -> bool:
    """Whether people were not notified of this step, at this severity or a higher one."""
    if steps is None:
        return True
    known = [step for name, step in steps.items() if Severity(name).rank >= firing.severity.rank]
    return not known or _step_of(firing) > max(known)


def steps_of_episode(
    firing: model.Firing, before: model.Incident | None
) -> Mapping[str, int] | None:
    """The steps of the firing's episode that people know of by the incident before it.

    None for a rule without episodes. An episode that began by the last breach is the same one,
    whatever its date: rows at its head may be gone, or restated.
    """
    episode = firing.parts.get("episode")
    if episode is None:
        return None
    if before is None or before.as_of is None or date.fromisoformat(str(episode)) > before.as_of:
        return {}
    if before.steps is not None:
        return before.steps
    if not before.notifications:
        return {}
    # An incident of an older version: its value stands for its step.
    is_limit = _step_of(firing) >= 0 and firing.limit is not None
    step = _steps_beyond(abs(firing.limit or 0.0), before.value) if is_limit else -1
    return {before.severity.value: step}
