"""Checks of variables: each parses the raw text to a value.

A check raises a ValueError with the accepted values, which is shown after the variable's name. No
text is stripped or guessed: a stray space is a fault.
"""

import json
import math
import re
import ssl
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from pydantic import BeforeValidator

from perf_alerts_dagster.judging.limits import limit_book

# No delay and no lifetime is longer than this many seconds.
YEAR = 31_536_000

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_BY_SHORT_NAME = {name[:3]: name for name in WEEKDAYS}
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
# Timezones of the machine, or of another count of seconds.
_NO_ZONES = re.compile("localtime|Factory|posixrules|(right|posix)/.*")
# Headers that are logged, echoed, hop-by-hop, or mean something to browsers, proxies and servers.
_STANDARD_HEADERS = re.compile(
    "(accept|access-control|cf|content|cross-origin|if|proxy|sec|x-amz|x-amzn|x-b3|x-forwarded)(-.*)?"
    "|(age|allow|alt-svc|authorization|baggage|cache-control|connection|cookie2?|date|dnt|early-data"
    "|etag|expect|expires|forwarded|from|host|http2-settings|idempotency-key|keep-alive"
    "|last-event-id|last-modified|link|location|max-forwards|origin|pragma|prefer|priority|range"
    "|referer|referrer-policy|retry-after|server|set-cookie2?|strict-transport-security|te"
    "|trace(parent|state)|trailer|transfer-encoding|upgrade|upgrade-insecure-requests|user-agent"
    "|vary|via|warning|www-authenticate|x-(content-type-options|correlation-id|csrf-token"
    "|frame-options|http-method-override|original-.*|powered-by|real-ip|request-id|requested-with"
    "|signature))"
)
# What authenticating proxies name users by.
_USER_HEADERS = re.compile("x-forwarded-(user|groups|email|preferred-username)")


def time_of_day(value: str) -> str:
    """`HH:MM`, 00:00 to 23:59, two digits each."""
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
        raise ValueError("must be a time HH:MM from 00:00 to 23:59")
    return value


def weekday(value: str) -> str:
    """A full or three-letter English name in any case, as the full lower-case name."""
    name = value.lower()
    name = _BY_SHORT_NAME.get(name, name)
    if name not in WEEKDAYS:
        raise ValueError(f"must be a weekday: {', '.join(WEEKDAYS)}, or the first three letters")
    return name


def boolean(value: str) -> bool:
    """Exactly true/false/1/0/yes/no/on/off in any case."""
    word = value.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("must be one of true, false, 1, 0, yes, no, on, off")
    return word in _TRUE


def whole(minimum: int, maximum: int) -> Callable[[str], int]:
    """A check of a whole number in decimal digits, from `minimum` to `maximum`."""

    def check(value: str) -> int:
        parsed = int(value) if re.fullmatch(r"[0-9]{1,9}", value) else None
        if parsed is None or not minimum <= parsed <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return parsed

    return check


def number(minimum: float, maximum: float, *, above: bool = False) -> Callable[[str], float]:
    """A check of a number, at least (or, with `above`, above) `minimum` and at most `maximum`."""

    def check(value: str) -> float:
        parsed = float(value) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", value) else math.nan
        # A comparison with NaN is false, so text that is no number is refused here too.
        if not minimum <= parsed <= maximum or (above and parsed == minimum):
            lowest = f"{'above' if above else 'at least'} {minimum:g}"
            raise ValueError(f"must be a number {lowest} and at most {maximum:.15g}")
        return parsed

    return check


def one_of(*accepted: str) -> Callable[[str], str]:
    """A check of one of a few words, in any case; returned as written in `accepted`."""

    def check(value: str) -> str:
        for word in accepted:
            if value.lower() == word.lower():
                return word
        raise ValueError(f"must be one of {', '.join(accepted)}")

    return check


def timezone(value: str) -> str:
    """An IANA timezone name."""
    # Listing them reads the whole database.
    if value != "UTC" and (_NO_ZONES.fullmatch(value) or value not in available_timezones()):
        raise ValueError("must be an IANA timezone such as UTC or America/New_York")
    return value


def calendar(value: str) -> str:
    """`record`, `weekdays`, `24/7`, or an exchange code."""
    if value in ("record", "weekdays", "24/7"):
        return value
    # Imported late, as it takes half a second.
    from exchange_calendars import get_calendar_names

    if value not in get_calendar_names():
        raise ValueError(
            "must be record, weekdays, 24/7, or a code of exchange_calendars such as XNYS or XLON"
        )
    return value


def currency(value: str) -> str:
    """The name of a currency, as the records give it: letters, digits, `.`, `_` and `-`."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,20}", value):
        raise ValueError("must be a currency as the records name it, such as USD")
    return value


def header(value: str) -> str:
    """An HTTP header name (a token of RFC 9110, 5.6.2) without a standard meaning."""
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}", value):
        raise ValueError("must be an HTTP header name such as X-Alert-API-Key")
    if _STANDARD_HEADERS.fullmatch(value.lower()):
        raise ValueError("must not be a header that means something else already")
    return value


def user_header(value: str) -> str:
    """As `header`, or one by which proxies name users, such as X-Forwarded-User."""
    return value if _USER_HEADERS.fullmatch(value.lower()) else header(value)


def table(value: str) -> str:
    """The name of a table, a query, or the name of a file."""
    if not value.strip():
        raise ValueError("must name a table, a query, or a file in the folder")
    return value


def folder(value: str) -> Path:
    """A folder that exists or can be made, as an absolute path."""
    try:
        path = Path(value).expanduser().absolute()
        is_other = path.exists() and not path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError("must be the path of a folder") from error
    if not value.strip() or is_other:
        raise ValueError("must be the path of a folder")
    return path


def certificates(value: str) -> Path:
    """A file of PEM certificates, as an absolute path."""
    try:
        path = Path(value).expanduser().absolute()
        ssl.create_default_context(cafile=path)
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError("must be a file of PEM certificates that this user can read") from error
    return path


def trusted_roles(value: str) -> dict[str, Any]:
    """Groups and users of the authenticating proxy by the role that they get.

    `{"viewer": ["*"], "operator": ["desk"], "admin": ["alice@example.org"]}`; `*` is everybody.
    """
    parsed = json_object(value)
    _refuse_unknown(parsed, ("viewer", "operator", "admin"))
    for role, names in parsed.items():
        if not isinstance(names, list) or not all(
            isinstance(name, str) and name.strip() == name != "" for name in names
        ):
            raise ValueError(f"{role!r} must be a list of groups and users")
    return parsed


def read(check: Callable[[str], Any]) -> BeforeValidator:
    """Apply a check to raw text; a default has its type already."""
    return BeforeValidator(lambda value: check(value) if isinstance(value, str) else value)


def optional(check: Callable[[str], Any]) -> BeforeValidator:
    """As `read`; blank text is None, an unset variable."""

    def validate(value: Any) -> Any:  # noqa: ANN401 - raw text or a default of any type
        if not isinstance(value, str):
            return value
        return check(value) if value.strip() else None

    return BeforeValidator(validate)


def json_object(value: str) -> dict[str, Any]:
    """A JSON object of finite numbers without duplicate members."""
    try:
        parsed = json.loads(
            value,
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_bounded_whole,
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


def column_names(value: str) -> dict[str, str]:
    """A JSON object of texts: our column name to theirs."""
    parsed = json_object(value)
    if not all(isinstance(theirs, str) and theirs for theirs in parsed.values()):
        raise ValueError('must map names to names, such as {"pnl": "net_pnl"}')
    return parsed


def thresholds(value: str) -> dict[str, Any]:
    """Overrides of the documented limits: see `judging.limits`."""
    parsed = json_object(value)
    limit_book(parsed, {})
    return parsed


def policy_limits(value: str) -> dict[str, Any]:
    """The desk's own limits: see `judging.limits`."""
    parsed = json_object(value)
    limit_book({}, parsed)
    return parsed


def budgets(value: str) -> dict[str, Any]:
    """False-alarm budgets per rule, for all strategies and for single ones.

    `{"default": {"drawdown": {"warning": 0.02}}, "strategies": {"alpha": {...}}}`; each budget
    is the largest `p_year` (a share of healthy years) at which people are notified.
    """
    parsed = json_object(value)
    _refuse_unknown(parsed, ("default", "strategies"))
    _check_rules(_section(parsed.get("default", {}), "default"))
    for name, rules in _section(parsed.get("strategies", {}), "strategies").items():
        _check_rules(_section(rules, name))
    return parsed


def _check_rules(rules: Mapping[str, Any]) -> None:
    _refuse_unknown(rules, tuple(_gated()))
    for rule, shares in rules.items():
        _refuse_unknown(_section(shares, rule), ("warning", "critical"))
        for severity, share in shares.items():
            good = isinstance(share, int | float) and not isinstance(share, bool)
            if not good or not 0 < share <= 1:
                raise ValueError(f"'{rule}.{severity}' must be a number above 0 and at most 1")


def _gated() -> dict[str, float]:
    """The weights of the rules that need evidence, 0 of those that notify nobody any more."""
    # Imported late, as it loads numpy.
    from perf_alerts_dagster.judging.rules.catalogue import RULES

    return {rule.id: rule.weight for rule in RULES if rule.gated}


def without_weight(value: str) -> list[str]:
    """The rules among valid false-alarm budgets that notify nobody any more."""
    parsed = json_object(value)
    rules = {*parsed.get("default", {}), *chain(*parsed.get("strategies", {}).values())}
    return sorted(rule for rule in rules if not _gated()[rule])


def _section(values: object, name: str) -> Mapping[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"{name!r} must be a JSON object")  # noqa: TRY004 - a fault of the text
    return values


def _refuse_unknown(values: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is unknown; accepted are {', '.join(known)}")


def _finite(text: str) -> float:
    parsed = float(text)
    if not math.isfinite(parsed):
        raise ValueError(f"must be a JSON object of finite numbers, not {text[:20]}")
    return parsed


def _bounded_whole(text: str) -> int:
    # Python refuses to read numbers that are much longer, and floats cannot hold them.
    if len(text.removeprefix("-")) > 15:
        raise ValueError("must be a JSON object of numbers with at most 15 digits")
    return int(text)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"must be a JSON object that holds {name!r} once")
        members[name] = value
    return members
