"""Types and base models of the answers."""

import math
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from perf_alerts_dagster.core.clock import timestamp


def _finite(value: object) -> object:
    """Infinite numbers as null: JSON has none, and a profit factor without losses is infinite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: object) -> object:
    """A time or date as answers write it; anything else stays as it is."""
    if isinstance(value, datetime):
        return timestamp(value)
    return value.isoformat() if isinstance(value, date) else value


Number = Annotated[float | None, BeforeValidator(_finite)]
Time = Annotated[str, BeforeValidator(_text), Field(examples=["2026-01-30T17:00:15Z"])]
Day = Annotated[str, BeforeValidator(_text)]


class Model(BaseModel):
    """The base of all answers and their parts; instances are immutable.

    `model_validate` also takes a value whose attributes have the names of the fields.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Answer(Model):
    """The base of the answers to a request. Each names its `timestamp`, when it was answered.

    Members keep the order that clients rely on, the base's first.
    """

    success: bool


class Page(Answer):
    """A list; `next_cursor` is null on its last page."""

    next_cursor: str | None
    timestamp: Time


def attributes(value: object, model: type[Model], *others: str) -> dict[str, Any]:
    """The value's attributes that have the names of the model's fields, except `others`."""
    return {name: getattr(value, name) for name in model.model_fields if name not in others}
