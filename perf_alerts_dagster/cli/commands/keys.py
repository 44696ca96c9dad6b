"""`perf-alerts keys`: the API keys, made and ended while the server runs."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from perf_alerts_dagster.cli.commands.silences import Span
from perf_alerts_dagster.cli.options import TIME, json_option
from perf_alerts_dagster.cli.output import ERR, print_json, print_table, say, table
from perf_alerts_dagster.cli.session import (
    change_of,
    desk_clock,
    open_identity_stores,
    user,
    whole_id,
)
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.errors import SettingsError, UsageError
from perf_alerts_dagster.settings.keys import ROLES

if TYPE_CHECKING:
    from perf_alerts_dagster.identity.keys import Registry

_SHOWN = ("key_id", "user_id", "source", "status", "expires_at", "last_used", "created_by")
_at = click.option("--at", type=TIME, help="When it expires, such as 2026-12-31T00:00:00Z.")
_for = click.option("--for", "span", type=Span(), help="After how long it expires: 8h, 30d.")


@click.group()
def keys() -> None:
    """List, make, expire and revoke API keys; a running server follows within a second.

    Keys of the environment are listed too, and are changed there.
    """


@keys.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """All keys, those of the settings first; never their text."""
    from perf_alerts_dagster.identity.stored_keys import described

    clock = desk_clock()
    settings_keys = _settings_keys()
    with open_identity_stores() as stores:
        uses = stores.key_use.last_used()
        pairs = (settings_keys.source, settings_keys.keys), ("store", stores.keys.all())
    rows = [
        described(key, clock.now, source, uses.get(key.key_id))
        for source, found in pairs
        for key in found
    ]

    def texts(write: Callable[[datetime], str]) -> list[dict[str, object]]:
        return [
            {
                name: write(each) if isinstance(each, datetime) else each
                for name, each in row.items()
            }
            for row in rows
        ]

    if as_json:
        print_json({"keys": texts(timestamp)})
        return
    shown = table(
        "keys",
        *(name.replace("_", " ") for name in _SHOWN),
        optional=("created by", "source", "last used", "expires at"),
    )
    for row in texts(clock.at):
        shown.add_row(*(escape(str(row[name] or "-")) for name in _SHOWN))
    print_table(shown)


@keys.command()
@click.argument("role", type=click.Choice(ROLES))
@click.argument("name")
@_at
@_for
def create(role: str, name: str, at: datetime | None, span: timedelta | None) -> None:
    """Make a key for a role, under a name, and print it: this once.

    \b
    perf-alerts keys create operator ci-bot --for 90d
    """
    from perf_alerts_dagster.identity.stored_keys import KEY_NAME, KeyRefused, make_key

    now = datetime.now(UTC)
    if not KEY_NAME.fullmatch(name):
        raise UsageError(
            f"NAME {name!r}: 1 to 64 letters, digits, dots, dashes and underscores are accepted"
        )
    expires_at = _expiry(at, span, now)
    text, key = make_key(role, name, by=user(), at=now, expires_at=expires_at)
    if key.user_id in {other.user_id for other in _settings_keys().keys}:
        raise UsageError(f"a key of the settings is named {key.user_id}; choose another name")
    with open_identity_stores() as stores:
        try:
            stores.keys.create(key, change_of("create_key", f"keys/{key.key_id}", now))
        except KeyRefused as error:
            raise UsageError(str(error)) from error
    until = f"until {desk_clock().at(expires_at)}" if expires_at else "until it is revoked"
    ERR.print(f"{key.user_id} ({key.key_id}), {until}; the key is not shown again:")
    click.echo(text)


@keys.command()
@click.argument("key_id", metavar="ID")
@_at
@_for
def expire(key_id: str, at: datetime | None, span: timedelta | None) -> None:
    """Set when a key expires; its tokens and sessions end with it."""
    now = datetime.now(UTC)
    expires_at = _expiry(at, span, now)
    if expires_at is None:
        raise UsageError("--at TIME or --for SPAN is needed; `revoke` ends a key now")
    key_id = _change(key_id, now, expires_at)
    say(f"{key_id} expires {desk_clock().at(expires_at)}")


@keys.command()
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> None:
    """End a key now and for good; its tokens and sessions end with it."""
    key_id = _change(key_id, datetime.now(UTC), None)
    say(f"{key_id} is revoked")


def _change(given: str, now: datetime, expires_at: datetime | None) -> str:
    """Expire or revoke a key; returns its id, of which the beginning is given."""
    from perf_alerts_dagster.identity.stored_keys import KeyRefused, UnknownKey

    ours = {key.key_id: key.user_id for key in _settings_keys().keys}
    with open_identity_stores() as stores:
        known = ours | {key.key_id: key.user_id for key in stores.keys.all()}
        key_id = whole_id(given, "key", known)
        if key_id in ours:
            raise UsageError(f"{key_id} is a key of the settings: remove it there and start again")
        action = "revoke_key" if expires_at is None else "expire_key"
        change = change_of(action, f"keys/{key_id}", now)
        try:
            if expires_at is None:
                stores.keys.revoke(key_id, change)
            else:
                stores.keys.expire(key_id, expires_at, change)
        except UnknownKey as error:
            raise UsageError(f"there is no key {key_id}; `perf-alerts keys list`") from error
        except KeyRefused as error:
            raise UsageError(str(error)) from error
    return key_id


def _expiry(at: datetime | None, span: timedelta | None, now: datetime) -> datetime | None:
    if at is not None and span is not None:
        raise UsageError("--at and --for exclude each other")
    if at is not None and at <= now:
        raise UsageError(f"--at {timestamp(at)} is in the past; a later time is accepted")
    return now + span if span is not None else at


def _settings_keys() -> "Registry":
    """The keys of the settings; none where the first start has made none yet."""
    from perf_alerts_dagster.identity.keys import Registry, registry
    from perf_alerts_dagster.settings import load_settings

    settings = load_settings()
    try:
        return registry(settings)
    except SettingsError:
        return Registry([])
