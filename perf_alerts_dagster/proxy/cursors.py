"""Cursors: opaque texts that say where the next page begins."""

import base64
import binascii

_LONGEST = 512


def to_cursor(place: str | None) -> str | None:
    """The cursor of a place; None where there is no next page."""
    if place is None:
        return None
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> str:
    """The place that a cursor stands for.

    Raises:
        ValueError: it is none of ours.
    """
    if len(cursor) > _LONGEST:
        raise ValueError("no cursor of ours")
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        place = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise ValueError("no cursor of ours") from error
    if to_cursor(place) != cursor:
        raise ValueError("no cursor of ours")
    return place
