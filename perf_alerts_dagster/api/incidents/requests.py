"""What requests about incidents and silences hold."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http.inputs import (
    AlertName,
    Comment,
    Future,
    InputError,
    Moment,
    Reason,
    StrategyName,
    future,
    member_of,
    text_schema,
)
from perf_alerts_dagster.http.requests import Absent, Body, Paged
from perf_alerts_dagster.incidents.model import Resolution, Status

_PERSONS = tuple(outcome for outcome in Resolution if outcome.is_manual)
_Severity = Annotated[Severity, member_of(Severity)]


class IncidentsQuery(Paged):
    """The filter of GET /incidents."""

    status: Absent[Annotated[Status, member_of(Status)]] = None
    severity: Absent[_Severity] = None
    strategy: Absent[StrategyName] = None
    rule: Absent[StrategyName] = None
    since: Absent[Moment] = Field(None, description="Seen at or after this time.")


class AcknowledgeBody(Body):
    """POST /incidents/{id}/acknowledge."""

    comment: Comment = ""
    until: Absent[Future] = None


class ResolveBody(Body):
    """POST /incidents/{id}/resolve."""

    outcome: Annotated[Resolution, member_of(Resolution, *_PERSONS), text_schema(enum=_PERSONS)]
    comment: Comment = ""


class _NullIsAbsent(Body):
    """A body in which null stands for a member that was left out."""

    @model_validator(mode="before")
    @classmethod
    def _drop_null(cls, sent: object) -> object:
        if not isinstance(sent, dict):
            return sent
        return {
            name: value
            for name, value in sent.items()
            if value is not None or name not in cls.model_fields
        }


class SilenceMatchers(_NullIsAbsent):
    """What a silence mutes: that which matches all matchers that are given, one at least."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    strategy: Absent[StrategyName] = None
    rule: Absent[StrategyName] = None
    alert: Absent[AlertName] = None
    severity: Absent[_Severity] = None

    @model_validator(mode="after")
    def _refuse_empty(self) -> Self:
        if not self.model_fields_set:
            names = ", ".join(type(self).model_fields)
            raise InputError("matchers", f"an object with at least one of {names}")
        return self


def _end(value: object, info: ValidationInfo) -> datetime:
    """The end of a silence, at most a year after its start; the start is now by default."""
    if not isinstance(value, str):
        raise InputError("ends_at", "a text")
    start = info.data.get("starts_at") or (info.context or {})["now"]
    return future(value, "ends_at", now=start)


class SilenceBody(_NullIsAbsent):
    """POST /silences."""

    matchers: SilenceMatchers
    starts_at: Absent[Future] = None
    ends_at: Annotated[datetime, BeforeValidator(_end), text_schema(format="date-time")]
    reason: Reason
