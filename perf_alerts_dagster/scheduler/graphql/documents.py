"""All GraphQL documents, constant; values are passed as variables only.

The names of aliases are the alerts', so that one query asks for all of them.
"""

from perf_alerts_dagster.core.alerts import ALERTS

RUN = """
fragment RunFacts on Run {
  runId
  jobName
  status
  creationTime
  startTime
  endTime
  tags { key value }
}
"""

RUNS_OF = """
fragment RunsFound on RunsOrError {
  __typename
  ... on Runs { results { ...RunFacts } }
}
"""

SCHEDULE = """
fragment ScheduleFacts on Schedule {
  name
  pipelineName
  cronSchedule
  executionTimezone
  canReset
  futureTicks(cursor: $ticksFrom, until: $ticksUntil) { results { timestamp } }
  scheduleState {
    id
    selectorId
    status
    nextTick { timestamp }
    typeSpecificData { __typename ... on ScheduleData { startTimestamp } }
    ticks(limit: $ticks) { timestamp }
  }
}
"""

# By the alert: the variable of its runs in STATUS.
RUNS_VARIABLES = {alert.name: f"{alert.name}_runs" for alert in ALERTS}

STATUS = (
    """
query Status(
  $repository: RepositorySelector!
  $ticksFrom: Float!
  $ticksUntil: Float!
  $ticks: Int!
  $runs: Int!
"""
    + "".join(f"  ${name}: RunsFilter!\n" for name in RUNS_VARIABLES.values())
    + """) {
  instance {
    daemonHealth { allDaemonStatuses { daemonType lastHeartbeatTime } }
  }
  repositoryOrError(repositorySelector: $repository) {
    __typename
    ... on Repository {
      jobs { name metadataEntries { __typename label ... on JsonMetadataEntry { jsonString } } }
      schedules { ...ScheduleFacts }
      sensors { name canReset sensorState { status } }
    }
  }
"""
    + "".join(
        f"  {alert}: runsOrError(filter: ${name}, limit: $runs) {{ ...RunsFound }}\n"
        for alert, name in RUNS_VARIABLES.items()
    )
    + "}\n"
    + SCHEDULE
    + RUNS_OF
    + RUN
)

RUNS = (
    """
query Runs($filter: RunsFilter!, $cursor: String, $limit: Int!) {
  runsOrError(filter: $filter, cursor: $cursor, limit: $limit) { ...RunsFound }
}
"""
    + RUNS_OF
    + RUN
)

ONE_RUN = (
    """
query OneRun($runId: ID!) {
  runOrError(runId: $runId) { __typename ... on Run { ...RunFacts } }
}
"""
    + RUN
)

LAUNCH = (
    """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { ...RunFacts } }
  }
}
"""
    + RUN
)

STATE = """
query State($schedule: ScheduleSelector!) {
  scheduleOrError(scheduleSelector: $schedule) {
    __typename
    ... on Schedule { scheduleState { id selectorId status nextTick { timestamp } } }
  }
}
"""

START = """
mutation Start($schedule: ScheduleSelector!) {
  startSchedule(scheduleSelector: $schedule) {
    __typename
    ... on ScheduleStateResult { scheduleState { status nextTick { timestamp } } }
  }
}
"""

STOP = """
mutation Stop($id: String!) {
  stopRunningSchedule(id: $id) {
    __typename
    ... on ScheduleStateResult { scheduleState { status nextTick { timestamp } } }
  }
}
"""

RELOAD = """
mutation Reload($location: String!) {
  reloadRepositoryLocation(repositoryLocationName: $location) {
    __typename
    ... on WorkspaceLocationEntry { locationOrLoadError { __typename } }
  }
}
"""

HEARTBEATS = """
query Heartbeats {
  instance { daemonHealth { allDaemonStatuses { daemonType required lastHeartbeatTime } } }
}
"""

LOCATIONS = """
query Locations {
  workspaceOrError {
    __typename
    ... on Workspace {
      locationEntries { name locationOrLoadError { __typename ... on PythonError { message } } }
    }
  }
}
"""
