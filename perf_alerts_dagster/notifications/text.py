"""The facts of one incident in words, with names sanitised: for messages, pages and run tables."""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from urllib.parse import quote

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.wording import day_words, percent
from perf_alerts_dagster.incidents.system import SYSTEM
from perf_alerts_dagster.judging.evaluation import EXPLAINED, HEADLINE
from perf_alerts_dagster.judging.rule import STEP, Rule, Unit, shown
from perf_alerts_dagster.judging.rules.catalogue import BY_ID, unit_of

# An incident as in a message's payload.
Payload = Mapping[str, Json]
_MAXIMUM_NAME = 80
_MAXIMUM_SENTENCE = 600
_MAXIMUM_LINE = 120
# A headline's own maximum.
_MAXIMUM_HEADLINE = 60
# A number without its unit, or a mark without what it parts; `%` is a unit.
_ALONE = re.compile(r"[^\w%]*|.*\d[^\w%]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What messages are worded with, from the settings.

    `public_url` is where the pages are, and `runbook_url` what a rule's id is appended to; None
    leaves their links out. Times are in `zone`. `links_of(event_ids, channel)` gives the addresses
    at which a channel's receivers answer events, by their ids.
    """

    public_url: str | None = None
    runbook_url: str | None = None
    zone: tzinfo = UTC
    links_of: Callable[[Sequence[str], str], Mapping[str, str]] = lambda event_ids, channel: {}

    def runbook(self, rule: Json) -> str | None:
        """The address of a rule's runbook."""
        return f"{self.runbook_url}/{quote(clean(rule))}" if self.runbook_url else None


def clean(text: object, maximum: int = _MAXIMUM_NAME) -> str:
    """Text of a record or a user in one line, without control, format or direction characters."""
    printable = "".join(
        " " if unicodedata.category(char)[0] in "CZ" else char for char in str(text)[: maximum * 8]
    )
    return cut(" ".join(printable.split()), maximum)


def cut(text: str, maximum: int) -> str:
    """The text, cut to the maximum length."""
    return text if len(text) <= maximum else text[: maximum - 1] + "…"


def cut_at_word(text: str, maximum: int) -> str:
    """The text, cut to the maximum length after a word, and not between a number and its unit."""
    if len(text) <= maximum:
        return text
    words = text[: maximum - 1].split(" ")[:-1]
    while words and _ALONE.fullmatch(words[-1]):
        words.pop()
    return f"{' '.join(words)} …" if words else cut(text, maximum)


def rule_of(incident: Payload) -> Rule | None:
    """The rule of an incident about a strategy; None for the system, and for one that is gone."""
    return BY_ID.get(str(incident["rule"])) if incident["strategy"] else None


def title(incident: Payload) -> str:
    """The rule's title."""
    rule = clean(incident["rule"])
    if rule in BY_ID:
        return BY_ID[rule].title
    return SYSTEM[rule].title if rule in SYSTEM else rule.replace("_", " ")


def affected(incident: Payload, maximum: int = _MAXIMUM_NAME) -> str:
    """The name of the strategy; for an incident about the system, of its alert or channel."""
    about = clean(incident["strategy"] or part(incident, "about") or "", maximum)
    return about or "perf-alerts"


def headline(incident: Payload) -> str:
    """The number of a breach with its day or since when; in other words where it has none."""
    known = clean(part(incident, HEADLINE) or "", _MAXIMUM_HEADLINE)
    if not incident["strategy"]:
        return known or title(incident)
    return known or f"{title(incident)} {value_words(incident, incident['value'])}".rstrip()


def named(incident: Payload, maximum: int = _MAXIMUM_NAME) -> str:
    """The strategy with its number: `short_vol -15.0 % on Fri 27 Nov`."""
    mark = "" if incident["strategy"] and part(incident, HEADLINE) else ":"
    return f"{affected(incident, maximum)}{mark} {headline(incident)}"


def value_words(incident: Payload, value: Json) -> str:
    """A value of the incident's rule in its unit; empty where it is no number."""
    amount, rule = number(value), rule_of(incident)
    if amount is None:
        return ""
    return shown(amount, unit_of(rule.id, _parts(incident))) if rule else f"{amount:.4g}"


def part(incident: Payload, name: str) -> Json:
    """One of the incident's further facts; None where it has none."""
    return _parts(incident).get(name)


def _parts(incident: Payload) -> Payload:
    parts = incident["parts"]
    return parts if isinstance(parts, dict) else {}


def facts(incident: Payload, name: str) -> Payload:
    """Facts that are an object; empty where there is none."""
    found = part(incident, name)
    return found if isinstance(found, dict) else {}


def number(value: Json) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def day(text: Json, *, beside: date, weekday: bool = True) -> str:
    """A stored day in words; empty where it is none."""
    try:
        return day_words(date.fromisoformat(str(text)), beside=beside, weekday=weekday)
    except ValueError:
        return ""


def time(text: Json) -> datetime | None:
    """A stored time; None where it is none."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else None


def hint(incident: Payload) -> str:
    """What a person does about a breach of the rule; where to look first for the system's."""
    rule = str(incident["rule"])
    if rule in BY_ID and incident["strategy"]:
        return BY_ID[rule].hint
    return SYSTEM[rule].hint if rule in SYSTEM else "look at its page: its rule is no more."


def incident_link(incident_id: Json, public_url: str | None) -> str | None:
    """The address of the incident's page; None without ALERT_PUBLIC_URL."""
    return f"{public_url}/incidents/{incident_id}" if public_url else None


def measurement(incident: Payload, beside: str = "") -> str:
    """The value and its limit in the rule's unit and sign, without what the text beside has."""
    value, limit = (value_words(incident, incident[name]) for name in ("value", "limit"))
    rule = rule_of(incident)
    if not value or (not limit and rule is not None and rule.unit is Unit.NUMBER):
        # A bare number of no unit says nothing by itself.
        return ""
    if rule is not None and rule.of_shadow:
        value, limit = f"{value} of healthy years", limit and f"{limit} of them"
    known = [value if value not in beside else ""]
    known += [f"limit {limit}"] if limit and limit not in beside else []
    words = "; ".join(filter(None, known))
    return f"{words}." if words else ""


def reliability(incident: Payload) -> str:
    """The share of healthy years this bad, the false-alarm rate and the power; for pages."""
    words = []
    if (share := number(incident["p_year"])) is not None:
        words.append(f"{_share(share)} of healthy years show this")
    rate = number(part(incident, "false_alarm_rate"))
    # A limit that is passed is no false alarm; its sentence says how common that is.
    if rate is not None and part(incident, "step") is None:
        words.append(f"false alarms of this rule: {_share(rate)} a year")
    if (power := number(part(incident, "power"))) is not None:
        words.append(f"power: it sees {_share(power)} of real faults within 126 sessions")
    if not words:
        is_rated = incident["evidence"] in ("strong", "ungated")
        return "" if is_rated else "Evidence: not rated."
    return f"How sure: {'; '.join(words)}."


def _share(share: float) -> str:
    """A probability as a percentage."""
    return "under 0.1 %" if 0 <= share < 0.001 else f"{100 * share:.3g} %"


def sentence(incident: Payload) -> str:
    """The evaluation's message in one line, cut to 600 characters."""
    return clean(incident["message"], _MAXIMUM_SENTENCE)


def explanation(incident: Payload) -> str:
    """What made the loss, in one line; empty where the breach has none."""
    line = facts(incident, EXPLAINED).get("line")
    return f"Why: {clean(line, _MAXIMUM_LINE)}." if line else ""


def next_step(incident: Payload) -> str:
    """The depth from which the next message of a drawdown's episode comes; empty for others."""
    step, limit = number(part(incident, "step")), number(incident["limit"])
    if step is None or limit is None:
        return ""
    depth, line = abs(limit) + STEP * (step + 1), number(part(incident, "line"))
    # Its own line may lie before the next step beyond the documented one.
    if line is not None and line > abs(limit):
        depth = min(depth, line)
    return f"The next message comes at {percent(depth)}; a new high begins a new episode."
