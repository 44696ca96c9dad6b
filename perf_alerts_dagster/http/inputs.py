"""What callers send: names, dates, times and keys, each checked before it is used."""

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from perf_alerts_dagster.core.alerts import BY_NAME, Alert
from perf_alerts_dagster.scheduler.names import FIRST_PARTITION
from perf_alerts_dagster.scheduler.port import RunState

STRATEGY_LENGTH = 200
REASON_LENGTH = 500
COMMENT_LENGTH = 2000
LONGEST_PAUSE = timedelta(days=366)

E = TypeVar("E", bound=StrEnum)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_ID = re.compile(r"[0-9a-f]{8,64}", re.ASCII)
_KEY = re.compile(r"[\x20-\x7e]{1,255}", re.ASCII)


class InputError(ValueError):
    """A value is not accepted; the text names the field and what is accepted, never the value."""

    def __init__(self, field: str, accepted: str) -> None:
        super().__init__(f"{field}: {accepted}")
        self.field = field
        self.accepted = accepted


class UnknownAlert(Exception):
    """The name has the right form and is no alert's."""


def alert_named(name: str) -> Alert:
    """The alert of a name.

    Raises:
        InputError: the name's form is wrong.
        UnknownAlert: there is no such alert.
    """
    if not _NAME.fullmatch(name):
        raise InputError("alert", "a name of lower-case letters, digits and _, at most 64 long")
    if name not in BY_NAME:
        raise UnknownAlert
    return BY_NAME[name]


def day(text: str, field: str, *, today: date) -> date:
    """A date that is not in the future.

    Raises:
        InputError: it is none.
    """
    accepted = f"a date YYYY-MM-DD from {FIRST_PARTITION} to today ({today.isoformat()})"
    found = None
    if _DAY.fullmatch(text):
        with suppress(ValueError):
            found = date.fromisoformat(text)
    if found is None or not date.fromisoformat(FIRST_PARTITION) <= found <= today:
        raise InputError(field, accepted)
    return found


def moment(text: str, field: str) -> datetime:
    """A time with a zone, in UTC.

    Raises:
        InputError: it is none.
    """
    found = None
    if _MOMENT.fullmatch(text):
        with suppress(ValueError, OverflowError):
            found = datetime.fromisoformat(text.upper()).astimezone(UTC)
    if found is None:
        raise InputError(field, "a time such as 2026-01-30T17:00:00Z")
    return found


def future(text: str, field: str, *, now: datetime) -> datetime:
    """A time after now and within `LONGEST_PAUSE`.

    Raises:
        InputError: it is none.
    """
    found = moment(text, field)
    if not now < found <= now + LONGEST_PAUSE:
        raise InputError(field, f"a time in the future, at most {LONGEST_PAUSE.days} days ahead")
    return found


def idempotency_key(values: list[str]) -> str | None:
    """The Idempotency-Key header; None without one.

    Raises:
        InputError: it is given twice, or is not printable ASCII of 1 to 255 characters.
    """
    if not values:
        return None
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        raise InputError("Idempotency-Key", "one key of 1 to 255 printable ASCII characters")
    return values[0]


def whole(text: str, field: str, *, minimum: int, maximum: int) -> int:
    """A whole number in plain digits.

    Raises:
        InputError: it is none, or out of bounds.
    """
    if not re.fullmatch(r"0|[1-9]\d{0,8}", text, re.ASCII) or not minimum <= int(text) <= maximum:
        raise InputError(field, f"a whole number from {minimum} to {maximum}")
    return int(text)


def reason(text: str, field: str = "reason") -> str:
    """A line for people.

    Raises:
        InputError: it is empty, too long, or holds control characters.
    """
    if not text.strip() or len(text) > REASON_LENGTH or not text.isprintable():
        raise InputError(field, f"a line of 1 to {REASON_LENGTH} printable characters")
    return text.strip()


def run_state(text: str) -> RunState:
    """The state of a run.

    Raises:
        InputError: it is none.
    """
    try:
        return RunState(text)
    except ValueError as error:
        raise InputError("status", f"one of {', '.join(RunState)}") from error


class UnknownStrategy(Exception):
    """Neither the record nor the store knows a strategy of this name."""


def strategy_name(text: str, field: str = "name") -> str:
    """A strategy's name as the record holds it; what it may not hold is nobody's name.

    Raises:
        InputError: it is too long, or holds control characters.
    """
    if not text or len(text) > STRATEGY_LENGTH or not text.isprintable():
        raise InputError(field, f"a name of 1 to {STRATEGY_LENGTH} printable characters")
    return text


class UnknownSilence(Exception):
    """There is no silence of this id, or it has ended."""


def one_of(kind: type[E], text: str, field: str) -> E:
    """The member of an enumeration.

    Raises:
        InputError: it is none.
    """
    try:
        return kind(text)
    except ValueError as error:
        raise InputError(field, f"one of {', '.join(kind)}") from error


def identifier(text: str, field: str = "id") -> str:
    """An id as answers give it.

    Raises:
        InputError: its form is wrong.
    """
    if not _ID.fullmatch(text):
        raise InputError(field, "8 to 64 digits and letters from a to f")
    return text


def comment(text: str, field: str = "comment") -> str:
    """A text for people, of several lines at most.

    Raises:
        InputError: it is too long, or holds control characters.
    """
    lines = text.strip().splitlines()
    if len(text) > COMMENT_LENGTH or not all(one.isprintable() for one in lines):
        raise InputError(field, f"at most {COMMENT_LENGTH} printable characters")
    return "\n".join(lines)
