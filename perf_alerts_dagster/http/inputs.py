"""Checks of callers' input: names, dates, times and keys.

A check takes a text and the name of its field, gives the value, and raises `InputError` where the
text is not accepted. Each check is also a type for the models of requests (`Day`, `Future` ...),
with its JSON schema.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema

from perf_alerts_dagster.core.alerts import ALERTS, BY_NAME, Alert
from perf_alerts_dagster.scheduler.names import FIRST_PARTITION

STRATEGY_LENGTH = 200
REASON_LENGTH = 500
COMMENT_LENGTH = 2000
LONGEST_PAUSE = timedelta(days=366)
KEY_LENGTH = 255
ID_PATTERN = "^[0-9a-f]{8,64}$"

E = TypeVar("E", bound=StrEnum)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_KEY = re.compile(rf"[\x20-\x7e]{{1,{KEY_LENGTH}}}", re.ASCII)


class InputError(ValueError):
    """A value is not accepted; the text names the field and what is accepted, never the value."""

    def __init__(self, field: str, accepted: str) -> None:
        super().__init__(f"{field}: {accepted}")
        self.field = field
        self.accepted = accepted


class UnknownAlert(Exception):
    """A well-formed name that no alert has."""


class UnknownStrategy(Exception):
    """Neither the record nor the store knows a strategy of this name."""


class UnknownSilence(Exception):
    """There is no silence of this id, or it has ended."""


def alert_named(name: str) -> Alert:
    """The alert with this name.

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
    """A date that is not in the future."""
    accepted = f"a date YYYY-MM-DD from {FIRST_PARTITION} to today ({today.isoformat()})"
    parsed = None
    if _DAY.fullmatch(text):
        with suppress(ValueError):
            parsed = date.fromisoformat(text)
    if parsed is None or not date.fromisoformat(FIRST_PARTITION) <= parsed <= today:
        raise InputError(field, accepted)
    return parsed


def moment(text: str, field: str) -> datetime:
    """A time with a zone, in UTC."""
    parsed = None
    if _TIME.fullmatch(text):
        with suppress(ValueError, OverflowError):
            parsed = datetime.fromisoformat(text.upper()).astimezone(UTC)
    if parsed is None:
        raise InputError(field, "a time such as 2026-01-30T17:00:00Z")
    return parsed


def future(text: str, field: str, *, now: datetime) -> datetime:
    """A time after now and within `LONGEST_PAUSE`."""
    parsed = moment(text, field)
    if not now < parsed <= now + LONGEST_PAUSE:
        raise InputError(field, f"a time in the future, at most {LONGEST_PAUSE.days} days ahead")
    return parsed


def idempotency_key(values: list[str]) -> str | None:
    """The Idempotency-Key header, printable ASCII of 1 to 255 characters; None without one."""
    if not values:
        return None
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        raise InputError(
            "Idempotency-Key", f"one key of 1 to {KEY_LENGTH} printable ASCII characters"
        )
    return values[0]


def whole(text: str, field: str, *, minimum: int, maximum: int) -> int:
    """A whole number in plain digits."""
    if not re.fullmatch(r"0|[1-9]\d{0,8}", text, re.ASCII) or not minimum <= int(text) <= maximum:
        raise InputError(field, f"a whole number from {minimum} to {maximum}")
    return int(text)


def reason(text: str, field: str = "reason") -> str:
    """A line for people, without control characters."""
    if not text.strip() or len(text) > REASON_LENGTH or not text.isprintable():
        raise InputError(field, f"a line of 1 to {REASON_LENGTH} printable characters")
    return text.strip()


def strategy_name(text: str, field: str = "name") -> str:
    """A strategy's name, in the form that track records accept."""
    if not text or len(text) > STRATEGY_LENGTH or not text.isprintable():
        raise InputError(field, f"a name of 1 to {STRATEGY_LENGTH} printable characters")
    return text


def identifier(text: str, field: str = "id") -> str:
    """The id of an incident or silence: 8 to 64 hexadecimal digits."""
    if not re.fullmatch(ID_PATTERN.strip("^$"), text, re.ASCII):
        raise InputError(field, "8 to 64 digits and letters from a to f")
    return text


def comment(text: str, field: str = "comment") -> str:
    """A text for people, of several lines, without other control characters."""
    lines = text.strip().splitlines()
    if len(text) > COMMENT_LENGTH or not all(line.isprintable() for line in lines):
        raise InputError(field, f"at most {COMMENT_LENGTH} printable characters")
    return "\n".join(lines)


def text_check(check: Callable[..., object], *context: str) -> BeforeValidator:
    """The check of a text as part of a type.

    Args:
        check: Gets the text and the field, and raises `InputError`.
        context: The names of the validation context's values that it gets.
    """

    def validate(value: object, info: ValidationInfo) -> object:
        field = info.field_name or ""
        if not isinstance(value, str):
            raise InputError(field, "a text")
        known = info.context or {}
        return check(value, field, **{name: known[name] for name in context})

    return BeforeValidator(validate)


def member_of(kind: type[E], *accepted: E) -> BeforeValidator:
    """The check of an enumeration's member: all of them, or those that are `accepted`."""
    members = accepted or tuple(kind)

    def member(text: str, field: str) -> E:
        if text not in members:
            raise InputError(field, f"one of {', '.join(members)}")
        return kind(text)

    return text_check(member)


def text_schema(**more: object) -> WithJsonSchema:
    """The JSON schema of a text."""
    return WithJsonSchema({"type": "string", **more})


ALERT_NAMES = [alert.name for alert in ALERTS]
AlertName = Annotated[
    str,
    text_check(lambda text, field: alert_named(text).name),
    WithJsonSchema({"enum": ALERT_NAMES}),
]
StrategyName = Annotated[str, text_check(strategy_name), text_schema()]
Day = Annotated[date, text_check(day, "today"), text_schema(format="date", examples=["2026-01-30"])]
Moment = Annotated[datetime, text_check(moment), text_schema()]
Future = Annotated[datetime, text_check(future, "now"), text_schema(format="date-time")]
Reason = Annotated[str, text_check(reason), text_schema(minLength=1, maxLength=REASON_LENGTH)]
Comment = Annotated[str, text_check(comment), text_schema(maxLength=COMMENT_LENGTH)]
IdempotencyKey = Annotated[
    str,
    text_check(lambda text, field: idempotency_key([text])),
    text_schema(minLength=1, maxLength=KEY_LENGTH, pattern="^[ -~]+$"),
]
