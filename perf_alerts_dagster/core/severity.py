"""Severities, info < warning < critical < emergency, and the limit of each."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

# A drawdown of 8 % that comes of products of floats may be 0.07999999999999996.
TOLERANCE = 1e-12


class Severity(StrEnum):
    """A breach's severity. Compare by `rank`; the text form is lower case everywhere."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    EMERGENCY = "emergency"

    @property
    def rank(self) -> int:
        """Position in the order, from 0 (info) to 3 (emergency)."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """One limit per severity, and on which side of a limit a value is a breach.

    A severity without a limit is None. `tolerance` widens a limit, relative to its size or to 1
    if that is larger, so that a value which rounding keeps from its limit still reaches it.
    """

    breach: Literal["below", "at or below", "above", "at or above"]
    info: float | None = None
    warning: float | None = None
    critical: float | None = None
    emergency: float | None = None
    tolerance: float = 0.0

    @property
    def steps(self) -> dict[Severity, float]:
        """The limits by severity, the mildest first."""
        steps = zip(Severity, (self.info, self.warning, self.critical, self.emergency), strict=True)
        return {severity: limit for severity, limit in steps if limit is not None}

    def severity(self, value: float) -> Severity | None:
        """The highest severity whose limit `value` breaches; None where it breaches none."""
        breached = [step for step, limit in self.steps.items() if self.breaches(value, limit)]
        return breached[-1] if breached else None

    def limit(self, severity: Severity | None) -> float:
        """The limit of a severity; for None, the mildest one, which would be breached first."""
        steps = self.steps
        return next(iter(steps.values())) if severity is None else steps[severity]

    def breaches(self, value: float, limit: float) -> bool:
        """Whether `value` lies on the breached side of one limit."""
        margin = self.tolerance * max(1.0, abs(limit)) if self.tolerance else 0.0
        match self.breach:
            case "below":
                return value < limit + margin
            case "at or below":
                return value <= limit + margin
            case "above":
                return value > limit - margin
            case "at or above":
                return value >= limit - margin
