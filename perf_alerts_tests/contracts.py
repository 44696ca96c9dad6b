"""What the outside world holds on to, taken from the code at hand and comparable by structure.

Each contract is a JSON file in `reference/contracts`, which `test_contracts.py` compares with
what the code gives. Texts for people, titles, the names of schemas and any order are no part of
them. A change that is meant is written down on purpose, and the difference reviewed:

    python -m perf_alerts_tests.contracts --write
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import click
import dagster as dg
from click.testing import CliRunner
from dagster._core.workspace.load_target import WorkspaceFileTarget
from prometheus_client.parser import text_string_to_metric_families

from perf_alerts_dagster.bootstrap.records import migrate_store, store_url
from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.defs.build import build_definitions
from perf_alerts_dagster.executions.catalog import catalog_file, read_catalog
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.notifications.messages import message_of, test_message
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_dagster.settings import load_settings
from perf_alerts_dagster.settings.model import FIELDS, FILES, variable
from perf_alerts_dagster.stack.dagster_home import prepare_home
from perf_alerts_tests.incidents.incident_desk import (
    DAILY,
    START,
    IncidentDesk,
    breach,
    fine,
    judged,
)
from perf_alerts_tests.server.apps import Proxy, serving
from perf_alerts_tests.server.fakes import alert_run
from perf_alerts_tests.stored_state import LATER, execute, schema, unpacked

FOLDER = Path(__file__).parent / "reference" / "contracts"
Json = Any


def openapi() -> Json:
    """Paths, methods, parameters, bodies and answers with their fields, references resolved."""
    document = Proxy().app.openapi()
    schemas = document["components"]["schemas"]

    def content(body: Mapping[str, Json], *, strict: bool) -> Json:
        return {
            media: _schema(one.get("schema", {}), schemas, strict=strict)
            for media, one in body.get("content", {}).items()
        }

    return {
        "security schemes": {
            name: {key: one[key] for key in ("type", "in", "name", "scheme") if key in one}
            for name, one in document["components"]["securitySchemes"].items()
        },
        "operations": {
            f"{method.upper()} {path}": {
                "open": operation.get("security") == [],
                "parameters": {
                    f"{one['in']} {one['name']}{'' if one.get('required') else '?'}": _parameter(
                        one["schema"], schemas
                    )
                    for one in operation.get("parameters", ())
                },
                "body": {
                    "required": operation["requestBody"].get("required", False),
                    "content": content(operation["requestBody"], strict=True),
                }
                if "requestBody" in operation
                else None,
                "answers": _alike(
                    {
                        status: content(answer, strict=False)
                        for status, answer in operation["responses"].items()
                    }
                ),
            }
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        },
    }


def _alike(answers: Mapping[str, Json]) -> Json:
    """Answers by their statuses, those with the same content together."""
    found: dict[str, list[str]] = {}
    for status in sorted(answers):
        found.setdefault(_text(answers[status]), []).append(status)
    return {" ".join(statuses): answers[statuses[0]] for statuses in found.values()}


def _parameter(given: Mapping[str, Json], schemas: Mapping[str, Json]) -> Json:
    """A parameter's type; one that may be left out is never null by itself."""
    kind = _schema(given, schemas, strict=True)
    if isinstance(kind, dict) and "any" in kind:
        rest = [one for one in kind["any"] if one != "null"]
        return rest[0] if len(rest) == 1 else {"any": rest}
    return kind


def _schema(
    given: Mapping[str, Json],
    schemas: Mapping[str, Json],
    *,
    strict: bool,
    seen: tuple[str, ...] = (),
) -> Json:
    """A schema as a type's word, or an object that holds those of its parts.

    A field that may be absent ends in `?`. Whether others are refused counts for bodies only,
    which are `strict`.
    """
    if "$ref" in given:
        name = given["$ref"].rpartition("/")[2]
        # A schema within itself is looked at once.
        if name in seen:
            return "itself"
        return _schema(schemas[name], schemas, strict=strict, seen=(*seen, name))

    def inner(one: Mapping[str, Json]) -> Json:
        return _schema(one, schemas, strict=strict, seen=seen)

    for word in ("anyOf", "oneOf"):
        if word in given and "enum" not in given:
            return {"any": sorted((inner(one) for one in given[word]), key=_text)}
    kind = given.get("type")
    if isinstance(kind, list):
        return {"any": sorted((inner({**given, "type": one}) for one in kind), key=_text)}
    if kind == "array":
        return {"list of": inner(given.get("items", {}))}
    return _object(given, inner, strict=strict) if kind == "object" else _plain(given)


def _plain(given: Mapping[str, Json]) -> Json:
    choices = given.get("enum", [given["const"]] if "const" in given else None)
    if choices is not None:
        return {"one of": sorted(choices, key=str)}
    kind = given.get("type", "anything")
    return f"{kind} {given['format']}" if "format" in given else kind


def _object(
    given: Mapping[str, Json], inner: Callable[[Mapping[str, Json]], Json], *, strict: bool
) -> Json:
    found: dict[str, Json] = {}
    more = given.get("additionalProperties")
    if isinstance(more, dict):
        found["values"] = inner(more)
    if strict:
        found["others are refused"] = more is False
    required = given.get("required", ())
    if "properties" in given:
        found["fields"] = {
            name if name in required else f"{name}?": inner(one)
            for name, one in given["properties"].items()
        }
    return found or "object"


def command_line() -> Json:
    """Every command with its options, arguments and their defaults."""
    return {" ".join(path): _command(one) for path, one in _commands(cli, ("perf-alerts",))}


def _commands(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _commands(inner, (*path, name))


def _command(command: click.Command) -> Json:
    found = {}
    for one in command.params:
        notified = one.to_info_dict()
        kind = {name: value for name, value in notified["type"].items() if name != "param_type"}
        found[" ".join([*one.opts, *one.secondary_opts])] = {
            "kind": notified["param_type_name"],
            "type": kind,
            **{name: notified[name] for name in ("required", "nargs", "multiple", "default")},
            "envvar": notified["envvar"],
            "is_flag": notified.get("is_flag", False),
        }
    return found


def settings() -> Json:
    """Every variable with its default, the files, and what the defaults' version is."""
    with tempfile.TemporaryDirectory() as folder:
        plain = load_settings({"ALERT_STATE_DIR": folder}, None)
        return {
            "defaults": {
                variable(name): getattr(plain, name) for name in FIELDS if name != "state_dir"
            }
            | {"ALERT_STATE_DIR": load_settings({}, None).state_dir.name},
            "files": sorted(FILES.values()),
            "statistical": plain.statistical(),
            "settings_version": plain.settings_version,
            "public": shape(plain.public()),
        }


def dagster_names() -> Json:
    """Jobs, ops, schedules, sensors, assets, partitions, tags and retries of the code location."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings({"ALERT_STATE_DIR": folder}, None)
        listed = ("carry", "rates", "ada@example.com"), ("vol desk: \u00fc", None, "vol desk")
        strategies = [
            {"name": name, "group": group, "owner": owner, "is_group": False}
            for name, group, owner in listed
        ]
        catalog_file(settings.state_dir).write_text(
            json.dumps({"strategies": strategies, "left_out": 0}), encoding="utf-8"
        )
        assert len(read_catalog(settings.state_dir).strategies) == len(listed)
        repository = build_definitions(settings).get_repository_def()
        home = prepare_home(settings)
        files = (home / "workspace.yaml", Path(__file__).parents[1] / "workspace.yaml")
        locations = [
            origin.location_name
            for file in files
            for origin in WorkspaceFileTarget([str(file)]).create_origins()
        ]
    jobs = [one for one in repository.get_all_jobs() if not one.name.startswith("__")]
    specs = [
        spec
        for key in repository.asset_graph.get_all_asset_keys()
        for spec in [repository.asset_graph.get(key)]
    ]
    return {
        "locations": locations,
        "repository": repository.name,
        "jobs": {one.name: _job(one) for one in jobs},
        "schedules": {
            one.name: {
                "job": one.job_name,
                "cron": one.cron_schedule,
                "timezone": one.execution_timezone,
                "default": one.default_status.value,
            }
            for one in repository.schedule_defs
        },
        "sensors": {
            one.name: {
                "kind": one.sensor_type.value,
                "seconds": one.minimum_interval_seconds,
                "default": one.default_status.value,
            }
            for one in repository.sensor_defs
        },
        "assets": {
            one.key.to_user_string(): {
                "group": one.group_name,
                "kinds": sorted(one.kinds),
                "owners": sorted(one.owners),
                "metadata": sorted(one.metadata),
                "checks": sorted(check.name for check in one.check_keys),
                "partitions": _partitions(one.partitions_def),
            }
            for one in specs
        },
    }


def _job(job: dg.JobDefinition) -> Json:
    ops: dict[str, Json] = {}
    for node in job.nodes:
        policy = (
            node.definition.retry_policy if isinstance(node.definition, dg.OpDefinition) else None
        )
        ops[node.name] = None
        if policy is not None:
            waits = [
                policy.calculate_delay(attempt) for attempt in range(1, policy.max_retries + 1)
            ]
            ops[node.name] = {"retries": policy.max_retries, "waits": waits}
    return {
        "ops": ops,
        "executor": job.executor_def.name,
        "resources": sorted(set(job.resource_defs) - {"io_manager"}),
        "tags": dict(job.tags),
        "partitions": _partitions(job.partitions_def),
        "metadata": sorted(job.metadata),
    }


def _partitions(found: object) -> Json:
    if found is None:
        return None
    if isinstance(found, dg.DynamicPartitionsDefinition):
        return {"dynamic": found.name}
    assert isinstance(found, dg.TimeWindowPartitionsDefinition)
    return {
        "first": found.start.isoformat(),
        "cron": found.cron_schedule,
        "format": found.fmt,
        "timezone": found.timezone,
        "end_offset": found.end_offset,
    }


def run_records() -> Json:
    """What a run writes into Dagster: its tags, events' metadata, and the summary's fields."""
    with tempfile.TemporaryDirectory() as folder:
        stored = unpacked(Path(folder))
        migrate_store(stored.settings)
        # A run that fails is not waited for.
        once = stored.environ | {"ALERT_MAX_RETRY_ATTEMPTS": "1"}
        defs = build_definitions(load_settings(once, None))
        with dg.DagsterInstance.ephemeral() as instance:
            done = defs.resolve_job_def(DAILY).execute_in_process(
                instance=instance, partition_key="2026-11-27"
            )
            run = instance.get_run_by_id(done.run_id)
            assert run is not None
            events = [
                one.dagster_event
                for one in instance.all_logs(done.run_id)
                if one.dagster_event is not None
            ]
        outputs = [one.step_output_data.metadata for one in events if one.is_successful_output]
        shown = [
            one.step_materialization_data.materialization
            for one in events
            if one.is_step_materialization
        ]
        return {
            "tags": sorted(name for name in run.tags if name.startswith("perf_alerts/")),
            "output metadata": [_metadata(one) for one in outputs],
            "materialized": [
                {"asset": one.asset_key.to_user_string(), "partition": one.partition}
                | {"metadata": _metadata(one.metadata)}
                for one in shown
            ],
        }


def _metadata(found: Mapping[str, object]) -> Json:
    return {name: type(value).__name__ for name, value in found.items()}


def metrics() -> Json:
    """Names, types, labels and buckets of /metrics."""
    return asyncio.run(_metrics())


async def _metrics() -> Json:
    proxy = Proxy()
    # Of an alert that never ran there is no time and no result.
    proxy.scheduler.history.append(alert_run())
    proxy.store.record(judged(fine()), watermark=None)
    async with serving(proxy) as client:
        await client.get("/schedule/status")
        text = (await client.get("/metrics")).text
    found: dict[str, Json] = {}
    for family in text_string_to_metric_families(text):
        names: dict[str, set[str]] = {}
        for sample in family.samples:
            names.setdefault(sample.name, set()).update(sample.labels)
        buckets = {one.labels["le"] for one in family.samples if "le" in one.labels}
        found[family.name] = {
            "type": family.type,
            "samples": {name: sorted(labels) for name, labels in names.items()},
            "buckets": sorted(buckets, key=float),
        }
    return found


def outputs() -> Json:
    """The fields of what is printed as JSON, of summary files, and of what receivers get."""
    with tempfile.TemporaryDirectory() as folder:
        stored = unpacked(Path(folder))
        migrate_store(stored.settings)
        as_of = ("--as-of", "2026-11-27", "--json")
        summary = execute(stored.settings, "contract", LATER)["summary"]
        listed = _printed(stored.environ, "incidents", "list", "--all", "--json")
        return {
            "summary file": shape(summary),
            "evaluate --json": {
                alert: shape(_printed(stored.environ, "evaluate", alert, *as_of))
                for alert in (DAILY, "weekly_stability_check", "monthly_forward_test_update")
            },
            "measure --json": shape(_printed(stored.environ, "measure", *as_of)),
            "incidents list --json": shape(listed),
            "incidents show --json": shape(
                [
                    _printed(stored.environ, "incidents", "show", one["id"], "--json")
                    for one in listed["incidents"]
                ]
            ),
            "doctor --json": shape(_printed(stored.environ, "doctor", "--json")),
            "webhook": _payloads(),
        }


def _printed(environ: Mapping[str, str], *words: str) -> Json:
    # None takes a variable of this machine away.
    plain: dict[str, str | None] = {one: None for one in os.environ if one.startswith("ALERT_")}
    return json.loads(CliRunner(env=plain | dict(environ)).invoke(cli, words).stdout)


def _payloads() -> Json:
    """What a program gets of each kind of message."""
    desk = IncidentDesk(settings=NotificationSettings(channels=("mail",), digest=True))
    desk.judge(breach())
    desk.lifecycle.digest(judged(breach()), now=desk.now)
    rows = desk.outbox.claim(desk.now, "postman", desk.settings.window, limit=100)
    messages = [
        message_of(one, wording=Wording(public_url="https://alerts.example")) for one in rows
    ]
    messages.append(test_message(START, public_url="https://alerts.example"))
    return {one.kind: shape(dict(one.payload)) for one in messages}


def store_schema() -> Json:
    """The tables of a migrated SQLite store as the database tells them."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings({"ALERT_STATE_DIR": folder}, None)
        migrate_store(settings)
        return schema(store_url(settings))


def shape(value: Json) -> Json:
    """The types of JSON: a field that not all objects of a list have ends in `?`."""
    return _merged([value])


def _merged(values: Sequence[Json]) -> Json:
    """What all values are: one type, or `any` of several."""
    objects = [one for one in values if isinstance(one, Mapping)]
    lists = [one for one in values if isinstance(one, list | tuple)]
    kinds: list[Json] = sorted(
        {_word(one) for one in values if not isinstance(one, Mapping | list | tuple)}
    )
    if objects:
        names = {str(name) for one in objects for name in one}
        kinds.append(
            {
                name if all(name in one for one in objects) else f"{name}?": _merged(
                    [one[name] for one in objects if name in one]
                )
                for name in sorted(names)
            }
        )
    if lists:
        kinds.append([_merged([one for each in lists for one in each])] if any(lists) else [])
    return kinds[0] if len(kinds) == 1 else {"any": kinds}


def _word(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case _:
            return "text"


CONTRACTS: dict[str, Callable[[], Json]] = {
    "openapi": openapi,
    "command_line": command_line,
    "settings": settings,
    "dagster": dagster_names,
    "run_records": run_records,
    "metrics": metrics,
    "outputs": outputs,
    "store_schema": store_schema,
}


def written(found: Json) -> str:
    """A contract as its file holds it: what has no order is in one."""
    return _text(found, indent=1) + "\n"


def _text(found: Json, indent: int | None = None) -> str:
    return json.dumps(found, indent=indent, sort_keys=True, ensure_ascii=False, default=str)


def path_of(name: str) -> Path:
    """The file of a contract."""
    return FOLDER / f"{name}.json"


def main(words: Sequence[str]) -> None:
    """Write every contract anew, where that is asked for."""
    if list(words) != ["--write"]:
        sys.exit("python -m perf_alerts_tests.contracts --write")
    FOLDER.mkdir(exist_ok=True)
    found = {}
    # No .env counts.
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for name, taken in CONTRACTS.items():
            found[name] = written(taken())
    for name, text in found.items():
        path_of(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
