"""The sessions of an alert: what was judged, and what was left out between."""

from datetime import UTC, date, datetime

from perf_alerts_dagster.api.alerts.views import with_gaps
from perf_alerts_dagster.core.alerts import ALERTS, BY_NAME, Alert
from perf_alerts_dagster.judging.standings.model import Cell
from perf_alerts_dagster.judging.store.overview import SessionOutcome
from perf_alerts_dagster.records.sessions import Calendar, open_calendar

DAILY, WEEKLY, MONTHLY = ALERTS[0], BY_NAME["weekly_stability_check"], ALERTS[2]
WEEKDAYS = open_calendar("weekdays")


def outcome(day: str, **cells: int) -> SessionOutcome:
    return SessionOutcome(
        session=date.fromisoformat(day),
        judged_at=datetime(2026, 2, 1, tzinfo=UTC),
        provisional=False,
        cells={Cell(name): count for name, count in (cells or {"ok": 1}).items()},
    )


def shown(
    *outcomes: SessionOutcome, alert: Alert = DAILY, calendar: Calendar = WEEKDAYS, until: str
) -> list[str]:
    cells = with_gaps(outcomes, alert, calendar, until=date.fromisoformat(until))
    return [f"{each.session[5:]} {each.cell}" for each in cells]


def test_a_weekday_between_that_was_not_judged_is_shown_and_a_weekend_is_not() -> None:
    found = shown(outcome("2026-01-08"), outcome("2026-01-12"), until="2026-01-13")

    assert found == ["01-08 ok", "01-09 unjudged", "01-12 ok", "01-13 unjudged"]


def test_a_day_without_a_session_is_a_holiday() -> None:
    found = shown(
        outcome("2026-01-16"),
        outcome("2026-01-20"),
        calendar=open_calendar("XNYS"),
        until="2026-01-20",
    )

    assert found == ["01-16 ok", "01-19 holiday", "01-20 ok"]


def test_where_weekends_are_judged_each_of_them_counts() -> None:
    found = shown(outcome("2026-01-10"), outcome("2026-01-12"), until="2026-01-12")

    assert found == ["01-10 ok", "01-11 unjudged", "01-12 ok"]


def test_of_a_week_and_of_a_month_one_judgement_is_enough() -> None:
    weeks = shown(outcome("2026-01-02"), outcome("2026-01-14"), alert=WEEKLY, until="2026-01-14")
    months = shown(outcome("2025-11-28"), outcome("2026-01-30"), alert=MONTHLY, until="2026-01-31")

    assert weeks == ["01-02 ok", "01-05 unjudged", "01-14 ok"]
    assert months == ["11-28 ok", "12-01 unjudged", "01-30 ok"]


def test_the_worst_counts_and_nothing_to_judge_is_no_data() -> None:
    found = shown(
        outcome("2026-01-08", ok=15, critical=1, no_data=2),
        SessionOutcome(
            session=date(2026, 1, 9),
            judged_at=datetime(2026, 1, 9, tzinfo=UTC),
            provisional=True,
            cells={},
        ),
        until="2026-01-09",
    )

    assert found == ["01-08 critical", "01-09 no_data"]


def test_nothing_judged_is_no_session_and_never_more_than_90() -> None:
    assert shown(until="2026-01-09") == []
    assert len(shown(outcome("2025-01-09"), until="2026-01-09")) == 90
