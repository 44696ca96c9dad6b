"""Launch the first runs over the webserver's GraphQL and wait for them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from perf_alerts_dagster.application.scheduling import (
    AlertRun,
    Launch,
    RunFilter,
    RunState,
    Scheduler,
    SchedulerError,
)
from perf_alerts_dagster.domain.alerts import ALERTS
from perf_alerts_dagster.domain.errors import StackError

_POLL_SECONDS = 0.5
_LONGEST_SECONDS = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """One run as it ended, or as it stood when the waiting ended."""

    alert: str
    run_id: str
    state: str
    outcome: str
    as_of: str


async def is_first_start(port: int) -> bool:
    """Whether no execution of an alert has succeeded yet.

    Raises:
        StackError: the webserver does not say.
    """
    from perf_alerts_dagster.adapters.graphql.client import GraphQLClient
    from perf_alerts_dagster.adapters.graphql.scheduler import GraphQLScheduler

    client = GraphQLClient(f"http://127.0.0.1:{port}")
    wanted = RunFilter(states=frozenset({RunState.SUCCESS}), limit=1)
    try:
        return not (await GraphQLScheduler(client).runs(wanted)).runs
    except SchedulerError as error:
        raise StackError(f"the runs of the past cannot be read: {error}") from error
    finally:
        await client.close()


async def launch_all(port: int, *, report: Callable[[str], None]) -> AsyncIterator[Launched]:
    """Launch the five alerts, then yield each as it ends, in their order.

    Raises:
        StackError: the webserver refused a run, or went away.
    """
    from perf_alerts_dagster.adapters.graphql.answers import ALERT, TRIGGERED_BY
    from perf_alerts_dagster.adapters.graphql.client import GraphQLClient
    from perf_alerts_dagster.adapters.graphql.scheduler import GraphQLScheduler

    client = GraphQLClient(f"http://127.0.0.1:{port}")
    scheduler = GraphQLScheduler(client)
    try:
        runs = []
        for alert in ALERTS:
            tags = {ALERT: alert.name, TRIGGERED_BY: "first start"}
            runs.append(await scheduler.launch(Launch(alert=alert.name, tags=tags)))
            report(f"launched {alert.name}")
        end = asyncio.get_running_loop().time() + _LONGEST_SECONDS
        for run in runs:
            yield _as_it_ended(await _wait(scheduler, run, end))
    except SchedulerError as error:
        raise StackError(f"the first runs could not be launched: {error}") from error
    finally:
        await client.close()


async def _wait(scheduler: Scheduler, run: AlertRun, end: float) -> AlertRun:
    while not run.state.is_finished and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(_POLL_SECONDS)
        run = await scheduler.run(run.run_id) or run
    return run


def _as_it_ended(run: AlertRun) -> Launched:
    return Launched(
        alert=run.alert,
        run_id=run.run_id,
        state=run.state.value,
        outcome=run.outcome or run.error or "-",
        as_of=run.as_of or "-",
    )
