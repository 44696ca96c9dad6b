"""What the page of a strategy says, from its rows and what judged them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

import numpy as np

from perf_alerts_dagster.core.wording import counted, day_words, first_few, percent, rarity
from perf_alerts_dagster.judging.evaluation import UNMEASURED, Evaluation, Kind
from perf_alerts_dagster.judging.ports import StoredEvaluation
from perf_alerts_dagster.judging.rule import shown
from perf_alerts_dagster.judging.rules.catalogue import BY_ID, unit_of
from perf_alerts_dagster.judging.standings.model import BY_CODE, STRIP, Cell, Standing, cell_of
from perf_alerts_dagster.records.model import Dates, Floats, StrategyRecord

# The cells that say that something could not be judged, and those of which people are notified.
UNKNOWN = (Cell.INSUFFICIENT_DATA, Cell.PARTIAL, Cell.NO_DATA, Cell.ERROR, Cell.UNJUDGED)
NOTIFIED = (Cell.WARNING, Cell.CRITICAL)
# Drawdowns and trades that are listed, and years of the backtest.
MOST, BACKTEST_YEARS = 5, 5
# What the projections of a kind are of.
_OF = {"launch": "projection of launch", "judging": "newest projection"}
_LOWEST = -1.0 + 1e-12
_TINY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A stretch of sessions of one cell: its first position, and how many."""

    cell: Cell
    first: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a rule found, as a row of a table; texts are empty where there is nothing to say.

    `since` is the first of the newest sessions that look alike.
    """

    title: str
    cell: Cell
    evaluation: Evaluation
    value: str
    limit: str
    p_year: str
    false_alarms: str
    power: str
    of_best: str
    cannot_see: str
    since: str
    message: str
    bars: Sequence[Bar] = ()


def found_of(
    stored: Sequence[StoredEvaluation], standing: Standing | None, as_of: date | None
) -> list[Found]:
    """The newest evaluations, the worst first, then in the order of the catalogue.

    Args:
        stored: The newest of each rule.
        standing: Where their strips are from.
        as_of: The sessions of the strips end with it.
    """
    order = {rule: place for place, rule in enumerate(BY_ID)}
    rows = [_found(each.evaluation, standing, as_of) for each in stored]
    return sorted(
        rows, key=lambda one: (-one.cell.rank, order.get(one.evaluation.rule, len(order)))
    )


def title_of(rule: str) -> str:
    """A rule's title; its id where it is none of this version's."""
    return BY_ID[rule].title if rule in BY_ID else rule


def _found(one: Evaluation, standing: Standing | None, as_of: date | None) -> Found:
    unit = unit_of(one.rule, one.parts)
    title = title_of(one.rule)
    kind = (one.projection or "").partition(":")[0]
    strip = standing.rules[one.rule].strip if standing and one.rule in standing.rules else ""
    sessions = standing.sessions if standing else ()
    if as_of is not None:
        strip = strip[: sum(each <= as_of for each in sessions)]
    return Found(
        title=f"{title} ({_OF.get(kind, kind)})" if kind else title,
        cell=cell_of(one),
        evaluation=one,
        # Of missing rows they are sessions, whatever the rule.
        value="" if one.outcome in UNMEASURED else shown(one.value, unit),
        limit="" if one.outcome in UNMEASURED else shown(one.limit, unit),
        p_year=_share(one.p_year),
        false_alarms=_share(one.false_alarm_rate),
        power=_power(one),
        of_best=best_words(one.share_of_limit),
        cannot_see=BY_ID[one.rule].unseen(one.power_252) if one.rule in BY_ID else "",
        since=_since(strip, sessions),
        message=one.message,
        bars=bars_of(strip),
    )


def _share(share: float | None) -> str:
    return "" if share is None else percent(share)


def best_words(share: float | None) -> str:
    """The speed of a rule against the best one's; it is estimated, and more than all is all."""
    return _share(share) if share is None or share < 0.9995 else "100 % or more"


def _power(one: Evaluation) -> str:
    """The shares that are seen within half a year and within a year."""
    known = [each for each in (one.power_126, one.power_252) if each is not None]
    return " / ".join(map(percent, known))


def bars_of(strip: str) -> list[Bar]:
    """A strip as its stretches, without those that were not judged."""
    found, first = [], 0
    for code, codes in groupby(strip):
        size = len(list(codes))
        if BY_CODE[code] is not Cell.UNJUDGED:
            found.append(Bar(cell=BY_CODE[code], first=first, size=size))
        first += size
    return found


def bar_words(bars: Sequence[Bar]) -> str:
    """A strip for who does not see it: `90 sessions: ok 78, weak 12`."""
    counts: dict[Cell, int] = {}
    for bar in bars:
        counts[bar.cell] = counts.get(bar.cell, 0) + bar.size
    worst = sorted(counts, key=lambda cell: cell.rank)
    said = ", ".join(f"{cell_words(cell)} {counts[cell]}" for cell in worst)
    return f"{counted(sum(counts.values()), 'session')}: {said}" if said else "not judged yet"


def cell_words(cell: Cell) -> str:
    """A cell in words."""
    return cell.value.replace("_", " ")


def _since(strip: str, sessions: Sequence[date]) -> str:
    """The first of the newest sessions of a strip that look alike.

    Before a strip as long as is kept is unknown, before the first judgement there is nothing.
    """
    run = len(strip) - len(strip.rstrip(strip[-1])) if strip else 0
    if not run or BY_CODE[strip[-1]] is Cell.UNJUDGED or len(strip) == 1:
        return ""
    day = day_words(sessions[len(strip) - run], beside=sessions[-1])
    return f"before {day}" if run == STRIP else day


def sentence(name: str, found: Sequence[Found], as_of: date | None, note: str) -> tuple[str, str]:
    """How a strategy stands in a sentence, and what else is notified or a weak sign, if any is.

    Args:
        name: The strategy.
        found: What its rules found, the worst first.
        as_of: The session that it was judged for; None where it was not.
        note: Why it is not judged in full; empty where it is.
    """
    if as_of is None or not found:
        return f"{name} is not judged yet{f': {note}' if note else ''}.", ""
    judged = f"judged for {day_words(as_of, beside=as_of)}"
    notified = [each for each in found if each.cell in NOTIFIED]
    weak = [each for each in found if each.cell is Cell.WEAK]
    blind = [each for each in found if each.cell in (Cell.NO_DATA, Cell.ERROR)]
    few = sum(each.cell in (Cell.INSUFFICIENT_DATA, Cell.PARTIAL) for each in found)
    lacking = few + len(blind)
    if blind and not notified:
        day = day_words(as_of, beside=as_of)
        said = f"{name} cannot be judged for {day}: {note or blind[0].message}"
        lacking = few
    elif notified:
        worst = notified[0]
        since = f" since {worst.since}" if worst.since else ""
        said = f"{name} breaches {worst.title}{since}: {worst.message.rstrip('.')}; {judged}"
    elif 2 * few > len(found):
        said = f"{name} has too little data to be judged{f': {note}' if note else ''}; {judged}"
    elif weak:
        # A weak sign is beyond its limit.
        said = f"{name}: nothing is notified, {judged}"
    else:
        said = f"{name} is within its limits, {judged}"
    if lacking and lacking < len(found):
        said += f"; {lacking} of {counted(len(found), 'rule')} not judged in full"
    also = [f"Also {first_few([each.title for each in notified[1:]])}."] if notified[1:] else []
    if weak:
        also.append(f"Weak sign{'s' if len(weak) > 1 else ''}: {_weak(weak)}.")
    return f"{said}.", " ".join(also)


def _weak(found: Sequence[Found]) -> str:
    """The rarest one with how rare it is, and the names of the others."""
    first = rarest(found) or found[0]
    share, is_day = first.evaluation.p_year, first.evaluation.kind is Kind.EVENT
    rare = "" if share is None else f" ({rarity(share, of_day=is_day)})"
    others = [each.title for each in found if each is not first]
    return first_few([f"{first.title}{rare}", *others])


def rarest(found: Sequence[Found]) -> Found | None:
    """The one whose value is the rarest in healthy years; None where nothing is rated."""
    rated = [each for each in found if each.evaluation.p_year is not None]
    return min(rated, key=lambda each: each.evaluation.p_year or 0.0, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A drawdown: from a high to the next one.

    `high` is the day of the high, None for the beginning; `over` the day of the next one, None
    where it lasts. `sessions` are those below it.
    """

    depth: float
    high: date | None
    lowest: date
    over: date | None
    sessions: int


def episodes_of(dates: Dates, returns: Floats, most: int = MOST) -> list[Episode]:
    """The deepest drawdowns of returns (n), the deepest first."""
    path = np.log1p(np.maximum(returns, _LOWEST)).cumsum()
    highs = np.maximum(np.maximum.accumulate(path), 0.0)
    depths = np.expm1(path - highs)
    found, first = [], 0
    days: list[date] = dates.astype("datetime64[D]").astype(object).tolist()
    for is_below, places in groupby((depths < -_TINY).tolist()):
        stop = first + len(list(places))
        if is_below:
            lowest = first + int(depths[first:stop].argmin())
            found.append(
                Episode(
                    depth=float(depths[lowest]),
                    high=days[first - 1] if first else None,
                    lowest=days[lowest],
                    over=days[stop] if stop < len(days) else None,
                    sessions=stop - first,
                )
            )
        first = stop
    return sorted(found, key=lambda each: each.depth)[:most]


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """The returns of a year by month (12), None without a row, and of the whole of it."""

    year: int
    is_live: bool
    months: Sequence[float | None]
    whole: float


def years_of(record: StrategyRecord) -> list[Year]:
    """The live years, newest first, then the newest of the backtest; one may be in both."""
    live = _years(record.dates[record.live], record.returns[record.live], is_live=True)
    before = _years(record.dates[~record.live], record.returns[~record.live], is_live=False)
    return [*live, *before[:BACKTEST_YEARS]]


def _years(dates: Dates, returns: Floats, *, is_live: bool) -> list[Year]:
    logs = np.log1p(np.maximum(returns, _LOWEST))
    months, places = np.unique(dates.astype("datetime64[M]").astype(int), return_inverse=True)
    sums = np.bincount(places, weights=logs, minlength=len(months))
    by_month = dict(zip(months.tolist(), sums.tolist(), strict=True))
    found = []
    for year in sorted({month // 12 for month in by_month}, reverse=True):
        own = [by_month.get(12 * year + month) for month in range(12)]
        found.append(
            Year(
                year=1970 + year,
                is_live=is_live,
                months=[None if each is None else math.expm1(each) for each in own],
                whole=math.expm1(math.fsum(each for each in own if each is not None)),
            )
        )
    return found


def in_percent(value: float | None, digits: int = 1, *, signed: bool = False) -> str:
    """A return in per cent with fixed decimals and a real minus, without its unit; "" for None."""
    if value is None or not math.isfinite(value):
        return ""
    text = f"{100.0 * value:{'+' if signed else ''}.{digits}f}"
    # What rounds to nothing has no sign.
    is_zero = float(text) == 0.0
    return text.lstrip("+-") if is_zero else text.replace("-", "\u2212")
