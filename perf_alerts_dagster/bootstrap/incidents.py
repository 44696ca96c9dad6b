"""Incidents of the settings: how they are told, by what, and who sweeps."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import SystemRandom
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from perf_alerts_dagster.adapters.store.engine import open_engine
from perf_alerts_dagster.adapters.store.incidents import SqlIncidents
from perf_alerts_dagster.adapters.store.leases import SqlLeases
from perf_alerts_dagster.adapters.store.outbox import SqlOutbox
from perf_alerts_dagster.adapters.store.silences import SqlSilences
from perf_alerts_dagster.application.delivery import Delivering
from perf_alerts_dagster.application.desk import Desk
from perf_alerts_dagster.application.direct import Direct
from perf_alerts_dagster.application.lifecycle import Lifecycle
from perf_alerts_dagster.application.outage import Outage
from perf_alerts_dagster.application.policy import Policy
from perf_alerts_dagster.application.tending import Tending
from perf_alerts_dagster.bootstrap.channels import open_all_channels, open_channels
from perf_alerts_dagster.bootstrap.judging import (
    build_judging,
    build_projecting,
    with_thresholds,
)
from perf_alerts_dagster.bootstrap.records import open_market, open_source
from perf_alerts_dagster.bootstrap.resuming import build_resume
from perf_alerts_dagster.bootstrap.store import store_url
from perf_alerts_dagster.domain.errors import StoreUnavailable
from perf_alerts_dagster.domain.incidents.escalation import Patience
from perf_alerts_dagster.settings import Settings

# Seconds: whoever tells people past the store does not wait long for it.
_HASTE = 1.0


def build_policy(settings: Settings) -> Policy:
    """How incidents are told."""
    normal, escalation = open_channels(settings)
    hours = settings.ack_timeout_hours
    return Policy(
        channels=tuple(one.name for one in normal),
        escalation_channels=tuple(one.name for one in escalation),
        least={one.name: one.least for one in (*normal, *escalation)},
        window=timedelta(minutes=settings.suppress_similar_minutes),
        repeat=timedelta(hours=settings.repeat_hours),
        patience=Patience(
            escalate=timedelta(minutes=settings.escalation_delay_minutes),
            acknowledged=timedelta(hours=hours) if hours else None,
        ),
        close_after=settings.event_close_sessions,
        observe_only=settings.observe_only,
        digest=settings.daily_digest,
        gate=settings.rule_preset == "evidence",
        budgets=build_judging(settings).budgets,
    )


def open_desk(settings: Settings, engine: Engine) -> Desk:
    """Incidents, silences and the outbox of the alert store, and the lifecycle over them."""
    incidents = SqlIncidents(engine)
    return Desk(
        incidents=incidents,
        silences=SqlSilences(engine),
        outbox=SqlOutbox(engine),
        lifecycle=Lifecycle(store=incidents, policy=build_policy(settings)),
    )


def build_delivering(settings: Settings, desk: Desk, *, owner: str) -> Delivering:
    """What sends the outbox's messages; `owner` names this sender in the leases of its rows."""
    lifecycle = desk.lifecycle
    return Delivering(
        outbox=desk.outbox,
        channels={one.name: one for one in open_all_channels(settings)},
        on_dead=lambda channel, error, now: lifecycle.dead_letter(channel, error=error, now=now),
        on_sent=lambda channel, now: lifecycle.channel_works(channel, now=now),
        clock=_now,
        jitter=SystemRandom(),
        owner=owner,
        public_url=settings.public_url,
    )


def build_tending(settings: Settings, engine: Engine, *, owner: str) -> Tending:
    """A sweeper over the alert store."""
    desk = open_desk(settings, engine)
    return Tending(
        desk=desk,
        delivering=build_delivering(settings, desk, owner=owner),
        leases=SqlLeases(engine),
        owner=owner,
        resume=build_resume(settings, engine),
    )


def build_direct(settings: Settings) -> Direct:
    """What tells people while the alert store cannot be used.

    Thresholds that were set over REST count where the store can still be read, as on a full disk.
    """
    engine = open_engine(store_url(settings), wait=_HASTE)
    try:
        with suppress(StoreUnavailable):
            settings = with_thresholds(settings, engine)
    finally:
        engine.dispose()
    judging = build_judging(settings)
    return Direct(
        records=open_source(settings),
        market=open_market(settings),
        judging=judging,
        projecting=build_projecting(settings, judging),
        channels=open_channels(settings)[0],
        timezone=ZoneInfo(settings.timezone),
        gate=settings.rule_preset == "evidence",
        observe_only=settings.observe_only,
        public_url=settings.public_url,
    )


def build_outage(settings: Settings) -> Outage:
    """What a process does for people while the alert store cannot be used."""
    return Outage(
        channels=() if settings.observe_only else open_channels(settings)[0],
        opened=lambda: build_direct(settings),
        public_url=settings.public_url,
    )


def _now() -> datetime:
    return datetime.now(UTC)
