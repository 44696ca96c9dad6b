"""Lists and numbers in sentences for people, and text from data that is safe to print."""

from collections.abc import Sequence

SHOWN = 5


def first_few(words: Sequence[str], *, between: str = ", ", of: str = "") -> str:
    """The first five words, and the number of the others, of which `of` says what they are."""
    rest = len(words) - SHOWN
    return between.join(words[:SHOWN]) + (f" and {rest} more{of}" if rest > 0 else "")


def rounded(value: float) -> str:
    """A number of openings, to two digits: `0.48`, `2.3`, `41`, and `under 0.0001`."""
    if 0.0 < value < 1e-4:
        return "under 0.0001"
    return f"{value:.2g}" if abs(value) < 9.95 else f"{value:.0f}"


def printable(text: str, *, keep: str = "") -> str:
    r"""Text from data for terminals, logs and event logs: what does not print is escaped.

    That is what moves a cursor, ends a line, turns the direction of reading or has no width, and
    half of a character, as `\x1b` or `\u202e`.

    Args:
        text: Such as a name of a source.
        keep: Characters that stay as they are, such as the line ends of a longer text.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else ascii(each)[1:-1] for each in text
    )
