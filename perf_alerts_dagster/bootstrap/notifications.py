"""Builds channels, incidents, delivery and the sweeper from the settings."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from random import SystemRandom
from zoneinfo import ZoneInfo

from pydantic import SecretStr
from sqlalchemy import Engine

from perf_alerts_dagster.control.sql import SqlAudit, SqlLeases
from perf_alerts_dagster.core.files import kept_secret
from perf_alerts_dagster.incidents.lifecycle import Incidents, Lifecycle
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.incidents.notification_settings import (
    EscalationSettings,
    NotificationSettings,
    can_change,
)
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.ledger import openings_of
from perf_alerts_dagster.incidents.store.links import SqlLinks
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.open import PictureOf
from perf_alerts_dagster.notifications.channels.open import open_channels as open_urls
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.delivery import Channel, Deliverer
from perf_alerts_dagster.notifications.links import Links
from perf_alerts_dagster.notifications.sweeper import Sweeper
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_dagster.plots.png import png
from perf_alerts_dagster.plots.sql import SqlPlots
from perf_alerts_dagster.records.groups import is_group
from perf_alerts_dagster.records.sql import SqlDesk
from perf_alerts_dagster.scheduler.pauses import Toggles, end_pauses
from perf_alerts_dagster.scheduler.sql import SqlHistory, SqlSchedulerStore
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.settings.urls import split_channels

_NOW = partial(datetime.now, UTC)
LINK_SECRET_FILE = "link_secret"  # noqa: S105 - the name of a file


def build_outgoing(settings: Settings) -> Outgoing:
    """How webhooks, the heartbeat and other channels leave this machine."""
    proxy = settings.https_proxy
    return Outgoing(ca_bundle=settings.ca_bundle, proxy=proxy.get_secret_value() if proxy else None)


def open_channels(
    settings: Settings, *, picture_of: PictureOf = lambda incident_id: None
) -> tuple[tuple[Channel, ...], tuple[Channel, ...]]:
    """The channels of notifications and those of escalations; nothing is connected yet.

    `picture_of` draws the plot of an incident as PNG, for mails.

    Raises:
        SettingsError: a URL is of an unknown kind.
    """
    allowed = (settings.notify_allowed_hosts or "").lower().split(",")
    addresses = Addresses(allowed=frozenset(host.strip().rstrip(".") for host in allowed if host))
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else None
    outgoing = build_outgoing(settings)

    def channels_of(urls: SecretStr | None, variable: str) -> tuple[Channel, ...]:
        single = split_channels(urls.get_secret_value()) if urls else ()
        return open_urls(
            single,
            variable=variable,
            secret=secret,
            addresses=addresses,
            outgoing=outgoing,
            picture_of=picture_of,
        )

    return (
        channels_of(settings.notify_urls, "ALERT_NOTIFY_URLS"),
        channels_of(settings.escalation_urls, "ALERT_ESCALATION_URLS"),
    )


def open_all_channels(
    settings: Settings, *, picture_of: PictureOf = lambda incident_id: None
) -> tuple[Channel, ...]:
    """Every channel of the settings, once each; see `open_channels`."""
    normal, escalation = open_channels(settings, picture_of=picture_of)
    return tuple({channel.name: channel for channel in (*normal, *escalation)}.values())


def build_resume(settings: Settings, engine: Engine) -> Callable[[], None]:
    """A function that ends expired pauses; it queries Dagster only while there are pauses."""
    store = SqlSchedulerStore(engine)

    async def ask_and_end() -> None:
        from perf_alerts_dagster.scheduler.graphql.client import Budgets, connected
        from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler

        budgets = Budgets.within(settings.dagster_seconds)
        async with connected(
            settings.webserver_port, budgets, state_dir=settings.state_dir
        ) as client:
            toggles = Toggles(
                scheduler=GraphQLScheduler(client),
                store=store,
                leases=SqlLeases(engine),
                clock=_NOW,
            )
            await end_pauses(toggles, SqlAudit(engine))

    def resume() -> None:
        if store.pauses():
            asyncio.run(ask_and_end())

    return resume


def build_history(settings: Settings, engine: Engine) -> SqlHistory:
    """What is kept of schedules in force, of switches and of signs of life."""
    return SqlHistory(engine, grace=timedelta(minutes=settings.pause_grace_minutes))


def build_can_change(settings: Settings, engine: Engine) -> Callable[[Incident, datetime], bool]:
    """Whether an incident's number can change on the day of a time, by the kept calendars."""
    desk, zone = SqlDesk(engine), ZoneInfo(settings.timezone)

    def ask(incident: Incident, now: datetime) -> bool:
        names = {settings.calendar}
        if settings.calendar == "record":
            kept = desk.kept().calendars
            # Of a group any member's.
            wanted = kept if is_group(incident.strategy) else {incident.strategy}
            names = {kept[name].name for name in wanted if name in kept}
        return can_change(incident, now.astimezone(zone).date(), names)

    return ask


def build_budgets(settings: Settings) -> Budgets:
    """The false-alarm budgets: which breaches people are notified of."""
    return Budgets(
        warning=settings.false_alarm_warning,
        critical=settings.false_alarm_critical,
        rules=settings.false_alarm_rules.get("default", {}),
        of_strategy=settings.false_alarm_rules.get("strategies", {}),
        of_each=(settings.false_alarm_strategy_warning, settings.false_alarm_strategy_critical),
        of_desk=(settings.false_alarms_per_year, settings.false_criticals_per_year),
    )


def build_notification_settings(settings: Settings) -> NotificationSettings:
    """When and through which channels people are notified of incidents."""
    normal, escalation = open_channels(settings)
    hours = settings.ack_timeout_hours
    return NotificationSettings(
        channels=tuple(channel.name for channel in normal),
        escalation_channels=tuple(channel.name for channel in escalation),
        pagers=frozenset(
            channel.name for channel in (*normal, *escalation) if channel.takes_answers
        ),
        minimum={channel.name: channel.minimum for channel in (*normal, *escalation)},
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
        budgets=build_budgets(settings),
    )


def open_incidents(settings: Settings, engine: Engine) -> Incidents:
    """Incidents, silences and the outbox of the alert store, and the lifecycle over them."""
    store = SqlIncidents(engine)
    return Incidents(
        store=store,
        outbox=SqlOutbox(engine),
        lifecycle=Lifecycle(
            store=store,
            settings=replace(
                build_notification_settings(settings), can_change=build_can_change(settings, engine)
            ),
            take_downtime=SqlHistory(engine).take_downtime,
            openings=partial(openings_of, engine),
        ),
    )


def build_links(settings: Settings, engine: Engine) -> Links:
    """The links of messages; their secret is made in the state folder at the first one."""
    path = settings.state_dir / LINK_SECRET_FILE
    return Links(
        store=SqlLinks(engine),
        public_url=settings.public_url,
        secret=lambda: kept_secret(path, secrets.token_urlsafe(64)),
        clock=_NOW,
    )


def build_wording(settings: Settings, engine: Engine | None = None) -> Wording:
    """The links and the time zone of messages; without a store none has a link of its own."""
    wording = Wording(
        public_url=settings.public_url,
        runbook_url=settings.runbook_url,
        zone=ZoneInfo(settings.timezone),
    )
    if engine is None:
        return wording
    return replace(wording, links_of=build_links(settings, engine).links_of)


def build_picture_of(engine: Engine) -> PictureOf:
    """A function that draws the plot of an incident as PNG; None where none is kept."""
    store = SqlPlots(engine)

    def picture_of(incident_id: str) -> bytes | None:
        plot = store.plots([incident_id]).get(incident_id)
        return None if plot is None else png(plot)

    return picture_of


def build_deliverer(
    settings: Settings, incidents: Incidents, engine: Engine, *, owner: str
) -> Deliverer:
    """The deliverer of the outbox's messages; `owner` identifies it in the rows that it leases."""
    channels = open_all_channels(settings, picture_of=build_picture_of(engine))
    return Deliverer(
        outbox=incidents.outbox,
        channels={channel.name: channel for channel in channels},
        on_dead_letter=incidents.lifecycle.dead_letter,
        on_sent=incidents.lifecycle.channel_recovered,
        clock=_NOW,
        jitter=SystemRandom(),
        owner=owner,
        wording=build_wording(settings, engine),
    )


def build_sweeper(settings: Settings, engine: Engine, *, owner: str) -> Sweeper:
    """A sweeper over the alert store."""
    incidents = open_incidents(settings, engine)
    return Sweeper(
        incidents=incidents,
        deliverer=build_deliverer(settings, incidents, engine, owner=owner),
        leases=SqlLeases(engine),
        owner=owner,
        resume=build_resume(settings, engine),
        history=build_history(settings, engine),
    )
