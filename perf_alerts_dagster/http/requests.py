"""Requests and answers: bodies, queries and headers as strict models, from which OpenAPI follows.

A body is read by `http.body` once its sender is known, and validated by its model only then, so
that FastAPI neither validates before authentication nor repeats what was sent in its errors.
"""

import base64
import binascii
from collections.abc import Mapping
from functools import cache, partial
from typing import Annotated, Any, TypeVar, get_args

from fastapi import Request, Response
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
from starlette.datastructures import Headers, QueryParams

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.http.body import json_object
from perf_alerts_dagster.http.inputs import InputError, text_check, whole
from perf_alerts_dagster.http.schemas import Model

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

_MAXIMUM_CURSOR = 512
_LIMIT = 50
_MAXIMUM_LIMIT = 500


class _NotNull:
    """Marks a field that may be left out and is never null, in the check and in its schema."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return handler.generate_schema(get_args(source)[0])


Absent = Annotated[T | None, _NotNull()]
"""The type of a field that may be left out: None where it was, and null is refused."""


class Body(BaseModel):
    """The body of a request: JSON of exactly these members and types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Empty(Body):
    """The body of a request that takes none; an empty object is fine."""


class Parameters(BaseModel):
    """Parameters of a query, or headers. One sent twice is refused, an unknown one is ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


async def body_of(request: Request, model: type[M], **context: object) -> M:
    """The body as its model; `context` is what its checks need, such as `now` and `today`.

    Raises:
        Problem: it cannot be read, or is no strict JSON (see `json_object`).
        InputError: a member is missing, unknown or not accepted.
    """
    return checked(model, await json_object(request), **context)


async def texts_of(request: Request, model: type[BaseModel]) -> dict[str, Json]:
    """The members of a body of texts, of which only the names and types are checked.

    For endpoints that answer an unknown alert before a wrong value; `checked` does the rest.

    Raises:
        Problem: it cannot be read, or is no strict JSON (see `json_object`).
        InputError: a member is unknown, or no text.
    """
    members = await json_object(request)
    for name, value in members.items():
        if name not in model.model_fields:
            raise InputError("body", _accepted(schema_of(model), "extra_forbidden"))
        if not isinstance(value, str):
            raise InputError(name, "a text")
    return members


def query_of(request: Request, model: type[M], **context: object) -> M:
    """The query as its model.

    Raises:
        InputError: a parameter is given twice, or is not accepted.
    """
    return checked(model, _given_once(request.query_params, model), "query", **context)


def headers_of(request: Request, model: type[M]) -> M:
    """The headers that a model names.

    Raises:
        InputError: a header is given twice, or is not accepted.
    """
    return checked(model, _given_once(request.headers, model), "headers")


def openapi_of(
    *,
    body: type[Body] | None = None,
    query: type[Parameters] | None = None,
    headers: type[Parameters] | None = None,
    body_required: bool = False,
) -> dict[str, Any]:
    """The OpenAPI description of a request (FastAPI's `openapi_extra`), from its models.

    Args:
        body: The model of the body; none is documented where None.
        query: The model of the query.
        headers: The model of the headers.
        body_required: Whether a body must be sent though none of its members must.
    """
    extra: dict[str, Any] = {}
    if query or headers:
        extra["parameters"] = [
            *(_parameters("query", query) if query else ()),
            *(_parameters("header", headers) if headers else ()),
        ]
    if body:
        schema = schema_of(body)
        extra["requestBody"] = {
            "required": body_required or "required" in schema,
            "content": {"application/json": {"schema": schema}},
        }
    return extra


@cache
def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a model's input, with all references replaced by their targets."""
    schema = model.model_json_schema(schema_generator=_Schema)
    return _inlined(schema, schema.pop("$defs", {}))


class _Schema(GenerateJsonSchema):
    """Schemas without generated titles, and without null defaults of optional fields."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def _inlined(schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        # Members beside a reference, such as a description, override those of its target.
        schema = definitions[schema["$ref"].rpartition("/")[2]] | schema
    return {
        name: _inlined(inner, definitions) if isinstance(inner, dict) else inner
        for name, inner in schema.items()
        if name != "$ref"
    }


def _parameters(kind: str, model: type[Parameters]) -> list[dict[str, Any]]:
    schema = schema_of(model)
    parameters = []
    for name, declared in schema["properties"].items():
        parameter = {"name": name, "in": kind, "required": name in schema.get("required", ())}
        if "description" in declared:
            parameter["description"] = declared["description"]
        parameter["schema"] = {
            key: value for key, value in declared.items() if key != "description"
        }
        parameters.append(parameter)
    return parameters


def _given_once(source: QueryParams | Headers, model: type[BaseModel]) -> dict[str, Json]:
    params: dict[str, Json] = {}
    for name in schema_of(model)["properties"]:
        values = source.getlist(name)
        if len(values) > 1:
            raise InputError(name, "given once")
        if values:
            params[name] = values[0]
    return params


def checked(
    model: type[M], sent: Mapping[str, Json], part: str = "body", /, **context: object
) -> M:
    """A part of a request as its model; `context` is for the checks of its fields.

    Raises:
        InputError: a member is missing, unknown or not accepted.
    """
    try:
        return model.model_validate(sent, context=context)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        path, schema = _located(schema_of(model), fault["loc"], sent)
        cause = fault.get("ctx", {}).get("error")
        accepted = (
            cause.accepted if isinstance(cause, InputError) else _accepted(schema, fault["type"])
        )
    # Outside of the handler: pydantic's error holds what was sent, and must reach no log.
    raise InputError(path or part, accepted)


def _located(
    schema: Mapping[str, Any], loc: tuple[int | str, ...], sent: object
) -> tuple[str, Mapping[str, Any]]:
    """The path of a fault and its schema; keys of the sender appear as their number only."""
    path = ""
    for part in loc:
        if part in schema.get("properties", {}):
            path += f".{part}"
            schema = schema["properties"][part]
        elif isinstance(schema.get("additionalProperties"), dict) and isinstance(sent, dict):
            path += f"[{list(sent).index(part) + 1}]"
            schema = schema["additionalProperties"]
        else:
            break
        sent = sent.get(part) if isinstance(sent, dict) else None
    return path.removeprefix("."), schema


def _accepted(schema: Mapping[str, Any], fault: str) -> str:
    """The accepted values of a schema, in words."""
    if fault == "extra_forbidden":
        return f"a member is unknown; known: {', '.join(schema.get('properties', ())) or 'none'}"
    words = {
        "object": "an object",
        "integer": "a whole number",
        "number": "a number",
    }.get(schema.get("type", ""), "a text")
    if "enum" in schema:
        words = f"one of {', '.join(schema['enum'])}"
    if "properties" in schema:
        words += f" of {', '.join(schema['properties'])}"
    if "minimum" in schema:
        words += f", {schema['minimum']} or above"
    if "minLength" in schema:
        words += f" of {schema['minLength']} or more characters"
    return f"{words}, which must be given" if fault == "missing" else words


def to_cursor(position: str | None) -> str | None:
    """The cursor of a position in a list; None for None (no next page)."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> str:
    """The position that a cursor encodes.

    Raises:
        InputError: `to_cursor` did not make it.
    """
    if len(cursor) > _MAXIMUM_CURSOR:
        raise bad_cursor()
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        position = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise bad_cursor() from error
    if to_cursor(position) != cursor:
        raise bad_cursor()
    return position


def bad_cursor() -> InputError:
    """The error for a cursor that no answer has given out."""
    return InputError("cursor", "the next_cursor of the page before")


Cursor = Annotated[
    str,
    BeforeValidator(from_cursor),
    WithJsonSchema({"type": "string", "description": "The next_cursor of the page before."}),
]
Limit = Annotated[
    int,
    text_check(partial(whole, minimum=1, maximum=_MAXIMUM_LIMIT)),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": _MAXIMUM_LIMIT}),
]


class Paged(Parameters):
    """The parameters of a paginated list."""

    cursor: Absent[Cursor] = None
    limit: Limit = Field(_LIMIT, description="How many entries a page holds at most.")


def json_answer(
    model: Model, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A model as the answer, written once: FastAPI would check and copy it again."""
    return Response(
        model.model_dump_json(),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )
