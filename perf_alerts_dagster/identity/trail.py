"""Audit of refused callers: one row per minute, address and kind, with a count.

Rows are written in the background, so that no request waits for one, or fails by one.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from starlette.types import Scope

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.http.middleware import address_of

LOG = logging.getLogger("perf_alerts.identity")

WINDOW = 60.0
_FLUSH_SECONDS = 1.0
# Bounds the memory and the rows; what is beyond it is logged as a number.
_MAXIMUM_WAITING = 1000

Kind = tuple[str, str, str, str]


def change_in(
    scope: Scope,
    action: str,
    target: str,
    *,
    at: datetime,
    actor: str,
    key_id: str = "",
    after: Json = None,
) -> Change:
    """A change for the audit: its actor, address and request."""
    state = scope.get("state", {})
    return Change(
        at=at,
        actor=actor,
        key_id=key_id,
        address=address_of(scope),
        action=action,
        target=target,
        request_id=state.get("request_id", ""),
        server_request_id=state.get("server_request_id", ""),
        after=after,
    )


@lru_cache(4096)
def network_of(address: str) -> str:
    """The address, or for IPv6 its /64 network, since one host holds a whole /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


@dataclass(slots=True)
class _Tally:
    change: Change
    until: float
    count: int = 1
    written: int = 0
    row_id: int | None = None

    @property
    def after(self) -> dict[str, Json]:
        """What is known of the first refusal."""
        return self.change.after if isinstance(self.change.after, dict) else {}


class Trail:
    """Counts refusals and records them; `seconds` is a monotonic clock."""

    def __init__(self, audit: SqlAudit, seconds: Callable[[], float]) -> None:
        self._audit = audit
        self._seconds = seconds
        self._tallies: dict[Kind, _Tally] = {}
        self._lost = 0

    def note(
        self,
        scope: Scope,
        action: str,
        target: str,
        *,
        at: datetime,
        actor: str = "unknown",
        key_id: str = "",
        after: Mapping[str, Json] | None = None,
    ) -> None:
        """Count a refusal; only the first one of a minute is logged, here and as an access."""
        address = network_of(address_of(scope))
        kind = (address, actor, action, target)
        tally = self._tallies.get(kind)
        if tally is not None:
            tally.count += 1
        elif len(self._tallies) >= _MAXIMUM_WAITING:
            self._lost += 1
        else:
            change = change_in(
                scope, action, target, at=at, actor=actor, key_id=key_id, after=dict(after or {})
            )
            self._tallies[kind] = _Tally(change, self._seconds() + WINDOW)
            LOG.warning("%s (%s) by %s from %s", action, target, actor, address)
            return
        scope["state"]["is_repeated"] = True

    async def run(self, over: asyncio.Event) -> None:
        """Record what was counted, once a second until `over` is set, and then the rest."""
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _FLUSH_SECONDS)
            await self.flush()
        await self.flush(over=True)

    async def flush(self, *, over: bool = False) -> None:
        """Record new refusals, and the final counts of those whose minute, or all, is over.

        Where the store cannot be written, they are kept for the next flush.
        """
        now = self._seconds()
        ended = [kind for kind, tally in self._tallies.items() if over or now >= tally.until]
        due = [
            tally
            for kind, tally in self._tallies.items()
            if tally.row_id is None or (kind in ended and tally.count > tally.written)
        ]
        counts = [tally.count for tally in due]
        rows = [
            (tally.row_id, replace(tally.change, after={**tally.after, "count": count}))
            for tally, count in zip(due, counts, strict=True)
        ]
        if self._lost:
            LOG.warning("refusals that could not be audited one by one: %d", self._lost)
            self._lost = 0
        if rows:
            try:
                ids = await asyncio.to_thread(self._audit.count, rows)
            except StoreUnavailable as error:
                LOG.warning("refusals could not be audited, trying again: %s", error)
                return
            for tally, count, row_id in zip(due, counts, ids, strict=True):
                tally.row_id, tally.written = row_id, count
        for kind in ended:
            if self._tallies[kind].count == self._tallies[kind].written:
                tally = self._tallies.pop(kind)
                if tally.count > 1:
                    LOG.warning(
                        "%s by %s from %s: %d in all", kind[2], kind[1], kind[0], tally.count
                    )
