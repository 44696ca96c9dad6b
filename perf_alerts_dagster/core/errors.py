"""The exceptions of the project.

On the command line SettingsError and UsageError end with exit code 2, the others with 1. A
scheduled execution is retried after the three whose docstring says so, and fails at once after the
others. A fault in one strategy's rows is no exception: it is a `RecordFault`, and that strategy's
evaluation is `error`.
"""

from perf_alerts_dagster.core.wording import printable


class PerfAlertsError(Exception):
    """Base of every error that this project raises on purpose; its text is safe to show."""

    def __str__(self) -> str:
        """The text, with what a source's names and cells may hold escaped."""
        return printable(super().__str__(), keep="\n")


class SettingsError(PerfAlertsError):
    """One or more ALERT_* variables are missing or wrong; the text lists all of them."""


class UsageError(PerfAlertsError):
    """An argument (such as an as-of date) is wrong; the text names it and what is accepted."""


class RecordsUnavailable(PerfAlertsError):
    """The records source cannot be reached or read; the execution is retried."""


class RecordsInvalid(PerfAlertsError):
    """The records source can be read but holds no track record (empty, a missing column)."""


class StoreUnavailable(PerfAlertsError):
    """The alert store cannot be read or written; the execution is retried."""


class TurnLost(PerfAlertsError):
    """This execution paused for too long, another one took its alert's lease; it is retried."""


class StackError(PerfAlertsError):
    """A process of the stack did not become ready, or ended and cannot be restarted."""
