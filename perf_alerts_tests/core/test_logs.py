"""The lines of a log, also about data that wants to do harm."""

import io
import logging
import re

import pytest

from perf_alerts_dagster.core.logs import LogFormat

HOSTILE = "trend\x1b[2J\u202e\n2026-01-01T00:00:00Z ERROR forged \udcff"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    # A machine in another zone.
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(LogFormat())
    log = logging.getLogger("desk")
    # What pytest captures of it could not be sent to another process.
    monkeypatch.setattr(log, "propagate", False)
    log.addHandler(handler)
    log.warning("%s has no rows", HOSTILE)
    log.error("broken", exc_info=ValueError(HOSTILE))
    log.removeHandler(handler)
    return written


def test_a_line_is_in_utc_and_stays_one_line(lines: io.StringIO) -> None:
    first, *rest = lines.getvalue().splitlines()

    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ WARNING desk "
        r"trend\\x1b\[2J\\u202e\\n2026-01-01T00:00:00Z ERROR forged \\udcff has no rows",
        first,
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ERROR desk broken", rest[0])
    assert rest[1].startswith("ValueError: trend")
    assert all(line.isprintable() for line in rest)


def test_the_time_is_that_of_the_record_in_utc() -> None:
    record = logging.makeLogRecord({"msg": "x", "created": 1_795_971_600.7, "name": "n"})

    assert LogFormat().format(record).startswith("2026-11-29T17:00:00Z ")
