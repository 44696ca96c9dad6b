"""The value of a rule with its unit, for the tables of a run and of the command line."""

from perf_alerts_dagster.judging.rule import shown
from perf_alerts_dagster.judging.rules.catalogue import BY_ID


def value_text(rule: str, value: float | None) -> str:
    """A rule's value or limit: `-15.0 %`, `85 sessions`; empty without one, and of the system."""
    return shown(value, BY_ID[rule].unit) if rule in BY_ID else ""
