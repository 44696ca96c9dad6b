"""Every GraphQL document that is ever sent, word for word; values go into variables only.

The names of aliases are the five alerts', so that one query asks for all of them.
"""

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

STATUS = (
    """
query Status(
  $repository: RepositorySelector!
  $ticksFrom: Float!
  $ticksUntil: Float!
  $ticks: Int!
  $runs: Int!
  $dailyPnl: RunsFilter!
  $weeklyStability: RunsFilter!
  $monthlyForward: RunsFilter!
  $threshold: RunsFilter!
  $evening: RunsFilter!
) {
  instance {
    daemonHealth { allDaemonStatuses { daemonType lastHeartbeatTime } }
  }
  repositoryOrError(repositorySelector: $repository) {
    __typename
    ... on Repository {
      jobs { name metadataEntries { __typename label ... on JsonMetadataEntry { jsonString } } }
      schedules { ...ScheduleFacts }
    }
  }
  daily_pnl_check: runsOrError(filter: $dailyPnl, limit: $runs) { ...RunsFound }
  weekly_stability_check: runsOrError(filter: $weeklyStability, limit: $runs) { ...RunsFound }
  monthly_forward_test_update: runsOrError(filter: $monthlyForward, limit: $runs) { ...RunsFound }
  performance_threshold_check: runsOrError(filter: $threshold, limit: $runs) { ...RunsFound }
  evening_performance_check: runsOrError(filter: $evening, limit: $runs) { ...RunsFound }
}
"""
    + SCHEDULE
    + RUNS_OF
    + RUN
)

# By the alert: the variable of its runs in STATUS.
RUNS_VARIABLES = {
    "daily_pnl_check": "dailyPnl",
    "weekly_stability_check": "weeklyStability",
    "monthly_forward_test_update": "monthlyForward",
    "performance_threshold_check": "threshold",
    "evening_performance_check": "evening",
}

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
  instance { daemonHealth { allDaemonStatuses { required lastHeartbeatTime } } }
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

ALL = {
    "status": STATUS,
    "runs": RUNS,
    "one run": ONE_RUN,
    "launch": LAUNCH,
    "state": STATE,
    "start": START,
    "stop": STOP,
    "reload": RELOAD,
    "heartbeats": HEARTBEATS,
    "locations": LOCATIONS,
}
