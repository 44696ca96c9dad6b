"""What commands share: the opened alert store, ids, times, and the user's name.

The rooms of the system are imported by what uses them: completing a command loads none.
"""

import getpass
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.wording import ago, first_few, local_time

if TYPE_CHECKING:
    from perf_alerts_dagster.control.audit import Change
    from perf_alerts_dagster.identity.store import IdentityStores
    from perf_alerts_dagster.incidents.events import Event
    from perf_alerts_dagster.incidents.lifecycle import Incidents
    from perf_alerts_dagster.incidents.model import Incident, Status
    from perf_alerts_dagster.notifications.timeline import Clock as Words

Listed = TypeVar("Listed", "Incident", "Event")
_LEAST = 4
# More ids that begin alike are not looked at.
MAXIMUM_IDS = 20


def newest(
    read: "Callable[[Status | None], Sequence[Listed]]",
    status: str | None,
    *,
    everything: bool,
    limit: int,
) -> "list[Listed]":
    """The newest incidents or events of a status, of all of them, or of the unresolved ones.

    `read` reads at most `limit` of a status, or of any, newest first.
    """
    from perf_alerts_dagster.incidents.model import Status

    wanted: list[Status | None] = [Status(status)] if status else [None]
    if not status and not everything:
        wanted = [each for each in Status if each is not Status.RESOLVED]
    found = [one for each in wanted for one in read(each)]
    return sorted(found, key=lambda one: (one.opened_at, one.id), reverse=True)[:limit]


@contextmanager
def open_stored_incidents() -> "Iterator[Incidents]":
    """The incidents of these settings' alert store.

    Raises:
        StoreUnavailable: it cannot be reached, or is not migrated.
    """
    from perf_alerts_dagster.bootstrap.notifications import open_incidents
    from perf_alerts_dagster.bootstrap.records import store_url
    from perf_alerts_dagster.judging.store.sql import open_store
    from perf_alerts_dagster.settings import load_settings

    settings = load_settings()
    store = open_store(store_url(settings))
    try:
        yield open_incidents(settings, store.engine)
    finally:
        store.close()


@contextmanager
def open_identity_stores() -> "Iterator[IdentityStores]":
    """Audit, keys and sessions of these settings' alert store.

    Raises:
        StoreUnavailable: it cannot be reached, or is not migrated.
    """
    from perf_alerts_dagster.bootstrap.records import store_url
    from perf_alerts_dagster.identity.store import identity_stores
    from perf_alerts_dagster.judging.store.sql import open_store
    from perf_alerts_dagster.settings import load_settings

    store = open_store(store_url(load_settings()))
    try:
        yield identity_stores(store.engine)
    finally:
        store.close()


def whole_id(given: str, thing: str, found: Mapping[str, str]) -> str:
    """The id that begins as given; as given where none does, for the caller to refuse.

    Args:
        given: The beginning of an id, of at least 4 characters.
        thing: What has the id, such as `incident`.
        found: What may be meant by its id, described in a few words.

    Raises:
        UsageError: it is too short, or begins several ids; the text lists them.
    """
    if given in found:
        return given
    if len(given) < _LEAST:
        raise UsageError(f"ID {given!r} is too short; accepted are {_LEAST} characters or more")
    fitting = {each: words for each, words in found.items() if each.startswith(given)}
    if len(fitting) > 1:
        listed = first_few([f"{each} ({words})" for each, words in fitting.items()])
        raise UsageError(f"ID {given!r} begins {len(fitting)} ids; which {thing}? {listed}")
    return next(iter(fitting), given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Times as people read them at `now`, in the desk's zone (ALERT_TIMEZONE)."""

    now: datetime
    zone: tzinfo

    def at(self, at: datetime | None) -> str:
        """`today 07:09 UTC`; a dash for none."""
        return "-" if at is None else local_time(at, self.now, self.zone)

    @property
    def words(self) -> "Words":
        """The same clock for what has happened, in words."""
        from perf_alerts_dagster.notifications.timeline import Clock as Words

        return Words(self.now, self.zone)

    def age(self, at: datetime | None) -> str:
        """`2 h ago`; a dash for none."""
        return "-" if at is None else ago(at, self.now)


def desk_clock() -> Clock:
    """The clock of these settings' desk."""
    from perf_alerts_dagster.settings import load_settings

    return Clock(now=datetime.now(UTC), zone=ZoneInfo(load_settings().timezone))


def user() -> str:
    """The user who runs the command, as named in timelines and the audit."""
    return f"cli:{getpass.getuser()}"


def change_of(action: str, target: str, now: datetime) -> "Change":
    """The change by a command, for the audit."""
    from perf_alerts_dagster.control.audit import Change

    return Change(
        at=now,
        actor=user(),
        key_id="",
        address="",
        action=action,
        target=target,
        request_id=uuid.uuid4().hex,
    )
