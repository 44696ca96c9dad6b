"""What is kept about a desk, in memory, in SQLite and in PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import Engine, event

from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.records.desk import (
    Baseline,
    Desk,
    Kept,
    KeptCalendar,
    Pending,
    Retirement,
    Seen,
    SourceReading,
    UnknownStrategy,
    newest,
)
from perf_alerts_dagster.records.sql import SqlDesk
from perf_alerts_dagster.storage.migrate import migrate, require_current
from perf_alerts_tests.storage.changes import NOON, change
from perf_alerts_tests.storage.test_migrate import downgrade

DAY = date(2026, 1, 5)
SEEN = Seen(rows=3, first=date(2025, 1, 1), last=DAY, capital=0.1 + 0.2, group="é", days="eJw=")
READING = SourceReading(
    accepted={"a": SEEN, "b": replace(SEEN, group=None, currency="USD")},
    vanished={"c": SEEN},
    pending=Pending(fingerprint="f", days=(DAY, date(2026, 1, 6))),
)
XNYS = KeptCalendar(name="XNYS", periods_per_year=252.0, since=DAY)
ENDED = Retirement(strategy="a", since=DAY, reason="ended", by="ann", at=NOON)
LOWER = Baseline(strategy="a", since=DAY, haircut=0.1 + 0.2, reason="gap", by="ann", at=NOON)


def test_a_new_desk_keeps_nothing(kept_desk: Desk) -> None:
    assert kept_desk.kept() == Kept()
    assert kept_desk.source("daily.csv") is None
    assert kept_desk.known() == frozenset()


def test_a_reading_is_read_back_as_it_was_saved_by_source(kept_desk: Desk) -> None:
    kept_desk.save_source("daily.csv", SourceReading())
    kept_desk.save_source("daily.csv", READING)
    kept_desk.save_source("other.csv", SourceReading(accepted={"d": SEEN}))

    assert kept_desk.source("daily.csv") == READING
    assert kept_desk.known() == {"a", "b", "c", "d"}


def test_an_inferred_calendar_is_kept_and_changed_by_a_person_only(kept_desk: Desk) -> None:
    kept_desk.save_source("daily.csv", READING)
    by_ann = KeptCalendar(name="24/7", periods_per_year=365.0, since=DAY, by="ann")
    kept_desk.keep_calendars({})
    kept_desk.keep_calendars({"b": XNYS, "a": XNYS})
    kept_desk.keep_calendars({"a": by_ann})
    assert kept_desk.kept().calendars == {"a": XNYS, "b": XNYS}

    kept_desk.set_calendar("a", by_ann, change())
    assert kept_desk.kept().calendars == {"a": by_ann, "b": XNYS}


def test_a_retirement_is_kept_and_replaced(kept_desk: Desk) -> None:
    kept_desk.save_source("daily.csv", READING)
    kept_desk.retire(ENDED, change())
    later = replace(ENDED, since=date(2026, 1, 6))
    kept_desk.retire(later, change())

    assert kept_desk.kept() == Kept(retired={"a": later})


def test_baselines_are_numbered_by_strategy_and_all_are_kept(kept_desk: Desk) -> None:
    sooner = replace(LOWER, since=date(2025, 12, 1), haircut=0.0, reason="restored")
    of_group = replace(LOWER, strategy="ALL")
    made = [kept_desk.rebaseline(one, change()) for one in (LOWER, of_group, sooner)]

    assert [one.number for one in made] == [1, 1, 2]
    assert made == [
        replace(LOWER, number=1),
        replace(of_group, number=1),
        replace(sooner, number=2),
    ]
    assert kept_desk.kept() == Kept(
        baselines={"a": (made[0], made[2]), "ALL": (made[1],)},
    )


def test_of_baselines_the_one_set_last_counts_from_its_day_on() -> None:
    first, second = replace(LOWER, number=1), replace(LOWER, number=2, since=date(2026, 1, 7))

    assert newest((first, second), date(2026, 1, 4)) is None
    assert newest((first, second), DAY) == first
    assert newest((first, second), date(2026, 1, 7)) == second
    assert newest((second, replace(first, number=3)), date(2026, 1, 7)) == replace(first, number=3)


def test_baselines_that_are_set_at_once_have_numbers_of_their_own(engine: Engine) -> None:
    desk = SqlDesk(engine)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: desk.rebaseline(LOWER, change()), range(8)))

    assert sorted(one.number for one in made) == list(range(1, 9))
    assert [one.number for one in desk.kept().baselines["a"]] == list(range(1, 9))


def test_first_readings_are_kept_by_strategy_and_month(kept_desk: Desk) -> None:
    kept_desk.keep_first_seen({})
    kept_desk.keep_first_seen({("b", "2026-01"): b"\x00one", ("a", "2026-01"): b"two"})
    kept_desk.keep_first_seen({("a", "2026-01"): b"three", ("a", "2026-02"): b""})

    assert kept_desk.kept() == Kept(
        first_seen={
            ("a", "2026-01"): b"three",
            ("a", "2026-02"): b"",
            ("b", "2026-01"): b"\x00one",
        }
    )


@pytest.mark.parametrize("months", [0, 3, 400])
def test_first_readings_are_written_by_one_statement_or_none(
    sqlite_engine: Engine, months: int
) -> None:
    statements: list[str] = []

    def note(*call: object) -> None:
        statements.append(str(call[2]).split()[0])

    event.listen(sqlite_engine, "before_cursor_execute", note)
    SqlDesk(sqlite_engine).keep_first_seen({("a", str(month)): b"x" for month in range(months)})

    assert statements == (["BEGIN", "INSERT"] if months else [])


def test_a_strategy_that_was_never_read_is_refused_with_those_that_were(kept_desk: Desk) -> None:
    kept_desk.save_source("daily.csv", READING)

    with pytest.raises(UnknownStrategy, match=r"no strategy 'A'; known are: a, b, c$"):
        kept_desk.retire(replace(ENDED, strategy="A"), change())
    with pytest.raises(UnknownStrategy):
        kept_desk.set_calendar("A", XNYS, change())
    assert kept_desk.kept() == Kept()


def test_of_many_known_names_some_are_listed() -> None:
    error = UnknownStrategy("x", [f"s{number:02d}" for number in range(25)])

    assert error.accepted.endswith("s18, s19 and 5 more")


def test_every_change_of_a_person_is_audited_with_what_was_and_is(engine: Engine) -> None:
    desk = SqlDesk(engine)
    desk.save_source("daily.csv", READING, change(action="accept"))
    desk.retire(ENDED, change(action="retire"))
    desk.retire(replace(ENDED, reason="again"), change(action="retire"))
    desk.set_calendar("a", XNYS, change(action="calendar"))
    desk.rebaseline(LOWER, change(action="rebaseline"))
    desk.rebaseline(replace(LOWER, haircut=0.0), change(action="rebaseline"))

    second, first, calendar, again, ended, accepted = SqlAudit(engine).entries().rows
    assert accepted.action == "accept"
    assert (ended.before, again.before) == (None, ended.after)
    assert ended.after == {
        "strategy": "a",
        "since": "2026-01-05",
        "reason": "ended",
        "by": "ann",
        "at": NOON.isoformat(),
    }
    assert (first.before, second.before) == (None, first.after)
    assert first.after == {
        "strategy": "a",
        "since": "2026-01-05",
        "haircut": LOWER.haircut,
        "reason": "gap",
        "by": "ann",
        "at": NOON.isoformat(),
        "number": 1,
    }
    assert isinstance(calendar.after, dict)
    assert calendar.after["name"] == "XNYS"


@pytest.mark.parametrize(
    ("version", "has_baselines"), [("0008", False), ("0009", True), ("0010", True)]
)
def test_a_store_of_a_version_before_gains_its_tables_and_keeps_what_it_has(
    engine: Engine, version: str, has_baselines: bool
) -> None:
    desk = SqlDesk(engine)
    desk.save_source("daily.csv", READING)
    desk.retire(ENDED, change())
    kept = {"a": (desk.rebaseline(LOWER, change()),)} if has_baselines else {}
    with engine.begin() as connection:
        downgrade(connection, version)
    with pytest.raises(StoreUnavailable, match=rf"{version}.*perf-alerts migrate"):
        require_current(engine)
    migrate(engine)

    assert desk.kept() == Kept(retired={"a": ENDED}, baselines=kept)
    assert desk.rebaseline(LOWER, change()).number == len(kept) + 1
    desk.keep_first_seen({("a", "2026-01"): b"x"})
    assert desk.kept().first_seen == {("a", "2026-01"): b"x"}


def test_strategies_of_the_version_before_are_known_by_their_final_rows(engine: Engine) -> None:
    SqlAlertStore(engine).save_month_hashes({("old", "2026-01"): "h", ("ALL", "2026-01"): "h"})

    assert SqlDesk(engine).known() == {"old"}
