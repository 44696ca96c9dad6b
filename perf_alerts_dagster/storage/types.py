"""Column types that read back exactly the stored value, on either database."""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

from perf_alerts_dagster.core.json import Json

# A fixed time stamp in the archive, so that equal arrays give equal bytes.
_STAMP = (1980, 1, 1, 0, 0, 0)


def pack(arrays: Mapping[str, NDArray[np.float64]]) -> bytes:
    """The arrays as one compressed archive, which `numpy.load` reads; equal arrays, equal bytes.

    Raises:
        ValueError: an array holds Python objects.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(values), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", _STAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, member.getvalue())
    return target.getvalue()


def unpack(content: bytes) -> dict[str, NDArray[np.float64]]:
    """The arrays by name, from an archive that `pack` made, in their order.

    Raises:
        ValueError: the bytes are damaged; every member carries a checksum.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {
                name.removesuffix(".npy"): np.lib.format.read_array(
                    io.BytesIO(archive.read(name)), allow_pickle=False
                )
                for name in archive.namelist()
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as exc:
        raise ValueError(f"its arrays cannot be read: {exc}") from exc


# SQLite numbers rows automatically only for a column of exactly the type INTEGER.
RowId = BigInteger().with_variant(Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time: refused without a zone, read as UTC.

    SQLite keeps no zone and returns naive times; PostgreSQL returns the session's zone.

    Raises:
        ValueError: a time without a zone is stored.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time in UTC, to be stored."""
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
        ValueError: the value holds NaN or an infinity.
        TypeError: the value holds an object that JSON cannot express.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str:
        """The value as JSON in ASCII, so that no database can refuse a character of it."""
        return json.dumps(value, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Json:
        """The value that the text holds."""
        parsed: Json = json.loads(value or "null")
        return parsed
