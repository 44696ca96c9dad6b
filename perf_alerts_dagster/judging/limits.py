"""Parse the two JSON settings of limits: ALERT_THRESHOLDS and ALERT_POLICY_LIMITS.

Both have one shape: `{"default": {...}, "strategies": {"name": {...}}}`; each value of a strategy
overrides its default. Losses and drawdowns are written as positive fractions (0.08 is
8 %). The catalogue, which loads numpy, is imported late: most readers of the settings judge
nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.rule import LimitBook, Mandate

# The member of a stored version of limits that holds the mandates.
MANDATES = "mandates"


def limit_book(thresholds: Mapping[str, Any], policy: Mapping[str, Any]) -> LimitBook:
    """Build the book from the two JSON settings.

    Raises:
        ValueError: a name is unknown or a value is no number in range; the text names it.
    """
    from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS

    common = _limits(DOCUMENTED_LIMITS, _part(thresholds, "default"))
    mandate = _mandate(Mandate(), _part(policy, "default"))
    return LimitBook(
        limits=common,
        mandate=mandate,
        limits_of={
            name: _limits(common, _section(values, name))
            for name, values in _part(thresholds, "strategies").items()
        },
        mandate_of={
            name: _mandate(mandate, _section(values, name))
            for name, values in _part(policy, "strategies").items()
        },
    )


def settings_of(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A stored version of limits as the settings that it replaces, by their names.

    It has the shape of ALERT_THRESHOLDS, and ALERT_POLICY_LIMITS under `mandates` where a person
    has set those as well.
    """
    rest = {name: value for name, value in content.items() if name != MANDATES}
    more = {"policy_limits": dict(content[MANDATES])} if MANDATES in content else {}
    return {"thresholds": rest, **more}


def _part(setting: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    unknown = sorted(set(setting) - {"default", "strategies"})
    if unknown:
        raise ValueError(f'{unknown[0]!r} is unknown; accepted are "default" and "strategies"')
    return _section(setting.get(name, {}), name)


def _section(values: object, name: str) -> Mapping[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"{name!r} must be a JSON object")  # noqa: TRY004 - a fault of the text
    return values


def _limits(base: Mapping[str, float], values: Mapping[str, Any]) -> dict[str, float]:
    from perf_alerts_dagster.judging.rules.catalogue import RULES

    _refuse_unknown(values, list(base))
    limits = {**base, **{name: _number(name, value) for name, value in values.items()}}
    for rule in RULES:
        for name in rule.limits:
            if rule.accepts != "number" and limits[name] <= 0:
                raise ValueError(f"{name!r} must be above 0")
            if rule.accepts == "fraction":
                _share(name, limits[name])
    for rule in RULES:
        # A critical limit that is breached before the warning would hide the warning.
        for first, second in pairwise(rule.limits):
            rises = rule.limits[first] <= rule.limits[second]
            low, high = (first, second) if rises else (second, first)
            if limits[low] > limits[high]:
                raise ValueError(f"{low!r} must not be above {high!r}")
    return limits


def _mandate(base: Mandate, values: Mapping[str, Any]) -> Mandate:
    _refuse_unknown(values, [part.name for part in fields(Mandate)])
    changed: dict[str, Any] = {}
    for name, value in values.items():
        if name == "columns":
            changed[name] = {**base.columns, **_columns(value)}
        elif name == "severity":
            words = [severity.value for severity in Severity if severity is not Severity.INFO]
            if value not in words:
                raise ValueError(f"'severity' must be one of {', '.join(words)}")
            changed[name] = Severity(value)
        else:
            changed[name] = None if value is None else _share(name, value)
    return replace(base, **changed)


def _refuse_unknown(values: Mapping[str, Any], known: list[str]) -> None:
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is unknown; accepted are {', '.join(known)}")


def _number(name: str, value: object) -> float:
    fault = f"{name!r} must be a finite number"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(fault)  # noqa: TRY004 - a fault of the text
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError(fault) from error
    if not math.isfinite(number):
        raise ValueError(fault)
    return number


def _share(name: str, value: object) -> float:
    number = _number(name, value)
    if not 0 < number <= 1:
        raise ValueError(f"{name!r} must be a fraction above 0 and at most 1, such as 0.1 for 10 %")
    return number


def _columns(value: object) -> dict[str, tuple[float | None, float | None]]:
    columns: dict[str, tuple[float | None, float | None]] = {}
    for column, bounds in _section(value, "columns").items():
        _refuse_unknown(_section(bounds, column), ["min", "max"])
        minimum, maximum = (
            None if bounds.get(name) is None else _number(f"{column}.{name}", bounds[name])
            for name in ("min", "max")
        )
        if minimum is None and maximum is None:
            raise ValueError(f"{column!r} needs a min, a max, or both")
        if minimum is not None and maximum is not None and minimum > maximum:
            raise ValueError(f"'{column}.min' must not be above '{column}.max'")
        columns[column] = (minimum, maximum)
    return columns
