"""Types and parts that several answers share."""

import math
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _finite(value: object) -> object:
    """JSON has no word for an infinity (a profit factor without losses): null stands for it."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]
Time = Annotated[str, Field(examples=["2026-01-30T17:00:15Z"])]


class Model(BaseModel):
    """A part of an answer; it cannot change once it is made."""

    model_config = ConfigDict(frozen=True)


class Page(Model):
    """A list; `next_cursor` is null on its last page."""

    success: bool
    next_cursor: str | None
    timestamp: Time
