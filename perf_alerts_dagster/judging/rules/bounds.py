"""The two limits of a score rule, and when a value is past them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from perf_alerts_dagster.core.severity import Severity

# A drawdown of 8 % that comes of products of floats may be 0.07999999999999996.
_TOLERANCE = 1e-12


def reaches(value: float, limit: float) -> bool:
    """Whether `value` is at or below a plain limit; being exactly at it counts."""
    return value <= limit + _TOLERANCE * max(1.0, abs(limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A warning and a critical limit, and on which side of them a breach lies."""

    warning: float
    critical: float
    past: Literal["below", "at or below", "above"]

    def severity(self, value: float) -> Severity | None:
        """The worst severity whose limit `value` is past, None where it is past neither."""
        if self._is_past(value, self.critical):
            return Severity.CRITICAL
        return Severity.WARNING if self._is_past(value, self.warning) else None

    def limit(self, severity: Severity | None) -> float:
        """The limit that was passed, or the first one that would be."""
        return self.critical if severity is Severity.CRITICAL else self.warning

    def _is_past(self, value: float, limit: float) -> bool:
        if self.past == "above":
            return value > limit
        return value < limit or (self.past == "at or below" and value == limit)


SCORE_BOUNDS: Mapping[str, Bounds] = {
    "walk_forward_stability": Bounds(warning=60.0, critical=50.0, past="below"),
    "out_of_sample_validation": Bounds(warning=0.05, critical=0.01, past="at or below"),
    "overfitting": Bounds(warning=0.3, critical=0.5, past="above"),
}
# The earlier system's limits on the 0 to 100 form of the validation score: shown, never judged.
DOCUMENTED_VALIDATION = Bounds(warning=70.0, critical=50.0, past="below")
