"""JSON in one reading only."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf_alerts_dagster.http.body import strict_json

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(plain, st.booleans())
def test_what_json_says_is_read_as_it_is(value: object, ascii_only: bool) -> None:
    content = json.dumps(value, ensure_ascii=ascii_only).encode()

    assert strict_json(content) == value


@given(st.binary())
def test_any_bytes_are_read_in_one_way_or_refused(content: bytes) -> None:
    with suppress(ValueError):
        found = strict_json(content)
        assert strict_json(json.dumps(found).encode()) == found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"'x'", "not JSON"),
        (b"[1,]", "not JSON"),
        (b"1 2", "not JSON"),
        (b"\xef\xbb\xbf{}", "JSON"),
        ("{}".encode("utf-16"), "UTF-8"),
        (b'"\xff"', "UTF-8"),
        (b'"\xed\xa0\x80"', "UTF-8"),
        (b'{"a": 1, "a": 1}', "given twice"),
        (b'{"b": {"a": 1, "\\u0061": 2}}', "given twice"),
        (b"NaN", "not finite"),
        (b"[Infinity]", "not finite"),
        (b"-Infinity", "not finite"),
        (b"1e400", "too large"),
        (b"-1e400", "too large"),
        (b"1" * 400, "too large"),
        (b"1" * 5000, "too large"),
        (b'"\\ud800"', "half a character"),
        (b'{"\\udc00": 1}', "half a character"),
        (b"[" * 33 + b"]" * 33, "deeply"),
        (b"[" * 30_000, "deeply"),
        (b'{"a":' * 10_000, "deeply"),
    ],
)
def test_what_two_readers_may_read_differently_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        strict_json(content)


@pytest.mark.parametrize("content", [b"[" * 32 + b"]" * 32, b'"' + b"[" * 1000 + b'\\"["'])
def test_depth_is_that_of_brackets_and_not_of_texts(content: bytes) -> None:
    strict_json(content)


def test_a_whole_character_of_two_halves_is_one() -> None:
    assert strict_json(b'"\\ud83d\\ude00"') == "\U0001f600"
