"""Channels, incidents and who sweeps, from the settings."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import SystemRandom
from zoneinfo import ZoneInfo

from pydantic import SecretStr
from sqlalchemy import Engine

from perf_alerts_dagster.bootstrap.judging import (
    build_judging,
    build_projecting,
    with_thresholds,
)
from perf_alerts_dagster.bootstrap.records import open_market, open_source, store_url
from perf_alerts_dagster.control.sql import SqlAudit, SqlLeases
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.executions.without_store import Direct
from perf_alerts_dagster.incidents.lifecycle import Incidents, Lifecycle
from perf_alerts_dagster.incidents.notification_settings import (
    EscalationSettings,
    NotificationSettings,
)
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.open import open_channels as opened
from perf_alerts_dagster.notifications.delivery import Channel, Deliverer
from perf_alerts_dagster.notifications.outage import Outage
from perf_alerts_dagster.notifications.sweeper import Sweeper
from perf_alerts_dagster.scheduler.pauses import PauseEnder, Toggles
from perf_alerts_dagster.scheduler.sql import SqlSchedulerStore
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.settings.urls import split_channels
from perf_alerts_dagster.storage.engine import open_engine


def open_channels(settings: Settings) -> tuple[tuple[Channel, ...], tuple[Channel, ...]]:
    """The channels of notifications and those of escalations; nothing is connected yet.

    Raises:
        SettingsError: a URL is of a kind that nobody knows.
    """
    allowed = (settings.notify_allowed_hosts or "").lower().split(",")
    addresses = Addresses(allowed=frozenset(one.strip().rstrip(".") for one in allowed if one))
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else None

    def of(urls: SecretStr | None, variable: str) -> tuple[Channel, ...]:
        single = split_channels(urls.get_secret_value()) if urls else ()
        return opened(single, variable=variable, secret=secret, addresses=addresses)

    return (
        of(settings.notify_urls, "ALERT_NOTIFY_URLS"),
        of(settings.escalation_urls, "ALERT_ESCALATION_URLS"),
    )


def open_all_channels(settings: Settings) -> tuple[Channel, ...]:
    """Every channel of the settings, once each; see `open_channels`."""
    normal, escalation = open_channels(settings)
    return tuple({one.name: one for one in (*normal, *escalation)}.values())


def build_resume(settings: Settings, engine: Engine) -> Callable[[], None]:
    """Switches schedules on whose pause is over; asks Dagster only while something is paused."""
    store = SqlSchedulerStore(engine)

    async def resumed() -> None:
        from perf_alerts_dagster.scheduler.graphql.client import connected
        from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler

        async with connected(settings.webserver_port) as client:
            await PauseEnder(
                toggles=Toggles(
                    scheduler=GraphQLScheduler(client),
                    store=store,
                    leases=SqlLeases(engine),
                    clock=_now,
                ),
                audit=SqlAudit(engine),
                clock=_now,
            ).resume()

    def resume() -> None:
        if store.pauses():
            asyncio.run(resumed())

    return resume


def _now() -> datetime:
    return datetime.now(UTC)


# Seconds: what notifies people past the store does not wait long for it.
_HASTE = 1.0


def build_notification_settings(settings: Settings) -> NotificationSettings:
    """The settings of notifications."""
    normal, escalation = open_channels(settings)
    hours = settings.ack_timeout_hours
    return NotificationSettings(
        channels=tuple(one.name for one in normal),
        escalation_channels=tuple(one.name for one in escalation),
        minimum={one.name: one.minimum for one in (*normal, *escalation)},
        window=timedelta(minutes=settings.suppress_similar_minutes),
        repeat=timedelta(hours=settings.repeat_hours),
        escalation=EscalationSettings(
            delay=timedelta(minutes=settings.escalation_delay_minutes),
            acknowledgement_timeout=timedelta(hours=hours) if hours else None,
        ),
        close_after=settings.event_close_sessions,
        observe_only=settings.observe_only,
        digest=settings.daily_digest,
        gate=settings.rule_preset == "evidence",
        budgets=build_judging(settings).budgets,
    )


def open_incidents(settings: Settings, engine: Engine) -> Incidents:
    """Incidents, silences and the outbox of the alert store, and the lifecycle over them."""
    store = SqlIncidents(engine)
    return Incidents(
        store=store,
        outbox=SqlOutbox(engine),
        lifecycle=Lifecycle(store=store, settings=build_notification_settings(settings)),
    )


def build_deliverer(settings: Settings, incidents: Incidents, *, owner: str) -> Deliverer:
    """The worker that sends the outbox's messages; `owner` names it in the leases of its rows."""
    lifecycle = incidents.lifecycle
    return Deliverer(
        outbox=incidents.outbox,
        channels={one.name: one for one in open_all_channels(settings)},
        on_dead_letter=lambda channel, error, now: lifecycle.dead_letter(
            channel, error=error, now=now
        ),
        on_sent=lambda channel, now: lifecycle.channel_recovered(channel, now=now),
        clock=_now,
        jitter=SystemRandom(),
        owner=owner,
        public_url=settings.public_url,
    )


def build_sweeper(settings: Settings, engine: Engine, *, owner: str) -> Sweeper:
    """A sweeper over the alert store."""
    incidents = open_incidents(settings, engine)
    return Sweeper(
        incidents=incidents,
        deliverer=build_deliverer(settings, incidents, owner=owner),
        leases=SqlLeases(engine),
        owner=owner,
        resume=build_resume(settings, engine),
    )


def build_direct(settings: Settings) -> Direct:
    """What notifies people while the alert store cannot be used.

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
        projections_issuer=build_projecting(settings, judging),
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
        open_judge=lambda: build_direct(settings),
        public_url=settings.public_url,
    )
