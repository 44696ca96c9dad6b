"""How often a healthy strategy may raise a false alarm: per rule and strategy."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Shares = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """The largest `p_year` at which a person is told, at warning and at critical and above.

    `rules` maps a rule to `{"warning": share, "critical": share}`, either of which may be
    missing; `of_strategy` maps a strategy to the same, and wins.
    """

    warning: float = 0.05
    critical: float = 0.01
    rules: Mapping[str, Shares] = field(default_factory=dict)
    of_strategy: Mapping[str, Mapping[str, Shares]] = field(default_factory=dict)

    def of(self, strategy: str, rule: str) -> tuple[float, float]:
        """The budgets of one rule of one strategy."""
        common = self.rules.get(rule, {})
        own = self.of_strategy.get(strategy, {}).get(rule, {})
        return (
            own.get("warning", common.get("warning", self.warning)),
            own.get("critical", common.get("critical", self.critical)),
        )
