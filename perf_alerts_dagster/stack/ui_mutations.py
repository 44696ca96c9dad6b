"""Mutations of the web UI: who may run them, on what they act, and which tags their runs get."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    InlineFragmentNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    parse_type,
    print_ast,
    value_from_ast_untyped,
    visit,
)

from perf_alerts_dagster.control.audit import AuditOutcome
from perf_alerts_dagster.control.principal import Permission
from perf_alerts_dagster.core.json import Json

# The arguments of launches that hold tags, each with the way to the list of tags.
_TAGS = {
    "executionParams": ("executionMetadata", "tags"),
    "executionParamsList": ("executionMetadata", "tags"),
    "reexecutionParams": ("extraTags",),
    "backfillParams": ("tags",),
}
_LAUNCHES = (
    "launchRun", "launchPipelineExecution", "launchRunReexecution", "launchPipelineReexecution",
    "launchMultipleRuns", "launchPartitionBackfill",
)  # fmt: skip
_TRIGGERS = (
    *_LAUNCHES, "reexecutePartitionBackfill", "resumePartitionBackfill", "cancelPartitionBackfill",
    "terminateRun", "terminateRuns", "terminatePipelineExecution",
)  # fmt: skip
_SWITCHES = (
    "startSchedule", "stopRunningSchedule", "resetSchedule",
    "startSensor", "stopSensor", "resetSensor", "setSensorCursor",
)  # fmt: skip
# Of the UI itself, without any effect outside of it.
_HARMLESS = ("logTelemetry", "setNuxSeen")
# All others need `alert:admin`.
PERMISSIONS: Mapping[str, Permission] = {
    **dict.fromkeys(_HARMLESS, Permission.VIEW_STATUS),
    **dict.fromkeys(_TRIGGERS, Permission.TRIGGER),
    **dict.fromkeys(_SWITCHES, Permission.TOGGLE),
}
MAXIMUM_FIELDS = 20
# Dagster copies the tags of the first backfill, and with them the name of who launched it.
UNDER_ANOTHER_NAME = "reexecutePartitionBackfill"

_OURS = "perf_alerts/"
# Dagster's own that would change how a run is judged or ended (see `scheduler.dagster_internals`),
# or whom its pages name for it.
_RESERVED = frozenset(
    {
        "dagster/max_runtime", "dagster/schedule_name", "dagster/sensor_name",
        "dagster/will_retry", "user",
    }
)  # fmt: skip

# The names of targets, in the order in which they are looked for. An id names a schedule or sensor.
_TARGETS = (
    "jobName", "pipelineName", "scheduleName", "sensorName", "parentRunId", "runId", "runIds",
    "backfillId", "concurrencyKey", "partitionsDefName", "componentId", "repositoryLocationName",
    "id", "scheduleSelectorId", "scheduleOriginId", "jobSelectorId", "jobOriginId",
)  # fmt: skip
_LONGEST_TARGET = 200
_FAILURES = ("Error", "Invalid", "Conflict", "Failure", "NotFound", "NotSupported")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One mutation field that will run; `key` is its name in the answer, "" where it has none."""

    name: str
    key: str
    arguments: Mapping[str, Any] = field(repr=False)

    @property
    def permission(self) -> Permission:
        """The permission that it needs."""
        return PERMISSIONS.get(self.name, Permission.ADMIN)

    @property
    def is_harmless(self) -> bool:
        """Whether it changes nothing that an audit would ask for."""
        return self.name in _HARMLESS

    def target(self, name_of: Callable[[str], str]) -> str:
        """What it acts on, bounded and in ASCII; `name_of` gives the name of a schedule's id."""
        values = dict(_pairs(self.arguments))
        for name in _TARGETS:
            value = values.get(name)
            texts = value if isinstance(value, list) else [value]
            if texts and all(isinstance(text, str) and text for text in texts):
                return json.dumps(",".join(map(name_of, texts)))[1:-1][:_LONGEST_TARGET]
        # Run configuration and tags may hold anything; the rest is names.
        shown = {name: value for name, value in values.items() if isinstance(value, str | bool)}
        return json.dumps(shown, sort_keys=True)[:_LONGEST_TARGET]

    def result(
        self, status: int, data: Mapping[str, Any] | None
    ) -> tuple[AuditOutcome, dict[str, Json]]:
        """Its outcome by the status and the `data` of the answer, with a launched run's id."""
        if status == HTTPStatus.BAD_REQUEST and not data:
            return AuditOutcome.FAILED, {}
        value = True if self.key == "" and status == HTTPStatus.OK else (data or {}).get(self.key)
        if isinstance(value, bool):
            return AuditOutcome.DONE if value else AuditOutcome.FAILED, {}
        if not isinstance(value, dict) or value.get("__typename") in (None, "PythonError"):
            # An error in its middle: it may have happened.
            return AuditOutcome.UNKNOWN, {}
        if value["__typename"].endswith(_FAILURES):
            return AuditOutcome.FAILED, {}
        run = value.get("run")
        run_id = (run.get("runId") or run.get("id")) if isinstance(run, dict) else None
        return AuditOutcome.DONE, {"run_id": str(run_id)} if run_id else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A GraphQL request that changes something, and its `changes` in their order."""

    changes: tuple[Change, ...]
    document: DocumentNode = field(repr=False)
    nodes: tuple[FieldNode, ...] = field(repr=False)
    operation: OperationDefinitionNode | None = field(repr=False)
    variables: Mapping[str, Any] = field(repr=False)

    def stamped(self, schema: GraphQLSchema, tags: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        """The document and variables with which the runs that it launches carry `tags`.

        Tags of ours and some of Dagster's are removed, wherever the request has them: the
        arguments of each launch become one variable. Every change says its type.
        """
        variables = dict(self.variables)
        kinds = schema.mutation_type.fields if schema.mutation_type else {}
        for number, (node, change) in enumerate(zip(self.nodes, self.changes, strict=True)):
            if node.selection_set is not None:
                typename = FieldNode(name=NameNode(value="__typename"))
                node.selection_set.selections = (*node.selection_set.selections, typename)
            for argument in node.arguments if change.name in _LAUNCHES else ():
                label = argument.name.value
                if label in change.arguments and label in _TAGS:
                    name = f"perf_alerts_{number}_{label}"
                    variables[name] = _stamped(change.arguments[label], _TAGS[label], tags)
                    argument.value = self._declared(name, kinds[change.name].args[label].type)
        self._drop_unused_variables()
        return print_ast(self.document), variables

    def _declared(self, name: str, kind: GraphQLInputType) -> VariableNode:
        variable = VariableNode(name=NameNode(value=name))
        definition = VariableDefinitionNode(variable=variable, type=parse_type(str(kind)))
        if self.operation is not None:
            known = self.operation.variable_definitions
            self.operation.variable_definitions = (*known, definition)
        return variable

    def _drop_unused_variables(self) -> None:
        """Dagster refuses variables that nothing uses, such as those of replaced arguments."""
        if self.operation is None:
            return
        used = _Used()
        definitions = self.operation.variable_definitions
        self.operation.variable_definitions = ()
        visit(self.document, used)
        self.operation.variable_definitions = tuple(
            definition for definition in definitions if definition.variable.name.value in used.names
        )


class _Used(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.names.add(node.name.value)


def request_of(
    schema: GraphQLSchema, text: str, variables: Mapping[str, Any], operation_name: str | None
) -> Request:
    """The changes of a GraphQL request; none where it only reads.

    Where it is not clear which of several operations would run, all of them count. A field that
    the schema does not have is left out: Dagster refuses the whole request for it.

    Raises:
        GraphQLError: the text is no document, or nested too deeply.
    """
    document = parse(text, no_location=True)
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    operations = [
        node for node in document.definitions if isinstance(node, OperationDefinitionNode)
    ]
    named = [node for node in operations if node.name and node.name.value == operation_name]
    chosen = named or operations
    known = schema.mutation_type.fields if schema.mutation_type else {}
    nodes, changes = [], []
    for operation in chosen:
        if operation.operation is not OperationType.MUTATION:
            continue
        values = {**_defaults(operation), **variables}
        for node in _fields(operation.selection_set, fragments, set()):
            if node.name.value in known:
                nodes.append(node)
                changes.append(
                    Change(
                        name=node.name.value,
                        key=(node.alias or node.name).value,
                        arguments={
                            argument.name.value: value_from_ast_untyped(argument.value, values)
                            for argument in node.arguments
                            if not _is_unset(argument.value, values)
                        },
                    )
                )
    return Request(
        changes=tuple(changes),
        document=document,
        nodes=tuple(nodes),
        operation=chosen[0] if len(chosen) == 1 else None,
        variables=variables,
    )


def only_subscribes(text: str) -> bool:
    """Whether a text is a document with subscriptions alone."""
    try:
        nodes = parse(text, no_location=True).definitions
    except GraphQLError:
        return False
    kinds = {node.operation for node in nodes if isinstance(node, OperationDefinitionNode)}
    return kinds == {OperationType.SUBSCRIPTION}


def _is_unset(value: object, values: Mapping[str, Any]) -> bool:
    return isinstance(value, VariableNode) and value.name.value not in values


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    return {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions
        if definition.default_value is not None
    }


def _fields(
    selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], seen: set[str]
) -> Iterator[FieldNode]:
    """The fields of the top level, through fragments."""
    for node in selections.selections:
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, InlineFragmentNode):
            yield from _fields(node.selection_set, fragments, seen)
        elif isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name in fragments and name not in seen:
                seen.add(name)
                yield from _fields(fragments[name].selection_set, fragments, seen)


def _stamped(value: object, way: tuple[str, ...], tags: Mapping[str, str]) -> object:
    """The argument of a launch, with `tags` in place of ours, at the end of `way`.

    What has not its type is left as it is: Dagster refuses it.
    """
    if not way:
        # A single value counts as a list of one in GraphQL.
        given = value if isinstance(value, list) else [] if value is None else [value]
        own = [{"key": key, "value": text} for key, text in tags.items()]
        return [*(tag for tag in given if not _is_reserved(tag)), *own]
    if isinstance(value, list):
        return [_stamped(item, way, tags) for item in value]
    if not isinstance(value, dict):
        return value
    # Without metadata there are none yet.
    inner = value.get(way[0]) or ({} if len(way) > 1 else None)
    return {**value, way[0]: _stamped(inner, way[1:], tags)}


def _is_reserved(tag: object) -> bool:
    key = tag.get("key") if isinstance(tag, dict) else None
    # One that differs in blanks or case looks like ours on a page.
    name = key.strip().lower() if isinstance(key, str) else ""
    return name.startswith(_OURS) or name in _RESERVED


def _pairs(value: object, depth: int = 5) -> Iterator[tuple[str, Any]]:
    """The entries of nested objects down to `depth`, the outermost of each name last."""
    if isinstance(value, list) and depth:
        for item in value:
            yield from _pairs(item, depth - 1)
    elif isinstance(value, Mapping) and depth:
        for name, inner in value.items():
            if name not in ("runConfigData", "tags", "extraTags"):
                yield from _pairs(inner, depth - 1)
                yield name, inner
