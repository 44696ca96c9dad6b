"""Requests and answers about silences."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import Absent, Body, Parameters
from perf_alerts_dagster.http.schemas import Answer, Model, Page, Time, attributes
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.suppression import Silence

_Severity = Annotated[Severity, inputs.member_of(Severity)]
_Id = Annotated[
    str, inputs.text_check(inputs.identifier), inputs.text_schema(pattern=inputs.ID_PATTERN)
]


class _NullIsAbsent(Body):
    """A body in which null means an omitted member."""

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
    """The matchers of a silence, at least one: it mutes incidents that match all of them."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    strategy: Absent[inputs.StrategyName] = None
    rule: Absent[inputs.StrategyName] = None
    alert: Absent[inputs.AlertName] = None
    severity: Absent[_Severity] = None
    event: Absent[_Id] = None

    @model_validator(mode="after")
    def _refuse_empty(self) -> Self:
        if not self.model_fields_set:
            names = ", ".join(type(self).model_fields)
            raise inputs.InputError("matchers", f"an object with at least one of {names}")
        return self


def _end(value: object, info: ValidationInfo) -> datetime:
    """The end of a silence, at most a year after its start; the start is now by default."""
    if not isinstance(value, str):
        raise inputs.InputError("ends_at", "a text")
    start = info.data.get("starts_at") or (info.context or {})["now"]
    return inputs.future(value, "ends_at", now=start)


class SilenceBody(_NullIsAbsent):
    """POST /silences."""

    matchers: SilenceMatchers
    starts_at: Absent[inputs.Future] = None
    ends_at: Annotated[datetime, BeforeValidator(_end), inputs.text_schema(format="date-time")]
    reason: inputs.Reason


class SilencesQuery(Parameters):
    """The filter of GET /silences."""

    ended: Absent[Literal["true", "false"]] = Field(
        None, description="Also those that have ended, the newest 200 of all."
    )


class PreviewQuery(Parameters):
    """GET /silences/preview: the matchers of a silence, at least one."""

    strategy: Absent[inputs.StrategyName] = None
    rule: Absent[inputs.StrategyName] = None
    alert: Absent[Annotated[inputs.AlertName, inputs.text_schema()]] = None
    severity: Absent[_Severity] = None
    event: Absent[_Id] = None


class EndSilenceQuery(Parameters):
    """DELETE /silences/{id}: why it ends, for the audit."""

    reason: Absent[inputs.Reason] = None


class MutedIncident(Model):
    """An unresolved incident that a silence would mute."""

    id: str
    strategy: str
    rule: str
    status: Status
    severity: Severity


class SilencePreview(Model):
    """What a silence would mute now: the number of unresolved incidents, and the first of them."""

    muted: int
    incidents: list[MutedIncident]
    warning: str | None


class SilencePreviewAnswer(Answer):
    """GET /silences/preview."""

    data: SilencePreview
    timestamp: Time


class MatchersData(Model):
    """The matchers of a silence; null matches everything.

    `up_to` is the highest severity that it mutes: that of an event when it was silenced.
    """

    strategy: str | None
    rule: str | None
    alert: str | None
    severity: Severity | None
    event: str | None
    up_to: Severity | None


class SilenceData(Model):
    """A silence mutes messages from `starts_at` (included) to `ends_at` (excluded).

    `warning` says why it matches nothing that is known; null where it may match.
    """

    id: str
    matchers: MatchersData
    starts_at: Time
    ends_at: Time
    author: str
    reason: str
    active: bool
    warning: str | None


class SilencesAnswer(Page):
    """Silences, newest first."""

    data: list[SilenceData]


class SilenceAnswer(Model):
    """POST and DELETE /silences."""

    success: bool
    data: SilenceData
    timestamp: Time


def silence_data(silence: Silence, *, now: datetime, warning: str | None = None) -> SilenceData:
    """A silence, and whether it is active at `now`."""
    return SilenceData(
        **attributes(silence, SilenceData, "active", "warning"),
        active=silence.is_active(now),
        warning=warning,
    )
