"""Lists, numbers and times in sentences."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf_alerts_dagster.core.wording import (
    ago,
    counted,
    day_words,
    duration,
    first_few,
    local_time,
    minus,
    money,
    percent,
    printable,
    rarity,
)

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, ""), (1, "a"), (5, "a, b, c, d, e"), (7, "a, b, c, d, e and 2 more days")],
)
def test_five_are_named_and_the_others_counted(count: int, text: str) -> None:
    assert first_few("abcdefg"[:count], of=" days") == text


def test_what_holds_commas_is_kept_apart_otherwise() -> None:
    assert first_few(["a, b", "c"], between="; ") == "a, b; c"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Übung α 日本 – ok", "Übung α 日本 – ok"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x9b31m\x85", "\\x9b31m\\x85"),
        ("\u202egnp\u2066\u200f\u061c", "\\u202egnp\\u2066\\u200f\\u061c"),
        ("a\u200bb\u200d\ufeff\u2060", "a\\u200bb\\u200d\\ufeff\\u2060"),
        ("\ud800x\udcff", "\\ud800x\\udcff"),
        ("\u2028\u2029\x00\x7f", "\\u2028\\u2029\\x00\\x7f"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_does_not_print_is_escaped(text: str, printed: str) -> None:
    assert printable(text) == printed


def test_line_ends_of_a_longer_text_stay() -> None:
    assert printable("a\x1b\nb\r\n", keep="\n") == "a\\x1b\nb\\r\n"


@given(st.text())
def test_what_is_printed_is_one_line_in_any_encoding_of_unicode(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text).encode().decode() == printable(text)


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (-0.15, "-15.0 %"),
        (0.0025, "0.25 %"),
        (-0.00996, "-1.0 %"),
        (0.0, "0 %"),
        (-1e-9, "0 %"),
        (12.0, "1200.0 %"),
        (0.0005, "0.05 %"),
        (-0.00003, "-0.003 %"),
        (1e8, "1e+10 %"),
    ],
)
def test_a_percentage_has_two_decimals_below_one(fraction: float, text: str) -> None:
    assert percent(fraction) == text


def test_a_signed_percentage_shows_a_gain() -> None:
    assert [percent(value, signed=True) for value in (0.02, -0.02, 0.0)] == [
        "+2.0 %",
        "-2.0 %",
        "0 %",
    ]


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(-112_500.4, "USD", "USD -112,500"), (12.5, "EUR", "EUR 12.50"), (99_999.9, None, "100,000")],
)
def test_money_has_thousands_and_small_amounts_cents(
    amount: float, currency: str | None, text: str
) -> None:
    assert money(amount, currency) == text


def test_one_thing_is_not_plural() -> None:
    assert [counted(n, "session") for n in (0, 1, 2)] == ["0 sessions", "1 session", "2 sessions"]
    assert [counted(n, "day") for n in (1, 2)] == ["1 day", "2 days"]
    assert [counted(n, "strategy") for n in (1, 1200)] == ["1 strategy", "1,200 strategies"]


def test_a_day_of_another_year_has_its_year() -> None:
    beside = date(2026, 11, 30)
    assert day_words(date(2026, 11, 27), beside=beside) == "Fri 27 Nov"
    assert day_words(date(2024, 2, 3), beside=beside) == "3 Feb 2024"
    assert day_words(date(2026, 11, 27), beside=beside, weekday=False) == "27 Nov"
    assert day_words(date(2024, 2, 3), beside=beside, weekday=False) == "3 Feb 2024"


@pytest.mark.parametrize(
    ("p_year", "text"),
    [
        (0.0, "fewer than 1 in 700 healthy years look so"),
        (1 / 5_001, "fewer than 1 in 700 healthy years look so"),
        (1 / 2_001, "fewer than 1 in 700 healthy years look so"),
        (1 / 650, "about 1 in 650 healthy years looks so"),
        (0.0385, "about 1 in 26 healthy years looks so"),
        (0.05, "about 1 in 20 healthy years looks so"),
        (0.2890625, "about 1 in 3 healthy years looks so"),
        (0.34, "about 1 in 3 healthy years looks so"),
        (0.36, "about 4 in 10 healthy years look so"),
        (0.94, "about 9 in 10 healthy years look so"),
        (0.95, "nearly every healthy year looks so"),
        (1.0, "nearly every healthy year looks so"),
    ],
)
def test_how_rare_a_breach_is_is_said_in_years(p_year: float, text: str) -> None:
    assert rarity(p_year) == text


def test_a_day_is_held_by_a_year() -> None:
    assert [rarity(share, of_day=True) for share in (1e-4, 0.02, 0.5, 1.0)] == [
        "fewer than 1 in 700 healthy years hold such a day",
        "about 1 in 50 healthy years holds such a day",
        "about 5 in 10 healthy years hold such a day",
        "nearly every healthy year holds such a day",
    ]


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_nothing_is_said_to_be_rarer_than_what_is_estimated(one: float, other: float) -> None:
    rarer, commoner = sorted((one, other))

    assert _share(rarity(rarer)) <= _share(rarity(commoner))
    # Up to the rounding of a small number.
    assert _share(rarity(one)) > 0.87 * min(one, 0.95)


def _share(text: str) -> float:
    """The share of years that a clause speaks of."""
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    return numbers[0] / numbers[1] if numbers else 1.0


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=30), "just now"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=47), "47 h ago"),
        (timedelta(days=3), "3 days ago"),
        (-timedelta(hours=2), "in 2 h"),
    ],
)
def test_how_long_ago_is_one_number(before: timedelta, text: str) -> None:
    assert ago(NOW - before, NOW) == text


def test_less_than_a_minute_is_in_seconds() -> None:
    assert duration(timedelta(seconds=40.9)) == "40 s"


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 11, 30, 7, 9, tzinfo=UTC), "today 08:09 CET"),
        (datetime(2026, 11, 29, 21, 0, tzinfo=UTC), "yesterday 22:00 CET"),
        (datetime(2026, 11, 27, 16, 0, tzinfo=UTC), "Fri 27 Nov 17:00 CET"),
        (datetime(2025, 7, 1, 16, 0, tzinfo=UTC), "1 Jul 2025 18:00 CEST"),
    ],
)
def test_a_time_is_in_the_zone_of_the_desk(at: datetime, text: str) -> None:
    assert local_time(at, NOW, ZoneInfo("Europe/Berlin")) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-15.0 % below", "\u221215.0 % below"),
        ("from -4.2 % to (-0.5)", "from \u22124.2 % to (\u22120.5)"),
        ("on 2026-11-27, launch-2, 5-10", "on 2026-11-27, launch-2, 5-10"),
    ],
)
def test_the_sign_before_a_negative_number_is_a_real_minus(text: str, shown: str) -> None:
    assert minus(text) == shown
