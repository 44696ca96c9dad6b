"""What a single value accepts. Every check takes the raw text and raises ValueError.

The error's text is what the operator reads after the variable's name: it says what is accepted.
Nothing is stripped or guessed, so that a stray space is seen instead of carried along.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_BY_SHORT_NAME = {name[:3]: name for name in WEEKDAYS}
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_TAKEN_HEADERS = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "idempotency-key",
        "origin",
        "proxy-authorization",
        "transfer-encoding",
    }
)


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
    """Exactly true/false/1/0/yes/no/on/off in any case; nothing is guessed."""
    word = value.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("must be one of true, false, 1, 0, yes, no, on, off")
    return word in _TRUE


def whole(value: str, *, minimum: int, maximum: int) -> int:
    """A whole number in decimal digits, from `minimum` to `maximum`."""
    parsed = int(value) if re.fullmatch(r"[0-9]{1,9}", value) else None
    if parsed is None or not minimum <= parsed <= maximum:
        raise ValueError(f"must be a whole number from {minimum} to {maximum}")
    return parsed


def number(value: str, *, minimum: float, maximum: float = math.inf, above: bool = False) -> float:
    """A finite number, at least (or, with `above`, above) `minimum` and at most `maximum`."""
    wanted = f"{'above' if above else 'at least'} {minimum:g}"
    wanted += "" if math.isinf(maximum) else f" and at most {maximum:.15g}"
    parsed = float(value) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", value) else math.nan
    # A comparison with NaN is false, so text that is no number is refused here too.
    if not minimum <= parsed <= maximum or (above and parsed == minimum):
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
    # Half a second of import; only a desk that names an exchange pays it.
    from exchange_calendars import get_calendar_names

    if value not in get_calendar_names():
        raise ValueError(
            "must be record, weekdays, 24/7, or a code of exchange_calendars such as XNYS or XLON"
        )
    return value


def header(value: str) -> str:
    """An HTTP header name (a token of RFC 9110, 5.6.2) that means nothing else."""
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}", value):
        raise ValueError("must be an HTTP header name such as X-Alert-API-Key")
    if value.lower() in _TAKEN_HEADERS:
        raise ValueError("must not be a header that means something else already")
    return value


def table(value: str) -> str:
    """A table, a query or a file's name."""
    if not value.strip():
        raise ValueError("must name a table, a query, or a file in the folder")
    return value


def folder(value: str) -> Path:
    """A folder, there already or still to be made, as an absolute path."""
    try:
        path = Path(value).expanduser().absolute()
        is_other = path.exists() and not path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError("must be the path of a folder") from error
    if not value.strip() or is_other:
        raise ValueError("must be the path of a folder")
    return path


# No delay and no lifetime is longer than this many seconds.
YEAR = 31_536_000


def read(check: Callable[[str], Any]) -> BeforeValidator:
    """Apply a check to raw text; a default has its type already."""
    return BeforeValidator(lambda value: check(value) if isinstance(value, str) else value)


def optional(check: Callable[[str], Any]) -> BeforeValidator:
    """As `read`; a blank text means that nothing is set."""

    def checked(value: Any) -> Any:  # noqa: ANN401 - raw text or a default of any type
        if not isinstance(value, str):
            return value
        return check(value) if value.strip() else None

    return BeforeValidator(checked)
