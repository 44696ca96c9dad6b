"""Requests and answers of audit and thresholds."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, Strict, WithJsonSchema, create_model

from perf_alerts_dagster.control.audit import AuditOutcome
from perf_alerts_dagster.http import requests
from perf_alerts_dagster.http.inputs import (
    InputError,
    Moment,
    StrategyName,
    text_check,
    text_schema,
)
from perf_alerts_dagster.http.schemas import Answer, Model, Page, Time
from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS

_ROW_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_ETAG = re.compile(r'"(?P<version>0|[1-9][0-9]{0,8})"', re.ASCII)


def _row_id(position: str) -> str:
    if not _ROW_ID.fullmatch(position):
        raise requests.bad_cursor()
    return position


def _etag(text: str, field: str) -> int | None:
    if text == "*":
        return None
    match = _ETAG.fullmatch(text)
    if match is None:
        raise InputError(field, 'the ETag of an answer, such as "3"')
    return int(match["version"])


class AuditQuery(requests.Paged):
    """The filter of GET /admin/audit."""

    since: requests.Absent[Moment] = None
    limit: Annotated[requests.Limit, text_schema()] = requests.Paged.model_fields["limit"].default
    cursor: requests.Absent[Annotated[requests.Cursor, AfterValidator(_row_id)]] = None


# An integer stays an integer, so that the stored content is as it was sent.
_Value = Annotated[
    Annotated[int, Strict()] | Annotated[float, Strict()], WithJsonSchema({"type": "number"})
]
_AbsentValue = requests.Absent[_Value]
_FIELDS: dict[str, Any] = {name: (_AbsentValue, None) for name in DOCUMENTED_LIMITS}
_Values: Any = create_model("_Values", __base__=requests.Body, **_FIELDS)


class LimitValues(_Values):
    """Limits by name; omitted limits have their documented values."""


class ThresholdsBody(requests.Body):
    """PUT /config/thresholds: replaces all limits; `version` is that read by the caller."""

    version: requests.Absent[Annotated[int, Field(ge=0)]] = None
    default: LimitValues = LimitValues()
    strategies: dict[StrategyName, LimitValues] = Field(default_factory=dict)


class ThresholdsHeaders(requests.Parameters):
    """The version that the caller has read, as an ETag; `*` matches any."""

    if_match: Annotated[int | None, text_check(_etag), text_schema()] = Field(
        None, alias="If-Match", description="The ETag of the version that was read."
    )


class EffectiveLimits(Model):
    """The limits in force: all of them, the documented ones where nothing was set."""

    default: dict[str, float]
    strategies: dict[str, dict[str, float]]


class ThresholdSet(EffectiveLimits):
    """The thresholds that were set, by default and per strategy; version 0 is ALERT_THRESHOLDS."""

    version: int


class ThresholdsAnswer(Answer):
    """The thresholds; `data` is accepted as the body of a PUT."""

    data: ThresholdSet
    effective: EffectiveLimits
    updated_at: Time | None
    updated_by: str | None
    timestamp: Time


class AuditEntry(Model):
    """One audited change: actor, address, target, states before and after, and outcome."""

    id: int
    at: Time
    actor: str
    key_id: str
    address: str
    action: str
    target: str
    before: Any
    after: Any
    outcome: AuditOutcome
    request_id: str


class AuditAnswer(Page):
    """Changes, newest first."""

    data: list[AuditEntry]
