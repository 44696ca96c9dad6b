"""How bad a breach is: info < warning < critical < emergency."""

from enum import StrEnum


class Severity(StrEnum):
    """A breach's severity. Compare by `rank`; the text form is lower case everywhere."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    EMERGENCY = "emergency"

    @property
    def rank(self) -> int:
        """Place in the order, from 0 (info) to 3 (emergency)."""
        return list(Severity).index(self)
