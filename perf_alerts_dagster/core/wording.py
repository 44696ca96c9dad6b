"""Lists, numbers and times in sentences for people, and text from data that is safe to print."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo

SHOWN = 5
# Not those of the process's locale.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Not one within a word, a date or a range.
_HYPHEN = re.compile(r"(?<![^\s(:;=])-(?=[0-9])")


def first_few(words: Sequence[str], *, between: str = ", ", of: str = "") -> str:
    """The first five words, and the number of the others, of which `of` says what they are."""
    rest = len(words) - SHOWN
    return between.join(words[:SHOWN]) + (f" and {rest} more{of}" if rest > 0 else "")


def rounded(value: float) -> str:
    """A number of openings, to two digits: `0.48`, `2.3`, `41`, and `under 0.0001`."""
    if 0.0 < value < 1e-4:
        return "under 0.0001"
    return f"{value:.2g}" if abs(value) < 9.95 else f"{value:.0f}"


def printable(text: str, *, keep: str = "") -> str:
    r"""Text from data for terminals, logs and event logs: what does not print is escaped.

    That is what moves a cursor, ends a line, turns the direction of reading or has no width, and
    half of a character, as `\x1b` or `\u202e`.

    Args:
        text: Such as a name of a source.
        keep: Characters that stay as they are, such as the line ends of a longer text.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else ascii(each)[1:-1] for each in text
    )


def percent(fraction: float, *, signed: bool = False) -> str:
    """A fraction as a percentage: `-15.0 %`, below 1 % with two decimals or digits: `0.25 %`."""
    value = 100.0 * fraction
    if abs(value) < 1e-4:
        return "0 %"
    text = f"{value:.1f}" if abs(value) >= 0.995 else f"{value:.2f}"
    if abs(value) < 0.01 or abs(value) >= 1e6:
        text = f"{value:.2g}"
    return f"{'+' if signed and value > 0 else ''}{text} %"


def minus(text: str) -> str:
    """Text with the sign before its negative numbers as a real minus."""
    return _HYPHEN.sub("\u2212", text)


def money(amount: float, currency: str | None) -> str:
    """An amount in whole units, or with two decimals where it is small: `USD -112,500`."""
    text = f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:,.2f}"
    return f"{currency} {text}" if currency else text


def counted(number: int, thing: str) -> str:
    """A number of things: `1 session`, `2 sessions`, `3 days`."""
    plural = f"{thing[:-1]}ies" if thing.endswith("y") and thing[-2] not in "aeiou" else f"{thing}s"
    return f"{number:,} {thing if number == 1 else plural}"


def day_words(day: date, *, beside: date, weekday: bool = True) -> str:
    """A day as people write it: `Fri 27 Nov`; with its year unless it is that of `beside`.

    Without `weekday` it is `27 Nov`: of a day that is only about so, or long past.
    """
    words = f"{day.day} {_MONTHS[day.month - 1]}"
    if day.year != beside.year:
        return f"{words} {day.year}"
    return f"{_DAYS[day.weekday()]} {words}" if weekday else words


# The share of healthy years below which their number distinguishes nothing: of 2,000 years, the
# fewest that rate a rule, none may be as bad where one in 667 is (95 %); of 5,000, seven.
RAREST = 1.0 / 700.0


def one_in(p_year: float) -> str:
    """A share of healthy years as a number of them: `1 in 20`, `4 in 10`, `1 in 650`.

    Args:
        p_year: The share, in [`RAREST`, 1].
    """
    if p_year >= 0.35:
        return f"{10.0 * p_year:.0f} in 10"
    years = 1.0 / p_year
    # To two digits, and rounded once: 3.46 is not 3.5 first and then 4.
    return f"1 in {round(years, -1 if years >= 99.5 else 0):.0f}"


def rarity(p_year: float, *, of_day: bool = False) -> str:
    """How common it is in the strategy's own healthy years, as a clause in lower case.

    `fewer than 1 in 700 healthy years hold such a day`, `about 1 in 20 healthy years looks so`,
    `about 4 in 10 healthy years look so`, `nearly every healthy year looks so`. Nothing is said to
    be rarer than 1 in 700 years, since as few as 2,000 are simulated.

    Args:
        p_year: The share of healthy years that are at least this bad, in [0, 1].
        of_day: Whether it is about one row (an event), and not about a state that lasts.
    """
    many, one = ("hold such a day", "holds such a day") if of_day else ("look so", "looks so")
    if p_year < RAREST:
        return f"fewer than {one_in(RAREST)} healthy years {many}"
    if p_year >= 0.95:
        return f"nearly every healthy year {one}"
    share = one_in(p_year)
    return f"about {share} healthy years {one if share.startswith('1 in') else many}"


def ago(then: datetime, now: datetime) -> str:
    """How long ago: `just now`, `5 min ago`, `2 h ago`, `3 days ago`; the future is `in 5 min`."""
    seconds = (now - then).total_seconds()
    if abs(seconds) < 60:
        return "just now"
    words = duration(timedelta(seconds=abs(seconds)))
    return f"{words} ago" if seconds > 0 else f"in {words}"


def duration(length: timedelta) -> str:
    """A length of time in its largest unit: `40 s`, `5 min`, `2 h`, `3 days`."""
    seconds = int(length.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 48 * 3600 else counted(seconds // 86400, "day")


def local_time(at: datetime, now: datetime, zone: tzinfo) -> str:
    """A time in a zone: `today 07:09 UTC`, `yesterday 22:00 CET`, `Fri 27 Nov 17:00 UTC`."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    days = (today - local.date()).days
    day = {0: "today", 1: "yesterday"}.get(days) or day_words(local.date(), beside=today)
    return f"{day} {local:%H:%M} {local:%Z}"
