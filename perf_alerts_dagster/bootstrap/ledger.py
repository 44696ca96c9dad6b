"""Builds the ledger of false alarms, and what a desk's budget costs and sees, from the settings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from perf_alerts_dagster.bootstrap.executions import build_session_judge, with_thresholds
from perf_alerts_dagster.bootstrap.notifications import build_budgets
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.executions.session_judge import SessionJudge
from perf_alerts_dagster.incidents.ledger import Accounts, Ledger, ledger_of, total
from perf_alerts_dagster.incidents.store.ledger import openings_of
from perf_alerts_dagster.judging.cost import Cost, detections
from perf_alerts_dagster.judging.rules.shadow import RULE as SHADOW_GAP
from perf_alerts_dagster.judging.rules.thresholds import DRAWDOWN
from perf_alerts_dagster.judging.shares import share_of
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.projections.calibration import Calibration
from perf_alerts_dagster.projections.ports import calibrations_in_force, launches_in_force
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.records.sql import SqlDesk
from perf_alerts_dagster.settings import Settings

# `check` draws healthy years of no more strategies than this, on so many lives: a few seconds.
_MAXIMUM_DRAWN, _LIVES, _PATHS = 40, 2_000, 1_000


def is_gated(settings: Settings) -> bool:
    """Whether a notification needs evidence; without, no budget holds."""
    return settings.rule_preset == "evidence"


def read_totals(settings: Settings, engine: Engine, now: datetime) -> Accounts:
    """What the settings state for the desk that was judged last, and the openings of a year.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    strategies = len(_judged(SqlAlertStore(engine)))
    budgets = build_budgets(settings)
    openings = openings_of(engine, now)
    return total(openings, budgets, strategies=strategies, gate=is_gated(settings))


def read_ledger(
    settings: Settings,
    engine: Engine,
    now: datetime,
    records: Mapping[str, StrategyRecord],
    strategy: str | None = None,
) -> Ledger:
    """The ledger of the desk that was judged last, or of one strategy of it.

    `records` are the rows by which limits of losses are counted, of those strategies that have
    any. Thresholds that were set over REST count.

    Raises:
        StoreUnavailable: the store cannot be read.
        UsageError: no strategy of that name was judged or has an incident.
    """
    settings = with_thresholds(settings, engine)
    store = SqlAlertStore(engine)
    session_judge, judged = build_session_judge(settings, store), _judged(store)
    shadowed = frozenset(each.evaluation.strategy for each in store.current(rule=SHADOW_GAP.id))
    budgets = replace(session_judge.judge.budgets, shadowed=shadowed)
    calibrations = _stored(session_judge, engine, settings, now)
    openings = openings_of(engine, now)
    known = {*judged, *(opening.strategy for opening in openings)}
    if strategy is not None and strategy not in known:
        raise UsageError(
            f"strategy {strategy!r} was not judged and has no incident of the last year; "
            f"accepted are {', '.join(sorted(known)) or 'none: nothing was judged yet'}"
        )
    shares = [
        share_of(
            name,
            calibrations.get(name),
            records.get(name),
            budgets=budgets,
            book=session_judge.judge.book,
            strategies=len(judged),
            live_rows=live_rows,
        )
        for name, live_rows in judged.items()
        if strategy in (None, name)
    ]
    return ledger_of(
        shares,
        [opening for opening in openings if strategy in (None, opening.strategy)],
        budgets,
        strategies=len(judged),
        gate=is_gated(settings),
    )


def cost_of(settings: Settings, reading: Reading, engine: Engine | None, now: datetime) -> Cost:
    """What the budget costs and sees; by the stored healthy years, else by such drawn now.

    Of a large desk they are drawn for some strategies, evenly by name. `engine` is that of the
    alert store; None where there is none yet.

    Raises:
        StoreUnavailable: the store cannot be read or written.
    """
    if engine is not None:
        settings = with_thresholds(settings, engine)
    session_judge = build_session_judge(settings)
    judged = {
        name: record
        for name, record in sorted(reading.records.strategies.items())
        if record.is_judged_on(reading.as_of) and len(record.until(reading.as_of))
    }
    names = list(judged)
    shadowed = frozenset(name for name, record in judged.items() if record.shadow is not None)
    budgets = replace(session_judge.judge.budgets, shadowed=shadowed)
    calibrations: Mapping[str, Calibration] = {}
    if engine is not None:
        calibrations = _stored(session_judge, engine, settings, now)
    if not calibrations.keys() & judged.keys():
        step = -(-len(names) // _MAXIMUM_DRAWN)
        names = names[:: max(step, 1)]
        calibrations = _drawn(settings, reading, names)
    shares = [
        share_of(
            name,
            calibrations.get(name),
            judged[name],
            budgets=budgets,
            book=session_judge.judge.book,
            strategies=len(judged),
            live_rows=int(judged[name].live.sum()),
        )
        for name in names
    ]
    rated = {name: calibrations[name] for name in names if name in calibrations}
    return Cost(
        strategies=len(judged),
        shares=shares,
        seen=detections(rated, budgets, len(judged)),
        stated=budgets.stated(len(judged)),
    )


def _judged(store: SqlAlertStore) -> dict[str, int]:
    """The strategies and groups that were judged last, with their live rows."""
    newest = store.current(rule=DRAWDOWN.id)
    return {each.evaluation.strategy: each.evaluation.observations or 0 for each in newest}


def _stored(
    session_judge: SessionJudge, engine: Engine, settings: Settings, now: datetime
) -> dict[str, Calibration]:
    issuer = session_judge.issuer
    today = now.astimezone(ZoneInfo(settings.timezone)).date()
    store = SqlAlertStore(engine)
    launched = launches_in_force(store, SqlDesk(engine).kept().baselines, today)
    stored = calibrations_in_force(store, launched, today, kind=issuer.calibrations)
    return {name: issuer.unpack_calibration(each) for name, each in stored.items()}


def _drawn(settings: Settings, reading: Reading, names: Sequence[str]) -> Mapping[str, Calibration]:
    """Healthy years that are drawn now, and kept nowhere."""
    strategies = {name: reading.records.strategies[name] for name in names}
    part = replace(reading, records=replace(reading.records, strategies=strategies))
    issuer = replace(build_session_judge(settings).issuer, paths=_PATHS, lives=_LIVES)
    issuer.issue_launch(part, reading.as_of, run_id="check")
    outlook = issuer.outlook(reading.as_of, {}, reading.baselines, monthly=False)
    return outlook.calibrations
