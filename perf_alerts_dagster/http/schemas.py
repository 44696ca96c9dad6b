"""Types and base models of the answers."""

import math
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _finite(value: object) -> object:
    """Infinite numbers as null: JSON has none, and a profit factor without losses is infinite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]
Time = Annotated[str, Field(examples=["2026-01-30T17:00:15Z"])]


class Model(BaseModel):
    """The base of all answers and their parts; instances are immutable."""

    model_config = ConfigDict(frozen=True)


class Page(Model):
    """A list; `next_cursor` is null on its last page."""

    success: bool
    next_cursor: str | None
    timestamp: Time
