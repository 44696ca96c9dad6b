"""Launch runs over the webserver's GraphQL and wait for them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perf_alerts_dagster.domain.alerts import ALERTS
from perf_alerts_dagster.domain.errors import StackError
from perf_alerts_dagster.processes.home import LOCATION

if TYPE_CHECKING:
    from dagster_graphql import DagsterGraphQLClient

_ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
_POLL_SECONDS = 0.5
_LONGEST_SECONDS = 180.0
_TAGS = """
query RunTags($runId: ID!) {
  runOrError(runId: $runId) {
    __typename
    ... on Run { status tags { key value } }
  }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """One run as it ended, or as it stood when the waiting ended."""

    alert: str
    run_id: str
    state: str
    outcome: str
    as_of: str


def launch_all(port: int, *, report: Callable[[str], None]) -> Iterator[Launched]:
    """Launch the five alerts, then yield each as it ends, in their order.

    Raises:
        StackError: the webserver refused a run.
    """
    from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

    from perf_alerts_dagster.defs.tags import ALERT, TRIGGERED_BY

    client = DagsterGraphQLClient("127.0.0.1", port_number=port, timeout=30)
    runs = {}
    try:
        for alert in ALERTS:
            runs[alert.name] = client.submit_job_execution(
                alert.name,
                repository_location_name=LOCATION,
                tags={ALERT: alert.name, TRIGGERED_BY: "first start"},
            )
            report(f"launched {alert.name}")
    except DagsterGraphQLClientError as error:
        raise StackError(f"the first runs could not be launched: {error}") from error
    end = time.monotonic() + _LONGEST_SECONDS
    for name, run_id in runs.items():
        yield _wait(client, name, run_id, end)


def _wait(client: "DagsterGraphQLClient", alert: str, run_id: str, end: float) -> Launched:
    while True:
        answer = client._execute(_TAGS, {"runId": run_id})["runOrError"]
        state = str(answer.get("status", answer["__typename"]))
        if state in _ENDED or time.monotonic() > end:
            break
        time.sleep(_POLL_SECONDS)
    from perf_alerts_dagster.defs.tags import AS_OF, ERROR, OUTCOME

    tags = {tag["key"]: tag["value"] for tag in answer.get("tags", [])}
    return Launched(
        alert=alert,
        run_id=run_id,
        state=state,
        outcome=tags.get(OUTCOME, tags.get(ERROR, "-")),
        as_of=tags.get(AS_OF, "-"),
    )
