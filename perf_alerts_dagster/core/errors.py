"""The one exception tree of the project.

PerfAlertsError
├─ SettingsError          a variable is missing or wrong            -> exit 2, no retry
├─ UsageError             a call's argument is wrong (an as-of date) -> exit 2, no retry
├─ RecordsUnavailable     the source cannot be read at all           -> the op retries
├─ RecordsInvalid         the source as a whole breaks its contract  -> no retry
├─ StoreUnavailable       the alert store cannot be read or written  -> the op retries
├─ TurnLost               another execution of the alert took over   -> the op retries
└─ StackError             a process of the stack did not come up     -> exit 1

A fault in one strategy's rows is no exception: it is a `RecordFault`, and that strategy's
evaluation is `error`.
"""


class PerfAlertsError(Exception):
    """Base of every error that this project raises on purpose; its text is safe to show."""


class SettingsError(PerfAlertsError):
    """One or more ALERT_* variables are missing or wrong; the text lists all of them."""


class UsageError(PerfAlertsError):
    """An argument is wrong; the text names it and what is accepted."""


class RecordsUnavailable(PerfAlertsError):
    """The records source cannot be reached or read; a later try may succeed."""


class RecordsInvalid(PerfAlertsError):
    """The records source can be read but holds no track record (empty, a missing column)."""


class StoreUnavailable(PerfAlertsError):
    """The alert store cannot be read or written; a later try may succeed."""


class TurnLost(PerfAlertsError):
    """This execution paused for too long, and another execution has taken its alert's lease."""


class StackError(PerfAlertsError):
    """A process of the stack did not become ready, or ended and cannot be restarted."""
