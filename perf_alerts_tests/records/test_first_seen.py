"""When the rows of a shadow were first read, from one reading to the next."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from perf_alerts_dagster.records.first_seen import with_first_seen, without_gone
from perf_alerts_dagster.records.model import RecordFault, Shadow, StrategyRecord, TrackRecords
from perf_alerts_tests.builders import a_record, noise, weekdays

DAYS = weekdays(60)
FAULT = RecordFault(where="shadow.csv", rule="the file is empty")


def a_shadow(places: range | list[int], **changes: float) -> Shadow:
    """Rows on these sessions; `row7=1.0` gives that of session 7 another return."""
    returns = noise(60)
    for place, value in changes.items():
        returns[int(place.removeprefix("row"))] = value
    at = np.array(places, dtype=int)
    return Shadow(
        dates=DAYS[at],
        returns=returns[at],
        costs=np.zeros(len(at)),
        versions=np.full(len(at), "", dtype=np.str_),
        seen=np.full(len(at), np.datetime64("NaT"), dtype="datetime64[D]"),
    )


class Source:
    """Reads records one after the other, and keeps what is new as an execution does."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}
        self.new: Mapping[tuple[str, str], bytes] = {}

    def read(
        self, rows: int, shadow: Shadow | None, *, fault: RecordFault | None = None
    ) -> StrategyRecord:
        record = a_record(noise(60)).rows(0, rows)
        record = a_record(record.returns, shadow=shadow)
        records = TrackRecords(source="test", strategies={"trend": record}, shadow_fault=fault)
        found, self.new = with_first_seen(records, self.kept)
        self.kept |= self.new
        self.records = found
        return found.strategies["trend"]

    def accept(self) -> Mapping[tuple[str, str], bytes]:
        """What a person accepts of the last reading."""
        accepted = without_gone(self.records)
        self.kept |= accepted
        return accepted

    def seen(self, rows: int, shadow: Shadow) -> list[int | None]:
        """The sessions at which the rows were first read, by number; None for the first reading."""
        found = self.read(rows, shadow).shadow
        assert found is not None
        assert found.dates.tolist() == shadow.dates.tolist()
        return [
            None if np.isnat(day) else int(np.flatnonzero(day == DAYS)[0]) for day in found.seen
        ]


def test_the_first_reading_is_undated_and_later_rows_have_the_session_that_lacked_them() -> None:
    source = Source()

    assert source.seen(3, a_shadow(range(3))) == [None] * 3
    assert source.seen(4, a_shadow(range(4))) == [None] * 3 + [3]
    # Three sessions later: nobody read in between, so that their rows are not late.
    assert source.seen(7, a_shadow([0, 1, 2, 3, 4, 6])) == [None] * 3 + [3, 4, 6]
    # That of session 5 was not there when session 6 was read.
    assert source.seen(9, a_shadow(range(7))) == [None] * 3 + [3, 4, 6, 6]
    assert source.seen(20, a_shadow(range(9))) == [None] * 3 + [3, 4, 6, 6, 8, 8]


def test_a_shadow_that_stopped_is_late_when_it_comes_back_by_what_was_read_without_it() -> None:
    source = Source()
    source.seen(10, a_shadow(range(10)))
    for rows in range(11, 21):
        source.seen(rows, a_shadow(range(10)))

    assert source.seen(40, a_shadow(range(40)))[10:22] == [19] * 10 + [20, 21]


def test_an_older_file_in_between_does_not_forget_what_was_read() -> None:
    source = Source()
    source.seen(10, a_shadow(range(10)))
    source.seen(20, a_shadow(range(10)))
    assert source.seen(15, a_shadow(range(12)))[10:] == [14, 14]

    assert source.seen(21, a_shadow(range(14)))[10:] == [14, 14, 19, 19]


def test_rows_for_a_pause_that_are_read_with_it_are_seen_as_of_their_own_days() -> None:
    source = Source()
    source.seen(5, a_shadow(range(5)))
    record = source.read(40, a_shadow(range(40)))

    for place in range(5, 40):
        cut = record.until(DAYS[place].astype(object)).shadow
        assert cut is not None
        assert len(cut) == place + 1


def test_a_row_before_its_live_row_is_there_is_seen_on_its_own_day() -> None:
    source = Source()
    source.seen(3, a_shadow(range(3)))

    assert source.seen(3, a_shadow(range(4))) == [None] * 3 + [3]


def test_nothing_is_kept_anew_where_nothing_is_new() -> None:
    source = Source()
    source.seen(30, a_shadow(range(30)))
    assert {month for _, month in source.new} == {"2023-01", "2023-02", "read"}
    source.seen(30, a_shadow(range(30)))
    assert source.new == {}
    source.seen(31, a_shadow(range(30)))
    assert {month for _, month in source.new} == {"read"}
    source.seen(31, a_shadow(range(31)))
    assert {month for _, month in source.new} == {"2023-02"}


def test_a_changed_value_is_seen_when_it_changed() -> None:
    source = Source()
    source.seen(5, a_shadow(range(5)))
    source.seen(6, a_shadow(range(6)))

    changed = a_shadow(range(6), row1=0.5, row5=0.5)
    source.seen(8, a_shadow(range(6)))
    assert source.seen(9, changed) == [None, 7, None, None, None, 7]
    assert source.seen(12, changed) == [None, 7, None, None, None, 7]
    again = a_shadow(range(6), row1=0.7, row5=0.5)
    assert source.seen(15, again) == [None, 11, None, None, None, 7]


def test_a_value_that_is_corrected_keeps_its_first_reading() -> None:
    source = Source()
    right = a_shadow(range(6))
    source.seen(5, a_shadow(range(5)))
    source.seen(6, right)
    source.seen(7, a_shadow(range(6), row1=0.5, row5=0.5))
    source.seen(8, a_shadow(range(6), row1=0.6, row5=0.6))

    assert source.seen(9, right) == [None, None, None, None, None, 5]


def test_a_source_that_changes_for_ever_does_not_make_the_store_grow() -> None:
    source = Source()
    for turn in range(20):
        source.seen(10, a_shadow(range(10), row3=float(turn)))
    sizes = {month: len(rows) for (_, month), rows in source.kept.items()}

    assert sizes == {"2023-01": 16 * 11, "read": 10}


def test_rows_that_vanish_and_come_back_keep_their_first_reading() -> None:
    source = Source()
    source.seen(3, a_shadow(range(3)))
    source.seen(5, a_shadow(range(5)))
    source.seen(6, a_shadow([0, 5]))
    source.read(7, None)

    assert source.seen(9, a_shadow(range(6))) == [None, None, None, 3, 4, 5]


def test_another_order_of_adding_is_no_other_value() -> None:
    source = Source()
    first = a_shadow(range(5))
    source.seen(5, first)
    added = a_shadow(range(5), row2=float(first.returns[2]) * (1 + 1e-12), row3=0.0)
    source.seen(5, a_shadow(range(5), row3=1e-17))

    assert source.seen(9, added)[2] is None


@pytest.mark.parametrize("newest", [20, 40])
def test_what_was_seen_later_is_not_used_as_of_an_earlier_date(newest: int) -> None:
    source = Source()
    source.seen(5, a_shadow(range(5)))
    source.seen(newest, a_shadow(range(5)))
    record = source.read(newest, a_shadow(range(10)))
    as_of: date = DAYS[9].astype(object)
    today: date = DAYS[newest - 1].astype(object)

    cut, whole = record.until(as_of).shadow, record.until(today).shadow
    assert cut is not None
    assert whole is not None
    assert (len(cut), len(whole)) == (5, 10)


def test_a_damaged_shadow_is_not_the_first_reading() -> None:
    source = Source()
    damaged = a_shadow([])
    source.read(5, damaged)
    assert source.kept == {}
    assert source.seen(6, a_shadow(range(6))) == [None] * 6


def test_a_table_that_cannot_be_used_is_the_fault_of_those_that_had_a_shadow() -> None:
    source = Source()
    assert source.read(5, None, fault=FAULT).shadow is None
    source.seen(6, a_shadow(range(6)))
    shadow = source.read(7, None, fault=FAULT).shadow

    assert shadow is not None
    assert len(shadow) == 0
    assert [str(one) for one in shadow.faults] == ["shadow.csv: the file is empty"]


def test_a_shadow_whose_rows_are_all_gone_says_so() -> None:
    source = Source()
    source.seen(6, a_shadow(range(6)))
    for rows in (7, 8):
        shadow = source.read(rows, None).shadow
        assert shadow is not None
        assert len(shadow) == 0
        assert [str(one) for one in shadow.faults] == [
            f"shadow: no row is left of those that were read before, the newest of {DAYS[5]}"
        ]
        assert shadow.faults[0].strategy == "trend"

    assert source.seen(9, a_shadow(range(7))) == [None] * 6 + [7]


def test_a_person_may_accept_that_a_shadow_is_gone() -> None:
    source = Source()
    source.seen(6, a_shadow(range(6)))
    damaged = replace(a_shadow([]), faults=(FAULT,))
    for shadow, fault in ((damaged, None), (None, FAULT)):
        source.read(7, shadow, fault=fault)
        assert source.accept() == {}
    source.read(7, None)
    assert [*source.accept()] == [("trend", "read")]
    assert source.read(8, None).shadow is None
    assert source.read(8, None, fault=FAULT).shadow is None

    assert source.seen(20, a_shadow(range(10))) == [None] * 6 + [6, 7, 8, 9]
    assert source.read(21, None).shadow is not None
