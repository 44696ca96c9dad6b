"""Lists in sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf_alerts_dagster.core.wording import first_few, printable


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
