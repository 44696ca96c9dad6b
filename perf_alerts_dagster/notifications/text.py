"""The words of messages: plain sentences about one incident, safe whatever a name holds."""

import unicodedata
from collections.abc import Mapping

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.judging.rule import HINT
from perf_alerts_dagster.judging.rules.catalogue import BY_ID

_NAME = 80
_SENTENCE = 600

_TITLES = {
    "execution_failed": "an alert's execution failed",
    "execution_missed": "an alert did not run",
    "dead_letter": "a channel does not deliver",
    "daemon_dead": "the scheduler is down",
    "watch_silent": "the sensor `watch` is silent",
    "store_unavailable": "the alert store cannot be used",
}
_HINTS = {
    "execution_failed": "the run's log in the web UI, then the records' source.",
    "execution_missed": "`perf-alerts doctor`, the daemon and its schedules in the web UI.",
    "dead_letter": "the channel's address and account; then `perf-alerts test-channel`.",
    "daemon_dead": "the machine and its `perf-alerts up` or daemon service.",
    "watch_silent": "its switch and its last ticks in the web UI, under Automation.",
    "store_unavailable": "the disk and its free space; then `perf-alerts doctor`.",
}
_REASONS = {
    "opened": "",
    "raised": "now worse",
    "reopened": "open again",
    "repeated": "still so",
    "escalated": "nobody has answered",
    "unmuted": "its silence has ended",
    "recovered": "over",
}
_ENDS = {
    "recovered": "It is back inside its limit.",
    "restated": "Its data were restated; the cause is gone.",
}


def clean(text: object, longest: int = _NAME) -> str:
    """Text of a record or a user, in one line: no control, format or direction characters."""
    kept = "".join(
        " " if unicodedata.category(one)[0] in "CZ" else one for one in str(text)[: longest * 8]
    )
    return cut(" ".join(kept.split()), longest)


def cut(text: str, longest: int) -> str:
    """The text, shortened where it is longer."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def title(one: Mapping[str, Json]) -> str:
    """The rule in words."""
    rule = clean(one["rule"])
    if rule in BY_ID:
        return BY_ID[rule].title
    return _TITLES.get(rule, rule.replace("_", " "))


def subject_of(one: Mapping[str, Json]) -> str:
    """Which strategy it is about; for the system, what of it."""
    if one["strategy"]:
        return clean(one["strategy"])
    parts = one["parts"]
    about = parts.get("about") if isinstance(parts, dict) else None
    return clean(about) if about else "perf-alerts"


def badge(one: Mapping[str, Json]) -> str:
    """How bad it is, in brackets."""
    if one["reason"] == "recovered":
        return "[RECOVERED]"
    return f"[{clean(one['severity']).upper()}]"


def headline(one: Mapping[str, Json]) -> str:
    """What happened to which strategy, without a full sentence."""
    words = f"{subject_of(one)}: {title(one)}"
    said = _REASONS[str(one["reason"])]
    step = one["escalation_step"]
    if one["reason"] == "escalated":
        said += f", escalation {step}"
    if one.get("over") and one["reason"] != "recovered":
        # It waited for its channel, or ended in the very execution that opened it.
        said = ", ".join(part for part in (said, "over by now") if part)
    return f"{words} ({said})" if said else words


def block(one: Mapping[str, Json], *, public_url: str | None, indented: bool = False) -> str:
    """All that is said of one incident, a line per thing."""
    lines = [f"{badge(one)} {headline(one)}", sentence(one)]
    if one["reason"] == "recovered":
        lines.append(_ENDS.get(str(one["resolution"]), "It is over."))
    else:
        lines += [measured(one), sureness(one)]
        if one.get("over"):
            lines.append(f"By now it is over. {_ENDS.get(str(one['resolution']), '')}".rstrip())
    lines += [_since(one), _answered(one)]
    if one["reason"] != "recovered":
        lines.append("Look at: " + hint(one))
    where = link(one, public_url)
    if where:
        lines.append(where)
    margin = "    " if indented else ""
    return "\n".join(margin + line for line in lines if line)


def hint(one: Mapping[str, Json]) -> str:
    """What to look at first."""
    rule = str(one["rule"])
    return BY_ID[rule].hint if rule in BY_ID else _HINTS.get(rule, HINT)


def link(one: Mapping[str, Json], public_url: str | None) -> str | None:
    """The incident's page; None where nobody knows where pages are."""
    return f"{public_url}/incidents/{one['id']}" if public_url else None


def measured(one: Mapping[str, Json]) -> str:
    """The value against its limit, in the rule's unit and sign."""
    value, limit = one["value"], one["limit"]
    if not isinstance(value, int | float):
        return ""
    if not isinstance(limit, int | float):
        return f"Measured {value:.4g}."
    beyond = f"Measured {value:.4g}, limit {limit:.4g}"
    if limit:
        beyond += f" ({abs(value - limit) / abs(limit):.0%} of the limit away from it)"
    return beyond + "."


def sureness(one: Mapping[str, Json]) -> str:
    """How likely this is without any fault, and what the rule can see; empty where unknown."""
    parts = one["parts"] if isinstance(one["parts"], dict) else {}
    words = []
    if isinstance(one["p_year"], int | float):
        words.append(f"{_share(one['p_year'])} of healthy years show this")
    rate = parts.get("false_alarm_rate")
    if isinstance(rate, int | float):
        words.append(f"false alarms of this rule: {_share(rate)} a year")
    power = parts.get("power")
    if isinstance(power, int | float):
        words.append(f"power: it sees {_share(power)} of real faults within 126 sessions")
    if not words:
        gated = one["evidence"]
        return "Evidence: not rated." if gated not in ("strong", "ungated") else ""
    return f"How sure: {'; '.join(words)}."


def _share(number: float) -> str:
    """A probability for people."""
    return "under 0.1 %" if 0 <= number < 0.001 else f"{100 * number:.3g} %"


def sentence(one: Mapping[str, Json]) -> str:
    """What the rule found, in its own words."""
    return clean(one["message"], _SENTENCE)


def _since(one: Mapping[str, Json]) -> str:
    first, newest = one["first_as_of"], one["as_of"]
    if first is None:
        return f"Since {one['opened_at']}."
    words = f"Since session {first}"
    if newest and newest != first:
        words += f", newest {newest}"
    if isinstance(one["breaches"], int) and one["breaches"] > 1:
        words += f", seen {one['breaches']} times"
    if one["projection"]:
        words += f"; judged by the projection {clean(one['projection'])}"
    if one["provisional"]:
        words += "; from provisional rows"
    parts = one["parts"]
    if isinstance(parts, dict) and parts.get("restated"):
        words += "; from rows that were restated"
    return f"{words}."


def _answered(one: Mapping[str, Json]) -> str:
    by = one["acknowledged_by"]
    return f"Acknowledged by {clean(by)}." if by else ""
