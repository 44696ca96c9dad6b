from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf_alerts_dagster.core.alerts import ALERTS, Alert
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.inputs import InputError, UnknownAlert
from perf_alerts_dagster.http.requests import from_cursor, to_cursor

NOW = datetime(2026, 1, 30, 18, 0, tzinfo=UTC)
TODAY = date(2026, 1, 30)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_known_by_its_name(alert: Alert) -> None:
    assert inputs.alert_named(alert.name) is alert


@pytest.mark.parametrize("name", ["nope", "a", "a" * 64, "daily_pnl_check_schedule"])
def test_a_name_of_the_right_form_may_be_unknown(name: str) -> None:
    with pytest.raises(UnknownAlert):
        inputs.alert_named(name)


@pytest.mark.parametrize(
    "name", ["", "a" * 65, "Daily", "__ASSET_JOB", "a b", "a\n", "a\0", "ä", 'x"', "1a", "a١"]
)
def test_a_name_of_another_form_is_refused_without_being_repeated(name: str) -> None:
    with pytest.raises(InputError) as caught:
        inputs.alert_named(name)

    assert not name or name not in str(caught.value).split()


@pytest.mark.parametrize("text", ["2026-01-30", "2000-01-01", "2024-02-29"])
def test_a_real_day_up_to_today_is_taken(text: str) -> None:
    assert inputs.day(text, "as_of", today=TODAY).isoformat() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "1999-12-31",
        "2025-02-29",
        "2026-1-3",
        "20260130",
        "2026-W05-5",
        "2026-01-30T00:00:00",
        "2026-01-30\n",
        "٢٠٢٦-٠١-٣٠",
        "0000-00-00",
    ],
)
def test_no_other_text_is_a_day(text: str) -> None:
    with pytest.raises(InputError, match="as_of: a date YYYY-MM-DD"):
        inputs.day(text, "as_of", today=TODAY)


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-01-30T17:00:00Z", 17),
        ("2026-01-30t17:00:00z", 17),
        ("2026-01-30T17:00:00+02:00", 15),
        ("2026-01-30T17:00:00.5Z", 17),
    ],
)
def test_a_time_with_a_zone_is_taken_in_utc(text: str, hour: int) -> None:
    found = inputs.moment(text, "since")

    assert (found.hour, found.tzinfo) == (hour, UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-30",
        "2026-01-30T17:00:00",
        "2026-13-30T17:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-01-30T17:00:00Z\n",
        "now",
    ],
)
def test_no_other_text_is_a_time(text: str) -> None:
    with pytest.raises(InputError, match="since: a time such as"):
        inputs.moment(text, "since")


@pytest.mark.parametrize("ahead", [timedelta(seconds=1), timedelta(days=366)])
def test_a_pause_ends_in_the_future(ahead: timedelta) -> None:
    assert inputs.future((NOW + ahead).isoformat(), "until", now=NOW) == NOW + ahead


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=366, seconds=1)])
def test_a_pause_ends_neither_at_once_nor_never(ahead: timedelta) -> None:
    with pytest.raises(InputError):
        inputs.future((NOW + ahead).isoformat(), "until", now=NOW)


def test_one_printable_key_is_taken_and_none_is_none() -> None:
    assert inputs.idempotency_key(["a" * 255]) == "a" * 255
    assert inputs.idempotency_key([]) is None


@pytest.mark.parametrize("values", [[""], ["a" * 256], ["a\tb"], ["ä"], ["a", "a"]])
def test_any_other_key_is_refused(values: list[str]) -> None:
    with pytest.raises(InputError, match="Idempotency-Key"):
        inputs.idempotency_key(values)


@pytest.mark.parametrize("text", ["1", "24", "168"])
def test_hours_are_plain_digits(text: str) -> None:
    assert inputs.whole(text, "hours", minimum=1, maximum=168) == int(text)


@pytest.mark.parametrize(
    "text",
    ["0", "169", "-1", "1e2", "NaN", "1_0", "24.0", " 24", "24\n", "024", "+1", "٢٤", "", "9" * 99],
)
def test_nothing_else_is_a_number_of_hours(text: str) -> None:
    with pytest.raises(InputError, match="a whole number from 1 to 168"):
        inputs.whole(text, "hours", minimum=1, maximum=168)


@pytest.mark.parametrize("text", ["", " ", "a\nb", "a\0", "a" * 501, "\u202e"])
def test_a_reason_is_one_printable_line(text: str) -> None:
    with pytest.raises(InputError, match="reason"):
        inputs.reason(text)


def refused_with(check: Callable[[], object]) -> str:
    """What a check says against a text; empty where it takes it."""
    try:
        check()
    except (InputError, UnknownAlert) as error:
        return str(error)
    return ""


@given(st.text(min_size=12, max_size=300))
def test_whatever_is_sent_is_taken_or_refused_without_being_repeated(text: str) -> None:
    said = [
        refused_with(check)
        for check in (
            lambda: inputs.alert_named(text),
            lambda: inputs.day(text, "f", today=TODAY),
            lambda: inputs.moment(text, "f"),
            lambda: inputs.future(text, "f", now=NOW),
            lambda: inputs.idempotency_key([text]),
            lambda: inputs.whole(text, "f", minimum=1, maximum=5),
            lambda: inputs.reason(text),
        )
    ]

    assert not any(text in one for one in said)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=100))
def test_a_cursor_gives_back_its_place(place: str) -> None:
    cursor = to_cursor(place)
    assert cursor is not None

    assert from_cursor(cursor) == place


@given(st.text(max_size=100))
def test_any_text_is_a_cursor_of_ours_or_is_refused(text: str) -> None:
    with suppress(ValueError):
        assert to_cursor(from_cursor(text)) == text


def test_the_last_page_has_no_cursor() -> None:
    assert to_cursor(None) is None
    with pytest.raises(InputError, match="next_cursor of the page before"):
        from_cursor("A" * 600)
