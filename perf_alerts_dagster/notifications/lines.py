"""The lines of a message about one event: first the answer, then what to do, and one link."""

from collections import Counter
from collections.abc import Sequence
from datetime import tzinfo

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.wording import counted, local_time, money, percent, rarity
from perf_alerts_dagster.incidents.model import Reason, Status
from perf_alerts_dagster.incidents.system import SYSTEM
from perf_alerts_dagster.judging.evaluation import Kind
from perf_alerts_dagster.notifications import text as words
from perf_alerts_dagster.notifications.body import Line
from perf_alerts_dagster.notifications.fields import VERDICTS
from perf_alerts_dagster.notifications.news import News, is_day
from perf_alerts_dagster.notifications.text import Payload, Wording, clean, number
from perf_alerts_dagster.notifications.titles import values_of
from perf_alerts_dagster.records.groups import is_group

# A day that is at least such a part of the worst one before is stated beside what lasts.
_LARGE = 0.5
_SHOWN_LOSERS = 3
_LATE = "no rows"


def lines_of(news: News, wording: Wording) -> list[Line]:
    """Everything about the event that a person needs first, each number once."""
    if news.is_good:
        return [_sentences(_ended(news, wording.zone)), _see(news)]
    lead, highest = news.lead, news.highest
    again = [each for each in news.incidents if each not in news.burning]
    worse = f"{_upper(clean(highest['severity']))}: {words.named(highest)}"
    is_worse = highest["severity"] != lead["severity"]
    return [
        _sentences([*_answer(news), worse if is_worse else ""]),
        _sentences([_rarity(news), _count(news.burning), _since(news), *_basis(lead)]),
        Line(text=next(filter(None, map(words.explanation, (lead, *news.burning))), "")),
        _sentences([_losers(lead)]),
        _sentences(
            [
                words.next_step(news.worst),
                _resolved_by_now(news),
                f"{_names(again)} {'are' if len(again) > 1 else 'is'} over" if again else "",
            ]
        ),
        do_line(news, wording),
        Line(label="Answer", link=news.link),
    ]


def short_lines(news: News, wording: Wording, said: set[str]) -> list[Line]:
    """What to do about a further event, unless it has been `said`, and where it is answered."""
    if news.is_good:
        return [_see(news)]
    line = do_line(news, wording)
    # Its title says what a strategy's is about, by its headline.
    more = [_amount(news), _rarity(news), _count(news.burning)]
    what = _sentences(more if news.lead["strategy"] else [words.sentence(news.lead)])
    return [what, *([] if line.text in said else [line]), Line(label="Answer", link=news.link)]


def data_line(news: News) -> Line:
    """A strategy that is late or cannot be read, in one line."""
    text = f"{_having(words.affected(news.lead), words.headline(news.lead))}."
    return Line(label="Also", text=text, link=news.link, link_label="Answer")


def do_line(news: News, wording: Wording) -> Line:
    """The hint of the worst incident's rule, and its runbook."""
    worst = news.worst
    runbook = wording.runbook(worst["rule"])
    label = "Do" if worst["strategy"] else "Look at"
    return Line(label=label, text=words.hint(worst), link=runbook, link_label="Runbook")


def _see(news: News) -> Line:
    return Line(label="See", link=news.link)


def _sentences(sentences: Sequence[str]) -> Line:
    """Clauses as sentences of one line."""
    return Line(text=" ".join(_upper_if(each) for each in sentences if each))


def _upper_if(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _who(incident: Payload) -> str:
    """The strategy with its group and owner."""
    group, owner = (clean(words.part(incident, name) or "") for name in ("in_group", "owner"))
    known = ", ".join(filter(None, (group, f"owner {owner}" if owner else "")))
    name = words.affected(incident)
    return f"{name} ({known})" if known and incident["strategy"] else name


def _having(who: str, what: str) -> str:
    """`stat_arb_eu has no rows since Fri 20 Nov`, `trend: 22.4 % below its high of 3 Feb`."""
    return f"{who} has {what}" if what.startswith(_LATE) else f"{who}: {what}"


def _answer(news: News) -> list[str]:
    """What was lost, or what is so, and the worst day before it."""
    lead = news.lead
    who, lost = _who(lead), _loss(news)
    part_of = "" if clean(lead["strategy"]) == news.leader else f"it belongs to {news.leader}"
    if not lead["strategy"]:
        return [words.sentence(lead) or words.title(lead)]
    if is_day(lead) and lost:
        return [f"{who} {lost}", _before(news), _upper(part_of)]
    said = _having(who, words.sentence(lead) or words.headline(lead))
    rule = words.rule_of(lead)
    if rule is None or not rule.loss or not _is_large(lead):
        lost = ""
    return [said, _upper(lost), _before(news) if lost else "", _upper(part_of)]


def _loss(news: News) -> str:
    """`lost 15.0 % = USD 112,500 on Fri 27 Nov`; empty where the day is unknown, or no loss."""
    day = words.facts(news.lead, "day")
    made, pnl = number(day.get("return")), number(day.get("pnl"))
    if made is None or made >= 0.0:
        return ""
    currency = clean(day.get("currency") or "") or None
    amount = f" = {money(-pnl, currency)}" if pnl is not None and pnl < 0.0 else ""
    at = words.day(day.get("session"), beside=news.session)
    return f"lost {percent(-made)}{amount}{f' on {at}' if at else ''}"


def _amount(news: News) -> str:
    """What a day's loss is in money, where its title has the share; empty where it is not known."""
    day = words.facts(news.lead, "day")
    pnl = number(day.get("pnl")) if is_day(news.lead) else None
    if pnl is None or pnl >= 0.0:
        return ""
    return f"Lost {money(-pnl, clean(day.get('currency') or '') or None)}"


def _worst_before(incident: Payload) -> tuple[float | None, Json]:
    worst = words.facts(incident, "day").get("worst_before")
    if not isinstance(worst, dict):
        return None, None
    return number(worst.get("return")), worst.get("session")


def _is_large(incident: Payload) -> bool:
    made = number(words.facts(incident, "day").get("return"))
    before, _ = _worst_before(incident)
    return made is not None and (before is None or made <= _LARGE * before)


def _before(news: News) -> str:
    """The worst day before a loss, and of how long a time."""
    before, session = _worst_before(news.lead)
    years = number(words.facts(news.lead, "day").get("years_before"))
    if before is None or before >= 0.0 or not years:
        return ""
    span = (
        counted(round(years), "year") if years >= 1.5 else counted(round(12 * years) or 1, "month")
    )
    at = words.day(session, beside=news.session, weekday=False)
    return f"Worst day of the {span} before: {percent(before)}{f' on {at}' if at else ''}"


def _rarity(news: News) -> str:
    """How common the day, or what lasts, is in healthy years.

    A line that is passed says so itself, and a mandate is passed whatever is common.
    """
    alike = [each for each in news.burning if is_day(each) and is_day(news.lead)]
    for each in (news.lead, *alike):
        share = number(each["p_year"])
        is_own = each["strategy"] == news.lead["strategy"] and words.part(each, "step") is None
        if share is not None and 0.0 <= share <= 1.0 and is_own:
            return _upper(rarity(share, of_day=each["kind"] == Kind.EVENT.value))
    return ""


def _count(incidents: Sequence[Payload]) -> str:
    """How many rules say so, of which strategies; empty of a single one."""
    names = Counter(words.affected(each) for each in incidents if each["strategy"])
    if names.total() < 2:
        return ""
    (first, number_), *others = names.items()
    listed = [f"{counted(number_, 'rule')} of {first}"]
    listed += [f"{each} of {name}" for name, each in others]
    return f"{', '.join(listed[:-1])} and {listed[-1]} say so" if others else f"{listed[0]} say so"


def _since(news: News) -> str:
    """Since when it is open, where that is not the newest session."""
    first = min(str(each["first_as_of"] or each["as_of"] or "") for each in news.burning)
    if not first or first == str(news.lead["as_of"]):
        return ""
    at = words.day(first, beside=news.session)
    return f"Open since {at}" if at else ""


def _basis(incident: Payload) -> list[str]:
    """What the rows are that it is judged by, where they may change or have changed."""
    restated = words.part(incident, "restated")
    return [
        "From provisional rows" if incident["provisional"] else "",
        "From rows that were restated" if restated else "",
    ]


def _losers(incident: Payload) -> str:
    """The largest losses of a group."""
    listed = words.part(incident, "contributions")
    if not is_group(str(incident["strategy"])) or not isinstance(listed, list):
        return ""
    currency = clean(words.facts(incident, "day").get("currency") or "") or None
    said = []
    for each in listed[:_SHOWN_LOSERS]:
        made = number(each.get("return")) if isinstance(each, dict) else None
        if isinstance(each, dict) and made is not None and made < 0.0:
            pnl = number(each.get("pnl"))
            amount = "" if pnl is None else f" ({money(pnl, currency)})"
            said.append(f"{clean(each.get('strategy'))} {percent(made)}{amount}")
    return f"Largest losses: {', '.join(said)}" if said else ""


def _names(incidents: Sequence[Payload]) -> str:
    titles = dict.fromkeys(f"{words.title(each)} of {words.affected(each)}" for each in incidents)
    return _upper(", ".join(titles))


def _ended(news: News, zone: tzinfo) -> list[str]:
    """By what and since when it is over, or who answered it, and what of it is not over."""
    lead = news.lead
    who, by = _who(lead), clean(lead["resolved_by"] or "somebody")
    began = words.time(lead["opened_at"])
    said = [f"{who}: {_how(news, by)}"]
    if lead["reason"] == Reason.ACKNOWLEDGED:
        return [f"{who}: {clean(lead['acknowledged_by'] or 'somebody')} has acknowledged it"]
    ended = words.facts(lead, "ended")
    if not values_of(lead)[0] and ended.get("message"):
        said.append(f"Now: {words.sentence(ended)}")
    if began is not None:
        said.append(f"It began {local_time(began, news.at, zone)}")
    if len(news.incidents) > 1:
        said.append(f"{counted(len(news.incidents) - 1, 'further rule')} of it ended with it")
    if all(each.get("folded") == Reason.OPENED.value for each in news.incidents):
        said.append("It was over before this could be sent")
    if news.status == Status.OPEN.value:
        said.append("Other incidents of the event are still open")
    elif news.status == Status.ACKNOWLEDGED.value:
        said.append("Other incidents of the event are acknowledged, and not over")
    return said


def _resolved_by_now(news: News) -> str:
    """What ended it while the message waited, where the row knows."""
    if not news.is_over:
        return ""
    how = _how(news, clean(news.lead["resolved_by"] or "somebody"))
    return f"It is resolved by now{f': {how}' if news.lead['resolution'] else ''}"


def _how(news: News, by: str) -> str:
    lead = news.lead
    resolution = str(lead["resolution"])
    if resolution in VERDICTS:
        return f"{by} resolved it as {VERDICTS[resolution]}"
    if not lead["strategy"]:
        system = SYSTEM.get(str(lead["rule"]))
        return (system.over if system else "It is over.").rstrip(".")
    if resolution == "restated":
        day = words.facts(lead, "day").get("session") or lead["as_of"]
        at = words.day(day, beside=news.session)
        return f"the rows{f' of {at}' if at else ''} were restated; the cause is gone"
    if resolution == "expired":
        return "closed, since enough sessions have passed"
    return f"{words.title(lead)} is back inside its limit"
