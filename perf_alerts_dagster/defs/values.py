"""The value of a rule with its unit, for the tables of a run and of the command line."""

from perf_alerts_dagster.core.wording import counted, percent
from perf_alerts_dagster.judging.rules.catalogue import BY_ID


def value_text(rule: str, value: float | None) -> str:
    """A rule's value or limit in its unit: `-15.0 %`, `85 sessions`; empty where there is none."""
    return "" if value is None or rule not in BY_ID else shown(value, BY_ID[rule].unit)


def shown(value: float, unit: str) -> str:
    """A value in a rule's unit."""
    if unit.startswith(("share", "return")):
        return percent(value)
    if unit == "sessions":
        return counted(round(value), "session")
    return f"{value:,.2f}"
