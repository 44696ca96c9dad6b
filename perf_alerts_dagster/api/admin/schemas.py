"""Requests and answers of audit, thresholds, keys and sessions."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, Strict, WithJsonSchema, create_model, model_validator

from perf_alerts_dagster.control.audit import AuditOutcome
from perf_alerts_dagster.http import requests
from perf_alerts_dagster.http.inputs import (
    Future,
    InputError,
    Moment,
    Reason,
    StrategyName,
    text_check,
    text_schema,
)
from perf_alerts_dagster.http.schemas import Answer, Model, Page, Time
from perf_alerts_dagster.identity.sessions import Kind
from perf_alerts_dagster.identity.stored_keys import KEY_NAME
from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS
from perf_alerts_dagster.settings.keys import ROLES

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


def _role(text: str, field: str) -> str:
    if text not in ROLES:
        raise InputError(field, f"one of {', '.join(ROLES)}")
    return text


def _key_name(text: str, field: str) -> str:
    if not KEY_NAME.fullmatch(text):
        raise InputError(field, "1 to 64 letters, digits, dots, dashes and underscores")
    return text


class AuditQuery(requests.Paged):
    """The filter of GET /admin/audit."""

    since: requests.Absent[Moment] = None
    until: requests.Absent[Moment] = None
    actor: requests.Absent[Reason] = None
    action: requests.Absent[Reason] = None
    format: requests.Absent[Literal["jsonl", "csv"]] = Field(
        None, description="All entries that fit as a file; `cursor` and `limit` do not count."
    )
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


_Line = Annotated[
    Annotated[int, Strict()] | Annotated[float, Strict()] | None,
    WithJsonSchema({"type": "number", "nullable": True}),
]


class ColumnBounds(requests.Body):
    """The least and the most that a column may be: one of them at least."""

    min: _Line = None
    max: _Line = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is None and self.max is None:
            raise InputError("columns", "for each a min, a max, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise InputError("columns", "a min that is not above the max")
        return self


class MandateValues(requests.Body):
    """Mandates as ALERT_POLICY_LIMITS has them: fractions above 0, null lifts a default's line."""

    drawdown: _Line = None
    daily_loss: _Line = None
    weekly_loss: _Line = None
    monthly_loss: _Line = None
    columns: requests.Absent[dict[StrategyName, ColumnBounds]] = None
    severity: requests.Absent[Literal["warning", "critical", "emergency"]] = None


class MandatesBody(requests.Body):
    """Mandates by default and per strategy."""

    default: MandateValues = MandateValues()
    strategies: dict[StrategyName, MandateValues] = Field(default_factory=dict)


class ThresholdsBody(requests.Body):
    """PUT /config/thresholds: replaces all limits; `version` is that read by the caller.

    Without `mandates` those in force stay.
    """

    version: requests.Absent[Annotated[int, Field(ge=0)]] = None
    default: LimitValues = LimitValues()
    strategies: dict[StrategyName, LimitValues] = Field(default_factory=dict)
    mandates: requests.Absent[MandatesBody] = None


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
    """The thresholds that were set, by default and per strategy; version 0 is ALERT_THRESHOLDS.

    `mandates` has the shape of ALERT_POLICY_LIMITS.
    """

    version: int
    mandates: dict[str, dict[str, Any]]


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
    server_request_id: str


class AuditAnswer(Page):
    """Changes, newest first."""

    data: list[AuditEntry]


class KeyBody(requests.Body):
    """POST /keys: a new key, which never expires without `expires_at`."""

    role: Annotated[str, text_check(_role), text_schema(enum=list(ROLES))]
    name: Annotated[str, text_check(_key_name), text_schema(pattern=f"^{KEY_NAME.pattern}$")]
    expires_at: requests.Absent[Future] = None


class ExpiryBody(requests.Body):
    """POST /keys/{id}/expire: when the key ends."""

    expires_at: Future


class KeyEntry(Model):
    """One key; `source` is environment, state_folder or store, and only the store's can be changed.

    The times are null where they are not known or never come.
    """

    key_id: str
    role: str
    name: str
    user_id: str = Field(examples=["operator:ci-bot"])
    source: str = Field(examples=["store"])
    status: Literal["live", "expired", "revoked"]
    created_at: Time | None
    created_by: str | None
    expires_at: Time | None
    revoked_at: Time | None
    revoked_by: str | None
    last_used: Time | None


class KeysAnswer(Page):
    """All keys, those of the settings first."""

    data: list[KeyEntry]


class KeyAnswer(Answer):
    """A key that was changed."""

    data: KeyEntry
    timestamp: Time


class NewKeyAnswer(KeyAnswer):
    """A new key; `api_key` is its text, which is shown this once."""

    api_key: str


class SessionsQuery(requests.Parameters):
    """Whose sessions: one's own, a user's or everybody's, the latter two for administrators."""

    user: requests.Absent[Reason] = None
    all: requests.Absent[Literal["true", "false"]] = None


class SessionsBody(requests.Body):
    """POST /sessions/end: as the query of GET /sessions."""

    user: requests.Absent[Reason] = None
    all: bool = False


class SessionEntry(Model):
    """A login that goes on; `kind` is page or token, `seen_at` a minute late at most."""

    token_id: str
    user_id: str
    key_id: str
    kind: Kind
    address: str
    began_at: Time
    seen_at: Time
    expires_at: Time
    is_current: bool


class SessionsAnswer(Page):
    """The newest 1,000 sessions, newest first."""

    data: list[SessionEntry]


class SessionsEnded(Answer):
    """How many sessions were ended."""

    ended: int
    timestamp: Time
