"""The JSON settings: what shape each has.

Every check raises a ValueError that names what is wrong.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from perf_alerts_dagster.judging.limits import limit_book


def json_object(value: str) -> dict[str, Any]:
    """A JSON object of finite numbers in which no member is there twice."""
    try:
        parsed = json.loads(
            value,
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_members,
        )
    except json.JSONDecodeError as error:
        raise ValueError(
            f"must be a JSON object ({error.msg} at character {error.pos + 1})"
        ) from error
    except RecursionError as error:
        raise ValueError("must be a JSON object, not one nested so deep") from error
    if not isinstance(parsed, dict):
        # pydantic collects ValueError, not TypeError.
        raise ValueError('must be a JSON object such as {"default": {}}')  # noqa: TRY004
    return parsed


def names(value: str) -> dict[str, str]:
    """A JSON object of texts: our column name to theirs."""
    parsed = json_object(value)
    if not all(isinstance(theirs, str) and theirs for theirs in parsed.values()):
        raise ValueError('must map names to names, such as {"pnl": "net_pnl"}')
    return parsed


def thresholds(value: str) -> dict[str, Any]:
    """The documented limits, overridden: see `judging.limits`."""
    parsed = json_object(value)
    limit_book(parsed, {})
    return parsed


def policy(value: str) -> dict[str, Any]:
    """A desk's own limits: see `judging.limits`."""
    parsed = json_object(value)
    limit_book({}, parsed)
    return parsed


def budgets(value: str) -> dict[str, Any]:
    """False-alarm budgets per rule, for all strategies and for single ones.

    `{"default": {"drawdown": {"warning": 0.02}}, "strategies": {"alpha": {...}}}`; each budget
    is the largest `p_year` (a share of healthy years) at which a person is told.
    """
    parsed = json_object(value)
    _known(parsed, ("default", "strategies"))
    _rules(_section(parsed.get("default", {}), "default"))
    for name, rules in _section(parsed.get("strategies", {}), "strategies").items():
        _rules(_section(rules, name))
    return parsed


def _rules(rules: Mapping[str, Any]) -> None:
    # Loads numpy, which a process that only reads its settings can do without.
    from perf_alerts_dagster.judging.rules.catalogue import RULES

    _known(rules, tuple(rule.id for rule in RULES if rule.gated))
    for rule, given in rules.items():
        _known(_section(given, rule), ("warning", "critical"))
        for severity, share in given.items():
            good = isinstance(share, int | float) and not isinstance(share, bool)
            if not good or not 0 < share <= 1:
                raise ValueError(f"'{rule}.{severity}' must be a number above 0 and at most 1")


def _section(values: object, name: str) -> Mapping[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"{name!r} must be a JSON object")  # noqa: TRY004 - a fault of the text
    return values


def _known(values: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is unknown; accepted are {', '.join(known)}")


def _finite(text: str) -> float:
    parsed = float(text)
    if not math.isfinite(parsed):
        raise ValueError(f"must be a JSON object of finite numbers, not {text[:20]}")
    return parsed


def _whole(text: str) -> int:
    # Python refuses to read, and floats cannot hold, what is much longer.
    if len(text.removeprefix("-")) > 15:
        raise ValueError("must be a JSON object of numbers with at most 15 digits")
    return int(text)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"must be a JSON object that holds {name!r} once")
        found[name] = value
    return found
