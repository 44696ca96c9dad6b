"""Lists in sentences for people."""

from collections.abc import Sequence

SHOWN = 5


def first_few(words: Sequence[str], *, between: str = ", ", of: str = "") -> str:
    """The first five words, and the number of the others, of which `of` says what they are."""
    rest = len(words) - SHOWN
    return between.join(words[:SHOWN]) + (f" and {rest} more{of}" if rest > 0 else "")
