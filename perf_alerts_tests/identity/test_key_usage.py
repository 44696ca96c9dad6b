"""When keys were used."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.identity.usage import SqlKeyUse, Uses
from perf_alerts_tests.server.fakes import Database

NOON = datetime(2026, 1, 30, 12, tzinfo=UTC)


class Kept(SqlKeyUse):
    def __init__(self) -> None:
        self.database = Database()
        super().__init__(self.database.engine)
        self.writes = 0
        self.is_down = False

    @property
    def times(self) -> Mapping[str, datetime]:
        return self.last_used()

    def used(self, times: Mapping[str, datetime]) -> None:
        self.writes += 1
        if self.is_down:
            raise StoreUnavailable("down")
        super().used(times)


async def settled() -> None:
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        await task


async def test_a_use_tells_the_one_before_it() -> None:
    uses = Uses(Kept().used)

    assert uses.used("a", NOON) is None
    assert uses.used("a", NOON + timedelta(seconds=1)) == NOON
    assert uses.used("b", NOON) is None
    await uses.close()


async def test_what_the_store_knows_counts_after_a_restart() -> None:
    kept = Kept()
    kept.used({"a": NOON})
    uses = Uses(kept.used)
    await uses.load(kept.last_used)

    assert uses.used("a", NOON + timedelta(days=1)) == NOON
    await uses.close()


async def test_the_store_is_written_at_most_once_a_minute_and_at_the_end() -> None:
    kept = Kept()
    uses = Uses(kept.used)
    for second in range(61):
        uses.used("a", NOON + timedelta(seconds=second))
        await settled()
    assert kept.writes == 2

    uses.used("b", NOON + timedelta(seconds=62))
    await uses.close()
    assert kept.times == {
        "a": NOON + timedelta(seconds=60),
        "b": NOON + timedelta(seconds=62),
    }


async def test_a_store_that_is_down_hinders_nobody_and_loses_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = Kept()
    kept.is_down = True
    uses = Uses(kept.used)
    uses.used("a", NOON)
    await settled()
    kept.is_down = False
    uses.used("b", NOON + timedelta(seconds=60))
    await settled()

    assert kept.times == {"a": NOON, "b": NOON + timedelta(seconds=60)}
    assert "trying again" in caplog.text
    await uses.close()
