"""A cache in front of Dagster: at most one query a second, and a recent value if it fails."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from perf_alerts_dagster.scheduler.port import SchedulerError

T = TypeVar("T")

_FRESH_SECONDS = 1.0
_STALE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared(Generic[T]):
    """A value that several callers share; `stale` if the source failed to give a newer one.

    `asked_at` is the time of its query, in seconds of the cache's clock.
    """

    value: T
    asked_at: float
    stale: bool = False


class Coalesced(Generic[T]):
    """Fetches at most once a second for all callers, and never twice at once.

    While the source fails, a value of the last minute is served.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], *, clock: Callable[[], float]) -> None:
        """Share the values of `fetch`; `clock` gives monotonic seconds."""
        self._fetch = fetch
        self._clock = clock
        self._cached: Shared[T] | None = None
        self._outdated = False
        self._flight: asyncio.Task[Shared[T]] | None = None

    async def get(self) -> Shared[T]:
        """The value, at most a second old, or one of the last minute that is marked stale.

        Raises:
            SchedulerError: the source failed and there is no recent value.
        """
        cached = self._cached
        if cached is not None and not self._outdated and self._age(cached) < _FRESH_SECONDS:
            return cached
        if self._flight is None:
            self._flight = asyncio.create_task(self._fly())
        try:
            # A caller that disconnects must not cancel the query that others wait for.
            return await asyncio.shield(self._flight)
        except SchedulerError:
            cached = self._cached
            if cached is None or self._age(cached) > _STALE_SECONDS:
                raise
            return Shared(value=cached.value, asked_at=cached.asked_at, stale=True)

    def forget(self) -> None:
        """Drop the value after a change in Dagster, so that later callers see the new state."""
        self._outdated = True
        self._flight = None

    async def close(self) -> None:
        """Cancel a running query."""
        if self._flight is not None:
            self._flight.cancel()
            with suppress(asyncio.CancelledError, SchedulerError):
                await self._flight

    async def _fly(self) -> Shared[T]:
        flight = asyncio.current_task()
        asked_at = self._clock()
        try:
            shared = Shared(value=await self._fetch(), asked_at=asked_at)
            if self._flight is flight:
                self._cached, self._outdated = shared, False
            return shared
        finally:
            if self._flight is flight:
                self._flight = None

    def _age(self, cached: Shared[T]) -> float:
        return self._clock() - cached.asked_at
