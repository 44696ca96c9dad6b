"""The opened alert store and the user's name, for commands."""

import getpass
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.incidents.lifecycle import Incidents
from perf_alerts_dagster.settings import load_settings

if TYPE_CHECKING:
    from perf_alerts_dagster.identity.store import IdentityStores


@contextmanager
def open_stored_incidents() -> Iterator[Incidents]:
    """The incidents of these settings' alert store.

    Raises:
        StoreUnavailable: it cannot be reached, or is not migrated.
    """
    from perf_alerts_dagster.bootstrap.notifications import open_incidents
    from perf_alerts_dagster.bootstrap.records import store_url
    from perf_alerts_dagster.judging.store.sql import open_store

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

    store = open_store(store_url(load_settings()))
    try:
        yield identity_stores(store.engine)
    finally:
        store.close()


def user() -> str:
    """The user who runs the command, as named in timelines and the audit."""
    return f"cli:{getpass.getuser()}"


def change_of(action: str, target: str, now: datetime) -> Change:
    """The change by a command, for the audit."""
    return Change(
        at=now,
        actor=user(),
        key_id="",
        address="",
        action=action,
        target=target,
        request_id=uuid.uuid4().hex,
    )
