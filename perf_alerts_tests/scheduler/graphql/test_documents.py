import ast
from pathlib import Path

import pytest
from dagster_graphql.schema import create_schema
from graphql import GraphQLSchema, OperationDefinitionNode, parse, validate

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.scheduler.graphql import documents, scheduler
from perf_alerts_dagster.scheduler.names import schedule_name
from perf_alerts_dagster.scheduler.port import RunState
from perf_alerts_tests.scheduler.graphql.examples import DOCUMENTS


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    found: GraphQLSchema = create_schema().graphql_schema
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_document_fits_the_installed_schema(name: str, schema: GraphQLSchema) -> None:
    assert validate(schema, parse(DOCUMENTS[name])) == []


def test_every_run_state_of_the_installed_schema_has_a_state_of_ours(
    schema: GraphQLSchema,
) -> None:
    kinds = schema.type_map["RunStatus"]

    assert set(kinds.values) == set(scheduler.STATES)  # type: ignore[attr-defined] # an enum
    assert set(scheduler.STATES.values()) == set(RunState)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_holds_a_value(name: str) -> None:
    operation = parse(DOCUMENTS[name]).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)

    assert '"' not in DOCUMENTS[name]
    assert not any(letter.isdigit() for letter in DOCUMENTS[name])


def test_documents_are_made_once_of_constants_and_the_names_of_the_alerts() -> None:
    tree = ast.parse(Path(documents.__file__).read_text())

    # Without a function nothing can be put into a document after the module was loaded.
    functions = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
    assert [node for node in ast.walk(tree) if isinstance(node, functions)] == []
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imported] == [
        "from perf_alerts_dagster.core.alerts import ALERTS"
    ]


def test_the_status_document_asks_for_the_runs_of_every_alert() -> None:
    operation = parse(documents.STATUS).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    aliases = {one.alias.value for one in operation.selection_set.selections if one.alias}  # type: ignore[attr-defined] # fields

    assert aliases == {alert.name for alert in ALERTS} == set(documents.RUNS_VARIABLES)


def test_the_schedule_is_named_as_the_code_location_names_it() -> None:
    assert schedule_name("daily_pnl_check") == "daily_pnl_check_schedule"
