"""The documented limits, a desk's own mandates, and how JSON overrides them.

Both JSON settings have one shape: `{"default": {...}, "strategies": {"name": {...}}}`; a
strategy's values win over the defaults one by one. Losses and drawdowns are written as positive
fractions (0.08 is 8 %).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from perf_alerts_dagster.core.severity import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The documented limits of the threshold and data rules (ALERT_THRESHOLDS)."""

    rolling_sharpe_warning: float = 0.8
    rolling_sharpe_critical: float = 0.5
    sharpe_degradation_warning: float = 0.3
    sharpe_degradation_critical: float = 0.5
    drawdown_warning: float = 0.08
    drawdown_critical: float = 0.12
    drawdown_emergency: float = 0.20
    trade_probability_warning: float = 0.05
    trade_probability_critical: float = 0.01
    volatility_low: float = 0.5
    volatility_high: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """A desk's own limits, never gated (ALERT_POLICY_LIMITS); None where there is none.

    `columns` maps a further numeric column to its least and greatest allowed value.
    """

    drawdown: float | None = None
    daily_loss: float | None = None
    weekly_loss: float | None = None
    monthly_loss: float | None = None
    columns: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    severity: Severity = Severity.CRITICAL


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitBook:
    """The limits and mandates of every strategy."""

    limits: Limits = field(default_factory=Limits)
    mandate: Mandate = field(default_factory=Mandate)
    limits_of: Mapping[str, Limits] = field(default_factory=dict)
    mandate_of: Mapping[str, Mandate] = field(default_factory=dict)

    def limits_for(self, strategy: str) -> Limits:
        """The limits of one strategy."""
        return self.limits_of.get(strategy, self.limits)

    def mandate_for(self, strategy: str) -> Mandate:
        """The mandate of one strategy."""
        return self.mandate_of.get(strategy, self.mandate)


def limit_book(thresholds: Mapping[str, Any], policy: Mapping[str, Any]) -> LimitBook:
    """Build the book from the two JSON settings.

    Raises:
        ValueError: a name is unknown or a value is no number in range; the text names it.
    """
    common = _limits(Limits(), _part(thresholds, "default"))
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


def _part(setting: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    unknown = sorted(set(setting) - {"default", "strategies"})
    if unknown:
        raise ValueError(f'{unknown[0]!r} is unknown; accepted are "default" and "strategies"')
    return _section(setting.get(name, {}), name)


def _section(values: object, name: str) -> Mapping[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"{name!r} must be a JSON object")  # noqa: TRY004 - a fault of the text
    return values


def _limits(base: Limits, values: Mapping[str, Any]) -> Limits:
    known = [one.name for one in fields(Limits)]
    _refuse_unknown(values, known)
    found = replace(base, **{name: _number(name, value) for name, value in values.items()})
    _check(found)
    return found


# A critical limit that is reached before its warning would hide the warning.
_ORDERED = (
    ("rolling_sharpe_critical", "rolling_sharpe_warning"),
    ("sharpe_degradation_warning", "sharpe_degradation_critical"),
    ("drawdown_warning", "drawdown_critical"),
    ("drawdown_critical", "drawdown_emergency"),
    ("trade_probability_critical", "trade_probability_warning"),
    ("volatility_low", "volatility_high"),
)


def _check(limits: Limits) -> None:
    for one in fields(Limits):
        # A Sharpe ratio may be limited from below zero; everything else is a positive number.
        if not one.name.startswith("rolling_sharpe") and getattr(limits, one.name) <= 0:
            raise ValueError(f"{one.name!r} must be above 0")
        if one.name.startswith(("drawdown", "trade_probability")):
            _share(one.name, getattr(limits, one.name))
    for low, high in _ORDERED:
        if getattr(limits, low) > getattr(limits, high):
            raise ValueError(f"{low!r} must not be above {high!r}")


def _mandate(base: Mandate, values: Mapping[str, Any]) -> Mandate:
    _refuse_unknown(values, [one.name for one in fields(Mandate)])
    changed: dict[str, Any] = {}
    for name, value in values.items():
        if name == "columns":
            changed[name] = {**base.columns, **_columns(value)}
        elif name == "severity":
            changed[name] = _severity(value)
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


def _severity(value: object) -> Severity:
    words = [one.value for one in Severity if one is not Severity.INFO]
    if value not in words:
        raise ValueError(f"'severity' must be one of {', '.join(words)}")
    return Severity(str(value))


def _columns(value: object) -> dict[str, tuple[float | None, float | None]]:
    found: dict[str, tuple[float | None, float | None]] = {}
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
        found[column] = (minimum, maximum)
    return found
