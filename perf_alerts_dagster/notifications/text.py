"""The sentences of messages and pages about one incident, with names sanitised."""

import unicodedata
from collections.abc import Mapping

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.incidents.system import SYSTEM
from perf_alerts_dagster.judging.evaluation import EXPLAINED
from perf_alerts_dagster.judging.rule import STEP
from perf_alerts_dagster.judging.rules.catalogue import BY_ID

# An incident as in a message's payload.
Payload = Mapping[str, Json]
_MAXIMUM_NAME = 80
_MAXIMUM_SENTENCE = 600
_MAXIMUM_LINE = 120

_REASONS = {
    "opened": "",
    "raised": "now worse",
    "reopened": "open again",
    "repeated": "still so",
    "escalated": "nobody has answered",
    "unmuted": "its silence has ended",
    "recovered": "over",
    "acknowledged": "acknowledged",
    "resolved": "resolved",
}
_ENDS = {
    "recovered": "It is back inside its limit.",
    "restated": "Its data were restated; the cause is gone.",
}


def clean(text: object, maximum: int = _MAXIMUM_NAME) -> str:
    """Text of a record or a user in one line, without control, format or direction characters."""
    printable = "".join(
        " " if unicodedata.category(char)[0] in "CZ" else char for char in str(text)[: maximum * 8]
    )
    return cut(" ".join(printable.split()), maximum)


def cut(text: str, maximum: int) -> str:
    """The text, cut to the maximum length."""
    return text if len(text) <= maximum else text[: maximum - 1] + "…"


def title(incident: Payload) -> str:
    """The rule's title."""
    rule = clean(incident["rule"])
    if rule in BY_ID:
        return BY_ID[rule].title
    return SYSTEM[rule].title if rule in SYSTEM else rule.replace("_", " ")


def affected(incident: Payload) -> str:
    """The name of the strategy; for an incident about the system, of its alert or channel."""
    if incident["strategy"]:
        return clean(incident["strategy"])
    parts = incident["parts"]
    about = parts.get("about") if isinstance(parts, dict) else None
    return clean(about) if about else "perf-alerts"


def badge(incident: Payload) -> str:
    """The severity, or the recovery, in brackets."""
    if incident["reason"] == "recovered":
        return "[RECOVERED]"
    return f"[{clean(incident['severity']).upper()}]"


def headline(incident: Payload) -> str:
    """The strategy, the rule's title, and the reason of the message."""
    headline = f"{affected(incident)}: {title(incident)}"
    reason = _REASONS[str(incident["reason"])]
    step = incident["escalation_step"]
    if incident["reason"] == "escalated":
        reason += f", escalation {step}"
    if incident.get("over") and incident["reason"] != "recovered":
        # The incident was resolved while the message waited, or by the execution that opened it.
        reason = ", ".join(part for part in (reason, "resolved by now") if part)
    return f"{headline} ({reason})" if reason else headline


def block(incident: Payload, *, public_url: str | None, indented: bool = False) -> str:
    """The whole text about one incident, line by line."""
    lines = [f"{badge(incident)} {headline(incident)}", sentence(incident)]
    if incident["reason"] == "recovered":
        lines.append(_end(incident) or "It is resolved.")
    else:
        lines += [explanation(incident), measurement(incident), reliability(incident)]
        lines.append(_next_step(incident))
        if incident.get("over"):
            lines.append(f"It is resolved by now. {_end(incident)}".rstrip())
    lines += [_since(incident), _acknowledged(incident)]
    if incident["reason"] != "recovered":
        lines.append("Look at: " + hint(incident))
    link = incident_link(incident["id"], public_url)
    if link:
        lines.append(link)
    margin = "    " if indented else ""
    return "\n".join(margin + line for line in lines if line)


def _end(incident: Payload) -> str:
    """How it ended, in a sentence; empty where there is none."""
    if (
        not incident["strategy"]
        and incident["rule"] in SYSTEM
        and incident["resolution"] == "recovered"
    ):
        return SYSTEM[str(incident["rule"])].over
    return _ENDS.get(str(incident["resolution"]), "")


def hint(incident: Payload) -> str:
    """The rule's hint where to look first."""
    rule = str(incident["rule"])
    if rule in BY_ID:
        return BY_ID[rule].hint
    return SYSTEM[rule].hint if rule in SYSTEM else "look at its page: its rule is no more."


def incident_link(incident_id: Json, public_url: str | None) -> str | None:
    """The address of the incident's page; None without ALERT_PUBLIC_URL."""
    return f"{public_url}/incidents/{incident_id}" if public_url else None


def measurement(incident: Payload) -> str:
    """The value against its limit, in the rule's unit and sign."""
    value, limit = incident["value"], incident["limit"]
    if not isinstance(value, int | float):
        return ""
    if not isinstance(limit, int | float):
        return f"Measured {value:.4g}."
    text = f"Measured {value:.4g}, limit {limit:.4g}"
    if limit:
        text += f" ({abs(value - limit) / abs(limit):.0%} of the limit away from it)"
    return text + "."


def reliability(incident: Payload) -> str:
    """The share of healthy years this bad, the false-alarm rate and the power, where known."""
    parts = incident["parts"] if isinstance(incident["parts"], dict) else {}
    words = []
    if isinstance(incident["p_year"], int | float):
        words.append(f"{_share(incident['p_year'])} of healthy years show this")
    rate = parts.get("false_alarm_rate")
    # A limit that is passed is no false alarm; its sentence says how common that is.
    if isinstance(rate, int | float) and "step" not in parts:
        words.append(f"false alarms of this rule: {_share(rate)} a year")
    power = parts.get("power")
    if isinstance(power, int | float):
        words.append(f"power: it sees {_share(power)} of real faults within 126 sessions")
    if not words:
        is_rated = incident["evidence"] in ("strong", "ungated")
        return "" if is_rated else "Evidence: not rated."
    return f"How sure: {'; '.join(words)}."


def _share(number: float) -> str:
    """A probability as a percentage."""
    return "under 0.1 %" if 0 <= number < 0.001 else f"{100 * number:.3g} %"


def sentence(incident: Payload) -> str:
    """The evaluation's message in one line, cut to 600 characters."""
    return clean(incident["message"], _MAXIMUM_SENTENCE)


def explanation(incident: Payload) -> str:
    """What made the loss, in one line; empty where the breach has none."""
    parts = incident["parts"]
    explained = parts.get(EXPLAINED) if isinstance(parts, dict) else None
    line = explained.get("line") if isinstance(explained, dict) else None
    return f"Why: {clean(line, _MAXIMUM_LINE)}." if line else ""


def _next_step(incident: Payload) -> str:
    """The depth from which the next message of a drawdown's episode comes; empty for others."""
    parts, limit = incident["parts"], incident["limit"]
    step = parts.get("step") if isinstance(parts, dict) else None
    if not isinstance(parts, dict) or not isinstance(step, int) or not isinstance(limit, float):
        return ""
    depth, line = abs(limit) + STEP * (step + 1), parts.get("line")
    # Its own line may lie before the next step beyond the documented one.
    if isinstance(line, float) and line > abs(limit):
        depth = min(depth, line)
    return f"The next step is {depth:.1%} below the peak; a new high begins a new episode."


def _since(incident: Payload) -> str:
    first, newest = incident["first_as_of"], incident["as_of"]
    if first is None:
        return f"Since {incident['opened_at']}."
    words = f"Since session {first}"
    if newest and newest != first:
        words += f", newest {newest}"
    if isinstance(incident["breaches"], int) and incident["breaches"] > 1:
        words += f", seen {incident['breaches']} times"
    if incident["projection"]:
        words += f"; judged by the projection {clean(incident['projection'])}"
    if incident["provisional"]:
        words += "; from provisional rows"
    parts = incident["parts"]
    if isinstance(parts, dict) and parts.get("restated"):
        words += "; from rows that were restated"
    return f"{words}."


def _acknowledged(incident: Payload) -> str:
    by = incident["acknowledged_by"]
    return f"Acknowledged by {clean(by)}." if by else ""
