"""What the web UI's mutations need, and which tags their runs get, over Dagster's real schema."""

import json
from functools import cache
from typing import Any

import pytest
from dagster_graphql.schema import create_schema
from graphql import (
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    parse,
    validate,
)

from perf_alerts_dagster.control.audit import AuditOutcome
from perf_alerts_dagster.control.principal import Permission
from perf_alerts_dagster.stack.ui_mutations import (
    PERMISSIONS,
    Change,
    Request,
    only_subscribes,
    request_of,
)

TAGS = {"perf_alerts/triggered_by": "operator:ann"}
OWN = [{"key": "perf_alerts/triggered_by", "value": "operator:ann"}]
FORGED = [
    {"key": "perf_alerts/triggered_by", "value": "admin"},
    {"key": "perf_alerts/marker", "value": "x"},
    {"key": "dagster/max_runtime", "value": "0"},
    {"key": "dagster/will_retry", "value": "true"},
    {"key": "dagster/schedule_name", "value": "daily_pnl_check_schedule"},
]
PARTITION = [{"key": "dagster/partition", "value": "2026-03-02"}]
SELECTOR = {
    "repositoryLocationName": "perf_alerts",
    "repositoryName": "__repository__",
    "jobName": "daily_pnl_check",
}
LAUNCH = "mutation Go($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename } }"


@cache
def schema() -> GraphQLSchema:
    found: GraphQLSchema = create_schema().graphql_schema
    return found


def known() -> set[str]:
    kind = schema().mutation_type
    assert kind is not None
    return set(kind.fields)


def read(text: str, operation: str | None = None, **variables: Any) -> Request:
    return request_of(schema(), text, variables, operation)


def names(text: str, operation: str | None = None) -> list[str]:
    return [change.name for change in read(text, operation).changes]


def stamped(text: str, **variables: Any) -> dict[str, Any]:
    """The launch's arguments as Dagster would read them, from a document that it accepts."""
    document, values = read(text, **variables).stamped(schema(), TAGS)
    assert validate(schema(), parse(document)) == []
    (change,) = request_of(schema(), document, values, None).changes
    return dict(change.arguments)


def test_every_field_of_the_table_is_a_mutation_of_this_dagster_and_the_others_are_an_admins() -> (
    None
):
    assert set(PERMISSIONS) <= known()
    assert sorted(known() - set(PERMISSIONS)) == [
        "addDynamicPartition",
        "deleteAppManagedComponent",
        "deleteConcurrencyLimit",
        "deleteDynamicPartitions",
        "deletePipelineRun",
        "deleteRun",
        "freeConcurrencySlots",
        "freeConcurrencySlotsForRun",
        "refreshComponentState",
        "reloadRepositoryLocation",
        "reloadWorkspace",
        "reportAssetCheckEvaluations",
        "reportRunlessAssetEvents",
        "scheduleDryRun",
        "sensorDryRun",
        "setAppManagedComponent",
        "setAutoMaterializePaused",
        "setConcurrencyLimit",
        "shutdownRepositoryLocation",
        "wipeAssets",
    ]


@pytest.mark.parametrize(
    ("field", "needed"),
    [
        ("launchRun", Permission.TRIGGER),
        ("launchPipelineReexecution", Permission.TRIGGER),
        ("terminateRuns", Permission.TRIGGER),
        ("stopRunningSchedule", Permission.TOGGLE),
        ("setSensorCursor", Permission.TOGGLE),
        ("logTelemetry", Permission.VIEW_STATUS),
        ("deleteRun", Permission.ADMIN),
        ("madeUpTomorrow", Permission.ADMIN),
    ],
)
def test_a_mutation_needs_the_permission_of_its_kind(field: str, needed: Permission) -> None:
    assert Change(name=field, key=field, arguments={}).permission is needed


@pytest.mark.parametrize(
    "text",
    [
        "mutation { reloadWorkspace { __typename } }",
        "mutation { harmless: reloadWorkspace { __typename } }",
        "mutation { ... { reloadWorkspace { __typename } } }",
        "mutation { ... on Mutation @include(if: true) { reloadWorkspace { __typename } } }",
        "mutation { ...A } fragment A on Mutation { ...B } "
        "fragment B on Mutation { reloadWorkspace { __typename } ...A }",
        "mutation A { setNuxSeen } mutation B { reloadWorkspace { __typename } }",
        "query { version } mutation { reloadWorkspace { __typename } }",
    ],
)
def test_a_mutation_is_found_wherever_it_stands(text: str) -> None:
    assert "reloadWorkspace" in names(text)


def test_of_several_operations_the_named_one_counts() -> None:
    text = "query A { version } mutation B { reloadWorkspace { __typename } }"

    assert names(text, "A") == []
    assert names(text, "B") == ["reloadWorkspace"]
    assert names(text, "C") == ["reloadWorkspace"]


def test_a_query_with_a_fields_name_in_it_changes_nothing() -> None:
    assert names("query launchRun { launchRun: version } # mutation { launchRun }") == []


def test_a_document_that_is_none_or_too_deep_is_an_error() -> None:
    with pytest.raises(GraphQLError):
        read("mutation {")
    with pytest.raises(GraphQLError):
        read("mutation " + "{a" * 100_000)


@pytest.mark.parametrize("tags", [None, [], FORGED, FORGED[0], [*FORGED, *FORGED]])
def test_a_launch_carries_the_persons_name_and_no_tag_of_ours(tags: object) -> None:
    metadata = {} if tags is None else {"executionMetadata": {"tags": tags}}

    found = stamped(LAUNCH, p={"selector": SELECTOR, **metadata})

    assert found["executionParams"]["executionMetadata"]["tags"] == OWN
    assert found["executionParams"]["selector"] == SELECTOR


def test_other_tags_of_a_launch_stay() -> None:
    tags = [*PARTITION, {"key": "note", "value": "by hand"}, *FORGED]

    found = stamped(LAUNCH, p={"selector": SELECTOR, "executionMetadata": {"tags": tags}})

    kept = [*PARTITION, {"key": "note", "value": "by hand"}, *OWN]
    assert found["executionParams"]["executionMetadata"]["tags"] == kept


@pytest.mark.parametrize("key", [" perf_alerts/triggered_by", "PERF_ALERTS/TRIGGERED_BY", "user"])
def test_no_tag_passes_that_a_person_reads_as_the_name_of_who_launched(key: str) -> None:
    tags = [{"key": key, "value": "admin"}]

    found = stamped(LAUNCH, p={"selector": SELECTOR, "executionMetadata": {"tags": tags}})

    assert found["executionParams"]["executionMetadata"]["tags"] == OWN


INLINE = """
mutation Go($job: String!, $tags: [ExecutionTag!] = %s) {
  ...launch
}
fragment launch on Mutation {
  again: launchRun(executionParams: {
    selector: {
      repositoryLocationName: "perf_alerts", repositoryName: "__repository__", jobName: $job}
    executionMetadata: {tags: $tags}
  }) { ... on LaunchRunSuccess { run { runId } } }
}
"""


def test_tags_inside_the_document_and_in_defaults_are_replaced_as_well() -> None:
    default = '[{key: "perf_alerts/triggered_by", value: "admin"}, {key: "a", value: "b"}]'

    found = stamped(INLINE % default, job="daily_pnl_check")

    expected = [{"key": "a", "value": "b"}, *OWN]
    assert found["executionParams"]["executionMetadata"]["tags"] == expected
    assert found["executionParams"]["selector"]["jobName"] == "daily_pnl_check"


@pytest.mark.parametrize("field", ["launchRunReexecution", "launchPipelineReexecution"])
def test_a_run_that_is_executed_again_carries_the_persons_name(field: str) -> None:
    text = f"mutation($p: ReexecutionParams) {{ {field}(reexecutionParams: $p) {{ __typename }} }}"
    params = {"parentRunId": "r", "strategy": "ALL_STEPS", "extraTags": FORGED}

    found = stamped(text, p=params)

    assert found["reexecutionParams"] == {**params, "extraTags": OWN}


def test_a_backfill_and_several_launches_carry_the_persons_name() -> None:
    backfill = stamped(
        "mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) "
        "{ __typename } }",
        p={"partitionNames": ["2026-03-02"], "tags": FORGED},
    )
    several = stamped(
        "mutation($p: [ExecutionParams!]!) { launchMultipleRuns(executionParamsList: $p) "
        "{ __typename } }",
        p=[{"selector": SELECTOR}, {"selector": SELECTOR, "executionMetadata": {"tags": FORGED}}],
    )

    assert backfill["backfillParams"]["tags"] == OWN
    listed = several["executionParamsList"]
    assert [one["executionMetadata"]["tags"] for one in listed] == [OWN, OWN]


def test_what_a_change_acts_on_is_named_bounded_and_printable() -> None:
    def target(**arguments: Any) -> str:
        change = Change(name="x", key="x", arguments=arguments)
        return change.target(lambda text: {"an id": "daily_schedule"}.get(text, text))

    assert target(executionParams={"selector": SELECTOR}) == "daily_pnl_check"
    assert target(id="an id") == "daily_schedule"
    assert target(runIds=["a", "b"]) == "a,b"
    assert target(scheduleSelector={"scheduleName": "x\x1b[2J\u202e\n"}) == r"x\u001b[2J\u202e\n"
    assert len(target(runId="r" * 5000)) == 200
    deep: Any = "x"
    for _ in range(900):
        deep = {"a": [deep]}
    assert target(deep=deep) == "{}"
    assert target(paused=True) == '{"paused": true}'
    assert "secret" not in target(backfillParams={"runConfigData": {"runId": "secret"}, "tags": []})


def test_the_outcome_is_read_from_the_answer() -> None:
    def outcome(value: object, status: int = 200) -> object:
        return Change(name="x", key="x", arguments={}).result(status, {"x": value})

    launched = {"__typename": "LaunchRunSuccess", "run": {"runId": "r"}}
    assert outcome(launched) == (AuditOutcome.DONE, {"run_id": "r"})
    assert outcome(True) == (AuditOutcome.DONE, {})
    assert outcome(False) == (AuditOutcome.FAILED, {})
    assert outcome({"__typename": "RunNotFoundError"}) == (AuditOutcome.FAILED, {})
    assert outcome({"__typename": "PythonError"}) == (AuditOutcome.UNKNOWN, {})
    assert outcome(None, 500) == (AuditOutcome.UNKNOWN, {})
    refused = Change(name="x", key="x", arguments={}).result(400, None)
    assert refused == (AuditOutcome.FAILED, {})


def test_each_answer_of_a_mutation_of_this_dagster_is_a_success_or_a_failure() -> None:
    kind = schema().mutation_type
    assert kind is not None
    successes = set()
    for field in kind.fields.values():
        result = get_named_type(field.type)
        types = result.types if isinstance(result, GraphQLUnionType) else [result]
        for each in types:
            if isinstance(each, GraphQLObjectType):
                change = Change(name="x", key="x", arguments={})
                outcome, _ = change.result(200, {"x": {"__typename": each.name}})
                is_error = "message" in each.fields and "run" not in each.fields
                if outcome is AuditOutcome.DONE:
                    successes.add(each.name)
                    assert not is_error, each.name

    assert {"LaunchRunSuccess", "ScheduleStateResult", "Sensor", "TerminateRunSuccess"} <= successes
    assert [name for name in successes if "Error" in name or "Fail" in name] == []


def test_only_subscriptions_are_for_the_websocket() -> None:
    assert only_subscribes('subscription { capturedLogs(logKey: ["a"]) { stdout } }')
    for text in (
        LAUNCH,
        "{ version }",
        "subscription { capturedLogs(logKey: []) { stdout } } mutation { setNuxSeen }",
        "mutation {",
        "{a" * 100_000,
        "",
    ):
        assert not only_subscribes(text)


def test_values_that_are_no_json_text_are_never_run_as_a_document() -> None:
    document, values = read(LAUNCH, p={"selector": SELECTOR}).stamped(schema(), TAGS)

    assert json.loads(json.dumps(values))["perf_alerts_0_executionParams"]["selector"] == SELECTOR
    assert "operator:ann" not in document
