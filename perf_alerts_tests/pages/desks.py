"""Desks to look at: standings as they are stored, with their incidents and messages."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Engine

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind
from perf_alerts_dagster.judging.standings.model import (
    AlertStanding,
    Cell,
    Figures,
    Member,
    RuleStanding,
    Standing,
)
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.judging.store.standings import row_of
from perf_alerts_dagster.storage.desk_tables import standings
from perf_alerts_tests.incidents.incident_desk import DAILY, breach, event, judged

SESSION = date(2026, 1, 30)
JUDGED_AT = datetime.fromisoformat("2026-01-30T17:00:20+00:00")
RULES = (
    "interval_breach", "daily_exceedance", "consecutive_exceedances", "exceedance_rate",
    "mean_shortfall_126", "mean_shortfall_252", "decay_cusum", "rolling_sharpe",
    "sharpe_degradation", "drawdown", "wipe_out", "flat_run", "repeated_pnl", "volatility_shift",
    "no_data", "stale_data", "walk_forward_stability", "overfitting",
)  # fmt: skip
_DAYS = (SESSION - timedelta(days=days) for days in range(200))
_SESSIONS = tuple(sorted(day for day in _DAYS if day.weekday() < 5)[-90:])


def figures(seed: int = 1, **changes: Any) -> Figures:
    """A live year of random rows, in a band around it."""
    rng = np.random.default_rng(seed)
    path = np.expm1(np.cumsum(rng.normal(0.001, 0.01, 60)))
    width = 0.03 * np.sqrt(np.arange(1, 61))
    given: dict[str, Any] = {
        "last_row": SESSION,
        "live_since": date(2025, 1, 6),
        "live_rows": 273,
        "backtest_rows": 1008,
        "last_return": float(rng.normal(0.0, 0.01)),
        "last_pnl": float(rng.normal(0.0, 9_000.0)),
        "capital": 1e6,
        "month_return": float(rng.normal(0.0, 0.03)),
        "live_return": float(path[-1]),
        "drawdown": float(-rng.uniform(0.0, 0.1)),
        "under_water": int(rng.integers(0, 90)),
        "calendar": "XNYS",
        "band": float(rng.uniform(0.1, 0.9)),
        "projected_on": date(2025, 1, 3),
        "path": tuple(path.round(4).tolist()),
        "lower": tuple((0.001 * np.arange(60) - width).round(4).tolist()),
        "upper": tuple((0.001 * np.arange(60) + width).round(4).tolist()),
    }
    return Figures(**(given | changes))


def standing(
    name: str,
    found: Mapping[str, Cell] | None = None,
    *,
    state: Cell | None = None,
    note: str = "",
    only: bool = False,
    strip: str = "",
    **member: Any,
) -> Standing:
    """A strategy whose rules found nothing but what `found` says; with `only` the others are not.

    `strip` are the codes of its newest sessions.
    """
    found = found or {}
    cells = dict(found) if only else dict.fromkeys(RULES, Cell.OK) | dict(found)
    worst = state or max(cells.values(), key=lambda each: each.rank, default=Cell.OK)
    codes = ("." * 90 + strip + worst.code)[-90:]
    given = {"group": "vol", "owner": "linus", "currency": "USD"}
    known = given | {"figures": figures(sum(map(ord, name)))} | member
    return Standing(
        strategy=name,
        session=SESSION,
        judged_at=JUDGED_AT,
        member=Member(**known),
        rules={
            rule: RuleStanding(
                cell=cell,
                alert=DAILY,
                as_of=SESSION,
                value=-0.12,
                limit=-0.1,
                p_year={Cell.CRITICAL: 0.001, Cell.WARNING: 0.02, Cell.WEAK: 0.1}.get(cell, 0.6),
                notifies=cell.rank >= Cell.WARNING.rank,
                strip=codes,
            )
            for rule, cell in cells.items()
        },
        alerts={
            DAILY: AlertStanding(
                cell=worst, as_of=SESSION, judged_at=JUDGED_AT, note=note, strip=codes
            )
        },
        sessions=_SESSIONS,
    )


def stand(engine: Engine, rows: Sequence[Standing]) -> None:
    """Store standings."""
    with engine.begin() as connection:
        connection.execute(standings.insert(), [row_of(each) for each in rows])


def eight() -> list[Standing]:
    """One crash, one decay, one late, one blind, one flat, three that are well, and the groups."""
    late = figures(3, last_row=date(2026, 1, 23), late=5)
    return [
        standing(
            "ALL",
            {"interval_breach": Cell.CRITICAL, "rolling_sharpe": Cell.WEAK},
            is_group=True, group=None, owner=None, strip="...w.w",
            figures=figures(7, last_return=-0.0207, last_pnl=-207_000.0, band=0.011),
        ),
        standing("group:vol", {"daily_exceedance": Cell.WARNING}, is_group=True, owner=None),
        standing("group:equity", is_group=True, owner=None),
        standing(
            "short_vol",
            {
                "interval_breach": Cell.CRITICAL, "daily_exceedance": Cell.CRITICAL,
                "drawdown": Cell.WEAK, "volatility_shift": Cell.WARNING,
            },
            strip="..w.ww.1.",
            figures=figures(5, last_return=-0.15, last_pnl=-170_000.0, band=0.0004),
        ),
        standing(
            "momentum_us",
            {"decay_cusum": Cell.WARNING, "mean_shortfall_252": Cell.WEAK, "drawdown": Cell.WEAK},
            group="equity", strip="wwwwwwwwwwww1111111111",
            figures=figures(11, live_return=-0.084, drawdown=-0.161, under_water=190, band=0.02),
        ),
        standing(
            "stat_arb_eu", {"no_data": Cell.NO_DATA}, only=True, group="equity", owner="grace",
            note="the newest row is of 2026-01-23, 5 sessions late", strip="0000", figures=late,
        ),
        standing(
            "new_ml",
            dict.fromkeys(RULES[:12], Cell.INSUFFICIENT_DATA), group="equity", owner="ada",
            note="40 of 252 rows; watched only for data and drawdown", strip="?" * 30,
            figures=figures(13, live_rows=40, band=None, lower=(None,) * 60, upper=(None,) * 60),
        ),
        standing(
            "flat_book", {"flat_run": Cell.WARNING, "volatility_shift": Cell.WARNING},
            group="carry", owner="grace", strip="1111111",
            figures=figures(17, last_return=0.0, last_pnl=0.0, month_return=0.0),
        ),
        standing("trend_fast", {"rolling_sharpe": Cell.WEAK}, group="trend", owner="ada"),
        standing("trend_slow", {"stale_data": Cell.INFO}, group="trend", owner="ada"),
        standing("carry_fx", group="carry", owner="grace"),
    ]  # fmt: skip


def many(count: int) -> list[Standing]:
    """The whole desk and ten groups of `count` strategies, of which some are not well."""
    states = (Cell.OK, Cell.OK, Cell.WEAK, Cell.OK, Cell.WARNING, Cell.OK, Cell.CRITICAL)
    base = {cell: standing("x", {"drawdown": cell}, strip=cell.code * 3) for cell in set(states)}
    own = [
        replace(
            base[states[number % 7] if number % 50 < 7 else Cell.OK],
            strategy=f"s{number:04d}",
            member=Member(
                group=f"g{number % 10}",
                owner=f"owner{number % 7}",
                currency="USD",
                figures=figures(number),
            ),
        )
        for number in range(count)
    ]
    groups = [
        replace(base[Cell.OK], strategy=name, member=Member(is_group=True, figures=figures(place)))
        for place, name in enumerate(["ALL", *(f"group:g{number}" for number in range(10))])
    ]
    return [*groups, *own]


CRASH = event(
    strategy="short_vol",
    severity=Severity.CRITICAL,
    session=SESSION,
    value=-0.15,
    p_year=0.0004,
    message="it lost 15 %",
    parts={"headline": "-15.0 % on Fri 30 Jan", "owner": "linus"},
)
DECAY = breach(
    strategy="momentum_us",
    rule="decay_cusum",
    kind=Kind.LEVEL,
    parts={"headline": "mean -8 % a year since Mar", "owner": "linus"},
)


def open_incidents(
    engine: Engine, *found: Evaluation, at: datetime = JUDGED_AT, sent: bool = True
) -> Lifecycle:
    """Incidents of what was found, and their messages delivered a minute later."""
    lifecycle = Lifecycle(
        store=SqlIncidents(engine), settings=NotificationSettings(channels=("mail",))
    )
    made = judged(*found, as_of=SESSION, judged_at=at, run_id=at.isoformat())
    SqlAlertStore(engine).record(made, watermark=SESSION)
    lifecycle.apply_judgements(DAILY, run_id=made.run_id, now=at)
    later, outbox = at + timedelta(minutes=1), SqlOutbox(engine)
    for one in outbox.claim(later, "postman", timedelta(minutes=1), limit=100) if sent else ():
        assert outbox.mark_sent(one.id, one.fence, later)
    return lifecycle


def as_shown(engine: Engine) -> None:
    """The desk of eight with its incidents."""
    open_incidents(engine, CRASH, DECAY)
    with engine.begin() as connection:
        connection.execute(standings.delete())
    stand(engine, eight())
