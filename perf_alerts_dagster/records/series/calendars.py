"""A strategy's calendar as JSON, and back."""

from datetime import date, time
from typing import Any
from zoneinfo import ZoneInfo

from perf_alerts_dagster.records.calendars import (
    AnyMember,
    Origin,
    StrategyCalendar,
    group_calendar,
)
from perf_alerts_dagster.records.model import Dates
from perf_alerts_dagster.records.sessions import (
    Calendar,
    Closing,
    DayCalendar,
    ExchangeCalendar,
    ListedDays,
    PeriodCalendar,
)


def calendar_json(calendar: StrategyCalendar) -> dict[str, Any]:
    """The calendar without the days that it lists, if it lists any."""
    made: dict[str, Any] = {
        "name": calendar.name,
        "origin": calendar.origin.value,
        "periods_per_year": calendar.periods_per_year,
        "since": calendar.since and calendar.since.isoformat(),
        "longest_gap": calendar.longest_gap,
    }
    counted = calendar.counted
    if isinstance(counted, AnyMember):
        members = [calendar_json(member) for member in counted.members]
        return made | {"members": members, "closing": _closing_json(counted.closing)}
    return made | {
        "days": _days_json(calendar.days, calendar.name),
        "counted": _days_json(counted, calendar.name),
        "closing": _closing_json(calendar.closing),
        "is_market": calendar.is_market,
    }


def calendar_from(content: Any, listed: Dates) -> StrategyCalendar:  # noqa: ANN401 - JSON
    """The calendar of `calendar_json`; `listed` are the days that it lists.

    Raises:
        KeyError, TypeError, ValueError: the content is not such a calendar's.
        SettingsError: its exchange is not known any more.
    """
    since = content["since"]
    own: dict[str, Any] = {
        "name": content["name"],
        "origin": Origin(content["origin"]),
        "periods_per_year": float(content["periods_per_year"]),
        "since": since and date.fromisoformat(since),
        "longest_gap": int(content["longest_gap"]),
    }
    closing = _closing_from(content["closing"])
    if "members" in content:
        members = [calendar_from(each, listed[:0]) for each in content["members"]]
        made = group_calendar(members, closing)
        return StrategyCalendar(**own, days=made.days, counted=made.counted, closing=made.closing)
    days, counted = (_days_from(content[name], listed, closing) for name in ("days", "counted"))
    closes = counted if content["is_market"] else closing
    return StrategyCalendar(**own, days=days, counted=counted, closing=closes)


def _days_json(calendar: Calendar, name: str) -> dict[str, Any]:
    if isinstance(calendar, DayCalendar):
        return {"weekmask": calendar.weekmask, "periods_per_year": calendar.periods_per_year}
    if isinstance(calendar, PeriodCalendar):
        return {"monthly": calendar.monthly, "position": calendar.position}
    return {"exchange": name} if isinstance(calendar, ExchangeCalendar) else {"listed": True}


def _days_from(content: dict[str, Any], listed: Dates, closing: Closing) -> Calendar:
    if "exchange" in content:
        return ExchangeCalendar(content["exchange"], closing)
    if "listed" in content:
        return ListedDays(days=listed, closing=closing)
    make = PeriodCalendar if "monthly" in content else DayCalendar
    return make(**content, closing=closing)


def _closing_json(closing: Calendar | Closing) -> dict[str, str | None]:
    own = closing if isinstance(closing, Closing) else closing.closing
    at = None if own.at is None else own.at.isoformat()
    return {"at": at, "zone": str(own.zone)}


def _closing_from(content: dict[str, str | None]) -> Closing:
    at = content["at"]
    return Closing(
        at=None if at is None else time.fromisoformat(at), zone=ZoneInfo(content["zone"] or "UTC")
    )
