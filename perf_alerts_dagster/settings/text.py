"""From a variable's raw text to a field's value."""

from collections.abc import Callable
from typing import Any

from pydantic import BeforeValidator

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
