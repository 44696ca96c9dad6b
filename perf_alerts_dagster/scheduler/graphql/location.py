"""Whether the code server behind Dagster's webserver answers with the alerts' definitions."""

from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK
from perf_alerts_dagster.scheduler import names
from perf_alerts_dagster.scheduler.graphql.client import GraphQLClient

# The webserver answers all else from what it has loaded; a plan is asked of the code server.
LOCATION = """
query Location($location: String!, $pipeline: PipelineSelector!) {
  workspaceLocationEntryOrError(name: $location) {
    __typename
    ... on WorkspaceLocationEntry { locationOrLoadError { __typename } }
  }
  executionPlanOrError(pipeline: $pipeline, mode: "default") { __typename }
}
"""


async def location_fault(client: GraphQLClient) -> str | None:
    """The reason why no run can start from the code location; None where the code server answers.

    Raises:
        SchedulerError: Dagster's webserver itself does not answer.
    """
    pipeline = {
        "repositoryLocationName": names.LOCATION,
        "repositoryName": names.REPOSITORY,
        "pipelineName": DAILY_PNL_CHECK.name,
    }
    answer = await client.ask(LOCATION, {"location": names.LOCATION, "pipeline": pipeline})
    entry = answer.get("workspaceLocationEntryOrError")
    loaded = entry.get("locationOrLoadError") if isinstance(entry, dict) else None
    if _kind(loaded) != "RepositoryLocation":
        return "the alerts' definitions are not loaded: the code server is down or its code fails"
    if _kind(answer.get("executionPlanOrError")) != "ExecutionPlan":
        return "the code server does not answer"
    return None


def _kind(value: object) -> object:
    return value.get("__typename") if isinstance(value, dict) else None
