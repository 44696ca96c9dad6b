"""Times as REST answers and files write them."""

from datetime import UTC, datetime


def timestamp(at: datetime) -> str:
    """`2026-01-31T17:00:15Z`; an aware time in any zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def optional_time(at: datetime | None) -> str | None:
    """As `timestamp`; None stays None."""
    return timestamp(at) if at is not None else None
