"""A JSON parser that refuses ambiguous or extreme texts, which two readers may read differently."""

import json
import math
from typing import NoReturn

from perf_alerts_dagster.core.json import Json

_DEEPEST = 32
_LONGEST_INTEGER = 18


def strict_json(content: bytes) -> Json:
    """The value of a JSON text in UTF-8.

    Refused, besides invalid JSON: a byte order mark, members of the same name, NaN and
    infinities, numbers too large for a float or for 64 bits, lone surrogates, deep nesting.

    Raises:
        ValueError: it is refused; the text names the kind of fault, never the content.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    _refuse_deep(text)
    try:
        value: Json = json.loads(
            text,
            object_pairs_hook=_members,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        raise ValueError("it is not JSON") from error
    _refuse_surrogates(value)
    return value


def _refuse_deep(text: str) -> None:
    """Refuse deep nesting before the recursive parser runs."""
    depth = deepest = 0
    in_text = escaped = False
    for character in text:
        if in_text:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_text = False
        elif character == '"':
            in_text = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    if deepest > _DEEPEST:
        raise ValueError("it is nested too deeply")


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members


def _constant(text: str) -> NoReturn:
    raise ValueError("a number is not finite")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _integer(text: str) -> int:
    if len(text.removeprefix("-")) > _LONGEST_INTEGER:
        raise ValueError("a number is too large")
    return int(text)


def _refuse_surrogates(value: Json) -> None:
    # JSON permits a lone surrogate as an escape; encoding it as UTF-8 later would fail.
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("a text holds half a character") from error
