"""What each kind of variable accepts. Every check takes the raw text and raises ValueError.

The error's text is what the operator reads after the variable's name: it says what is accepted.
"""

import json
import math
import re
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_BY_SHORT_NAME = {name[:3]: name for name in WEEKDAYS}
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


def time_of_day(value: str) -> str:
    """`HH:MM`, 00:00 to 23:59, two digits each."""
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value, re.ASCII):
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
    """Exactly true/false/1/0/yes/no/on/off in any case; nothing is guessed."""
    word = value.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("must be one of true, false, 1, 0, yes, no, on, off")
    return word in _TRUE


def whole(value: str, *, least: int, most: int | None = None) -> int:
    """A whole number in decimal digits, from `least` to `most`."""
    wanted = f"at least {least}" if most is None else f"from {least} to {most}"
    if not re.fullmatch(r"-?[0-9]{1,12}", value, re.ASCII):
        raise ValueError(f"must be a whole number {wanted}")
    number = int(value)
    if number < least or (most is not None and number > most):
        raise ValueError(f"must be a whole number {wanted}")
    return number


def number(value: str, *, least: float, most: float = math.inf, above: bool = False) -> float:
    """A finite decimal number, at least (or, with `above`, above) `least` and at most `most`."""
    wanted = f"{'above' if above else 'at least'} {least:g}"
    wanted += "" if math.isinf(most) else f" and at most {most:g}"
    if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", value, re.ASCII):
        raise ValueError(f"must be a number {wanted}")
    parsed = float(value)
    if parsed > most or parsed < least or (above and parsed == least):
        raise ValueError(f"must be a number {wanted}")
    return parsed


def one_of(value: str, *accepted: str) -> str:
    """One of a few words, in any case; returned as written in `accepted`."""
    for word in accepted:
        if value.lower() == word.lower():
            return word
    raise ValueError(f"must be one of {', '.join(accepted)}")


def timezone(value: str) -> str:
    """An IANA timezone name."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("must be an IANA timezone such as UTC or America/New_York") from error
    return value


def calendar(value: str) -> str:
    """`record`, `weekdays`, `24/7`, or an exchange code."""
    if value in ("record", "weekdays", "24/7"):
        return value
    from exchange_calendars import get_calendar_names

    if value not in get_calendar_names():
        raise ValueError(
            "must be record, weekdays, 24/7, or a code of exchange_calendars such as XNYS or XLON"
        )
    return value


def header(value: str) -> str:
    """An HTTP header name (RFC 9110 token) that means nothing else."""
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}", value, re.ASCII):
        raise ValueError("must be an HTTP header name such as X-Alert-API-Key")
    if value.lower() in ("authorization", "cookie", "host", "content-type", "content-length"):
        raise ValueError("must not be a header that means something else already")
    return value


def json_object(value: str) -> dict[str, Any]:
    """A JSON object without NaN or infinity."""

    def refuse(word: str) -> None:
        raise ValueError(f"must be a JSON object of finite numbers, not {word}")

    try:
        parsed = json.loads(value, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"must be a JSON object ({error.msg} at character {error.pos + 1})"
        ) from error
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
