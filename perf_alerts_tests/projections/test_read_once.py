"""The projections of an execution's sessions are read once, and judge as if read for each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, event, text

from perf_alerts_dagster.control.sql import SqlLeases
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.projections import issue
from perf_alerts_dagster.projections.ports import (
    MemoryProjections,
    ProjectionsOfSessions,
    ProjectionStore,
    StoredProjection,
)
from perf_alerts_tests.executions.trading_desk import (
    MONTHLY,
    Desk,
    a_strategy,
    after_close,
    dates,
    day,
)
from perf_alerts_tests.judging.store.examples import FRIDAY, MONDAY, TUESDAY, projection
from perf_alerts_tests.projections.test_issue import projections_issuer, reading, records

KINDS = ("launch", "judging", "calibration", "current")
PERIODS = {"alpha": 252.0, "beta": 252.0}


def plain(value: Any) -> Any:
    """A value to compare, arrays by their bytes."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if is_dataclass(value):
        return {part.name: plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return repr(value) if isinstance(value, float) else value


@pytest.fixture(scope="module")
def issued() -> list[StoredProjection]:
    """Launches, re-issued after a year, and monthly projections on different days."""
    memory = MemoryProjections()
    one, two = a_strategy("alpha", 620, seed=1), a_strategy("beta", 620, seed=2)
    issuing = projections_issuer(memory, lives=200)
    for place, strategies in (
        (380, (one,)), (401, (one, two)), (425, (two,)), (600, (one, two)), (605, (one,))
    ):  # fmt: skip
        cut = reading(*(each.rows(0, place + 1) for each in strategies))
        issuing.issue_current(cut, day(place), run_id="run")
        issuing.issue_launch(cut, day(place), run_id="run")
    return [
        each for kind in KINDS for each in memory.issued(kind=kind, first=date.min, last=date.max)
    ]


@contextmanager
def queries(engine: Engine) -> Iterator[list[str]]:
    """The statements that read projections meanwhile."""
    seen: list[str] = []

    def see(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if "FROM projections" in statement and statement.startswith("SELECT"):
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", see)


@pytest.mark.parametrize(("first", "last"), [(370, 410), (399, 432), (421, 430), (590, 612)])
def test_the_outlook_of_each_session_is_that_of_reading_it_alone(
    store: ProjectionStore, issued: list[StoredProjection], first: int, last: int
) -> None:
    store.save_projections(issued)
    issuer = projections_issuer(store)
    at_once = issuer.for_sessions(day(first), day(last))

    for place in range(first, last + 1):
        alone = issuer.outlook(day(place), PERIODS)
        assert plain(at_once.outlook(day(place), PERIODS)) == plain(alone), place
        # What only the monthly rules read is left out for the others.
        daily = at_once.outlook(day(place), PERIODS, monthly=False)
        assert (daily.expectations, daily.monthly) == ({}, {})
        for name in ("projected", "in_force", "calibrations"):
            assert plain(getattr(daily, name)) == plain(getattr(alone, name)), place


def test_what_is_issued_between_the_sessions_is_in_force_from_then_on(
    store: ProjectionStore,
) -> None:
    whole = a_strategy("alpha", 560, seed=1)
    one_by_one = projections_issuer(store, lives=200)
    at_once = projections_issuer(MemoryProjections(), lives=200).for_sessions(day(540), day(559))
    for place in range(540, 560):
        now = reading(whole)
        for issuer in (one_by_one, at_once):
            issuer.issue_for(MONTHLY, now, day(place), run_id="run")
        assert plain(at_once.outlook(day(place), PERIODS)) == plain(
            one_by_one.outlook(day(place), PERIODS)
        ), place


def test_projections_in_force_between_two_days(store: ProjectionStore) -> None:
    store.save_projections(
        [
            projection(issued_on=FRIDAY),
            projection(issued_on=MONDAY),
            projection(issued_on=TUESDAY),
            projection(issued_on=TUESDAY, strategy="a"),
            projection(issued_on=MONDAY, kind="launch", strategy="a"),
        ]
    )

    def found(first: date, last: date, **some: Any) -> list[tuple[str, date]]:
        read = store.issued(kind="current", first=first, last=last, **some)
        return [(one.strategy, one.issued_on) for one in read]

    assert found(date(2026, 1, 1), FRIDAY) == [("s", FRIDAY)]
    assert found(date(2026, 1, 4), MONDAY) == [("s", FRIDAY), ("s", MONDAY)]
    assert found(MONDAY, TUESDAY) == [("a", TUESDAY), ("s", MONDAY), ("s", TUESDAY)]
    assert found(MONDAY, TUESDAY, strategies=["a"]) == [("a", TUESDAY)]
    assert found(TUESDAY, TUESDAY) == [("a", TUESDAY), ("s", TUESDAY)]


def test_a_catch_up_reads_each_kind_once_and_unpacks_each_projection_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = records(a_strategy("alpha", 450, seed=1), a_strategy("beta", 450, seed=2))
    desk = Desk()
    desk.store, desk.leases = SqlAlertStore(engine), SqlLeases(engine)

    def cut(rows: int) -> Any:
        return records(*(one.rows(0, rows) for one in whole.strategies.values()))

    desk.run(cut(411), after_close(410), alert=MONTHLY, run_id="month")
    desk.run(cut(411), after_close(410), run_id="first")
    unpacked: list[StoredProjection] = []

    def counted(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda stored: (unpacked.append(stored), make(stored))[1]  # type: ignore[func-returns-value]

    for name in ("in_force", "stored_calibration"):
        monkeypatch.setattr(issue, name, counted(getattr(issue, name)))

    with queries(engine) as seen:
        found = desk.run(cut(441), after_close(440), run_id="caught up")

    assert dates(found) == [day(place) for place in range(411, 441)]
    # What is in force of launch, judging and calibration, and of the twins of shadows.
    assert len(seen) == 4
    present = [one for one in unpacked if one is not None]
    assert len(present) == len(set(present)) == 3 * 3


def test_a_damaged_row_is_named_when_it_is_read_for_many_sessions(
    engine: Engine, issued: list[StoredProjection]
) -> None:
    store = SqlAlertStore(engine)
    store.save_projections(issued)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE projections SET arrays = :b WHERE kind = 'calibration'"), {"b": b"PK"}
        )

    with pytest.raises(StoreUnavailable, match=r"calibration projection of \S+ issued on 20"):
        projections_issuer(store).for_sessions(day(421), day(430)).outlook(day(421), PERIODS)


def test_of_a_day_before_the_first_session_each_projection_is_read_once(engine: Engine) -> None:
    store = SqlAlertStore(engine)
    store.save_projections(
        [projection(issued_on=one) for one in (FRIDAY, MONDAY, TUESDAY)]
        + [projection(strategy="t", issued_on=FRIDAY)]
    )
    known = ProjectionsOfSessions(store, TUESDAY, TUESDAY)
    with queries(engine) as seen:
        for _ in range(2):
            found = known.projections(kind="current", on_or_before=MONDAY, strategies=["s", "t"])
            none = known.projections(kind="current", on_or_before=date(2025, 12, 31))
            assert {name: one.issued_on for name, one in found.items()} == {
                "s": MONDAY, "t": FRIDAY,
            }  # fmt: skip
            assert none == {}

    # The present ones, those before Tuesday's, and those before all.
    assert len(seen) == 3


def test_a_strategy_that_does_not_vary_is_never_due() -> None:
    flat = a_strategy("alpha", 420)
    flat.returns[:] = 0.0
    turns: list[str] = []

    class Turn:
        def __enter__(self) -> None:
            turns.append("entered")

        def __exit__(self, *_error: object) -> None:
            return None

    issuer = projections_issuer()
    issuer.issue_for(MONTHLY, reading(flat), day(419), run_id="run", turn=Turn)

    assert turns == []
