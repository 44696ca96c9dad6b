"""The one format of log lines: UTC with its offset, one line per message whatever it holds."""

import logging
import time
from types import TracebackType

from perf_alerts_dagster.core.wording import printable


class LogFormat(logging.Formatter):
    """`2026-11-29T17:00:00Z INFO perf_alerts_dagster.stack text`; text from data is escaped."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%SZ"
        )

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, with its message escaped."""
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """The traceback, escaped but for its line ends."""
        return printable(super().formatException(ei), keep="\n")


def handler() -> logging.Handler:
    """A handler that writes this format to standard error."""
    made = logging.StreamHandler()
    made.setFormatter(LogFormat())
    return made
