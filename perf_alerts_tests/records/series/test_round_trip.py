"""Whatever a source may hold comes back to the last bit."""

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perf_alerts_dagster.records.calendars import Origin, StrategyCalendar, group_calendar
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.records.series.calendars import calendar_from, calendar_json
from perf_alerts_dagster.records.series.model import DeskRead, Packer, head_of, series_of
from perf_alerts_dagster.records.sessions import Closing, ListedDays, open_calendar
from perf_alerts_tests.builders import own_days, weekdays

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=64)
RETURNS = st.one_of(
    st.floats(-1e300, 1e300),
    st.sampled_from([-1.0, -1.5, 0.0, -0.0, 5e-324]),
)


@st.composite
def records(draw: st.DrawFn) -> StrategyRecord:
    """Rows of any dates, values and optional columns."""
    days = sorted(draw(st.sets(st.integers(-250_000, 250_000), min_size=1, max_size=40)))
    rows = len(days)

    def numbers(of: st.SearchStrategy[float]) -> Any:
        return np.array(draw(st.lists(of, min_size=rows, max_size=rows)))

    pnl = numbers(st.floats(-1e9, 1e9)) if draw(st.booleans()) else None
    capital = None if pnl is None else numbers(st.sampled_from([0.0, 1.0, 1e6, 3.7]))
    returns = numbers(RETURNS)
    if pnl is not None and capital is not None and draw(st.booleans()):
        returns = np.divide(pnl, capital, out=np.zeros(rows), where=capital > 0.0)
    return StrategyRecord(
        strategy=draw(st.text(min_size=1)),
        dates=np.array(days, "datetime64[D]"),
        returns=returns,
        live=np.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows))),
        pnl=pnl,
        capital=capital,
        extras={"é.ü": numbers(NUMBERS)} if draw(st.booleans()) else {},
        benchmark=numbers(NUMBERS) if draw(st.booleans()) else None,
        currency=draw(st.none() | st.text()),
        owner=draw(st.none() | st.text()),
    )


@settings(max_examples=150, deadline=None)
@given(records())
def test_any_record_comes_back_to_the_last_bit(record: StrategyRecord) -> None:
    calendar = own_days(record.dates)
    packer = Packer(record, calendar, record.extras)
    pieces = [packer.piece(year) for year in packer.years()]
    head = head_of(record, calendar_json(calendar), packer.columns)
    desk = DeskRead(read_at=NOW, as_of=date.max, last_final=None, members={})
    found = series_of(record.strategy, head, pieces, desk=desk)

    for name in ("dates", "returns", "live", "pnl", "capital", "benchmark"):
        expected, value = getattr(record, name), getattr(found.record, name)
        assert (expected is None) == (value is None), name
        assert expected is None or expected.tobytes() == value.tobytes(), name
    assert {name: each.tobytes() for name, each in found.record.extras.items()} == {
        name: each.tobytes() for name, each in record.extras.items()
    }
    assert (found.record.currency, found.record.owner) == (record.currency, record.owner)
    assert isinstance(found.calendar.days, ListedDays)
    assert found.calendar.days.days.tobytes() == record.dates.tobytes()
    assert found.record.content_hash() == record.content_hash()


CLOSING = Closing(at=time(21, 30), zone=ZoneInfo("Europe/Zurich"))


def named(name: str, *, is_market: bool = False, **changes: Any) -> StrategyCalendar:
    calendar = open_calendar(name, CLOSING)
    values: dict[str, Any] = {
        "name": name,
        "origin": Origin.KEPT,
        "periods_per_year": 250.5,
        "days": calendar,
        "counted": calendar,
        "closing": calendar if is_market else CLOSING,
        "since": date(2024, 1, 2),
        "longest_gap": 3,
    }
    return StrategyCalendar(**values | changes)


CALENDARS = {
    "weekdays": named("weekdays"),
    "24/7": named("24/7"),
    "weekly": named("weekly"),
    "monthly": named("monthly"),
    "sparse": named("sparse", days=ListedDays(days=np.empty(0, "datetime64[D]"))),
    "exchange": named("XNYS"),
    "closed by it": named("XNYS", is_market=True),
    "sample": own_days(weekdays(30)),
    "group": group_calendar([named("XNYS", is_market=True), named("24/7")], CLOSING),
}


@pytest.mark.parametrize("name", CALENDARS)
def test_a_calendar_comes_back(name: str) -> None:
    calendar = CALENDARS[name]
    listed = calendar.days.days if isinstance(calendar.days, ListedDays) else weekdays(0)
    found = calendar_from(calendar_json(calendar), listed)

    for each in ("name", "origin", "periods_per_year", "since", "longest_gap", "closes"):
        assert getattr(found, each) == getattr(calendar, each)
    first, last = date(2023, 1, 2), date(2023, 12, 31)
    for of in ("days", "counted"):
        sessions = [getattr(each, of).sessions(first, last) for each in (found, calendar)]
        assert sessions[0].tolist() == sessions[1].tolist()
    assert found.late(first, last) == calendar.late(first, last)
    day = date(2023, 7, 3)
    assert found.closing.close(day) == calendar.closing.close(day)
