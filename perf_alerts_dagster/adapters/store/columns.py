"""Column types that give back on either database exactly what was put in."""

import json
from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

from perf_alerts_dagster.domain.evaluation import Json

# SQLite numbers its rows by itself for a column of exactly the type INTEGER only.
RowId = BigInteger().with_variant(Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time: refused without a zone, given back in UTC.

    SQLite keeps no zone and hands back naive times, PostgreSQL hands back the session's zone;
    this closes the gap.

    Raises:
        ValueError: a time without a zone is stored.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time in UTC."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(f"{value.isoformat()} has no time zone; an aware time is accepted")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The stored time, aware and in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JsonText(TypeDecorator[Json]):
    """JSON as text: keeps the order of keys, every digit of a float, and 1.0 apart from 1.

    Raises:
        ValueError: NaN or an infinity is stored; JSON has no word for them.
        TypeError: something is stored that JSON does not know.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str:
        """The text, in ASCII, so that no character of a message can be refused by a database."""
        return json.dumps(value, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Json:
        """What the text says."""
        found: Json = json.loads(value or "null")
        return found
