"""The endpoints of keys and sessions: who gets in, and until when."""

import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from perf_alerts_dagster.api.admin import schemas
from perf_alerts_dagster.api.resources import control_of
from perf_alerts_dagster.control.principal import SYSTEM, Permission, Principal
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.requests import body_of, json_answer, openapi_of, query_of
from perf_alerts_dagster.identity.permissions import (
    Administrator,
    Caller,
    change_of,
    check,
    identity_of,
)
from perf_alerts_dagster.identity.stored_keys import (
    KeyRefused,
    StoredKey,
    UnknownKey,
    described,
    make_key,
)

keys = APIRouter(prefix="/keys", tags=["admin"])
sessions = APIRouter(prefix="/sessions", tags=["admin"])

Id = Annotated[str, Path(alias="id", json_schema_extra={"pattern": inputs.ID_PATTERN})]
_SETTINGS = {
    "environment": "the key is of the settings: remove it from ALERT_{}_API_KEY and start again",
    "state_folder": "the key was made at the first start: set ALERT_ADMIN_API_KEY, or delete "
    "admin_key.sha256 in the state folder, and start again",
}


@keys.get("", response_model=schemas.KeysAnswer)
async def all_keys(request: Request, who: Administrator) -> Response:
    """All keys, those of the settings first, and when each was used last."""
    now = control_of(request).clock()
    data = await keys_now(request, now)
    return json_answer(
        schemas.KeysAnswer(success=True, data=data, next_cursor=None, timestamp=timestamp(now))
    )


async def keys_now(request: Request, now: datetime) -> list[schemas.KeyEntry]:
    """All keys, those of the settings first."""
    control, identity = control_of(request), identity_of(request)
    registry = identity.registry
    stored, uses = await asyncio.gather(
        asyncio.to_thread(control.identity.keys.all),
        asyncio.to_thread(control.identity.key_use.last_used),
    )
    last_used = {**uses, **identity.uses.known}
    return [
        schemas.KeyEntry.model_validate(described(key, now, source, last_used.get(key.key_id)))
        for source, found in ((registry.source, registry.keys), ("store", stored))
        for key in found
    ]


@keys.post(
    "",
    status_code=201,
    response_model=schemas.NewKeyAnswer,
    openapi_extra=openapi_of(body=schemas.KeyBody),
)
async def create_key(request: Request, who: Administrator) -> Response:
    """Make a key, valid at once in every process; the answer shows it, and nothing does again."""
    now = control_of(request).clock()
    body = await body_of(request, schemas.KeyBody, now=now)
    text, key = await created_key(request, who, body, now)
    return json_answer(
        schemas.NewKeyAnswer(
            success=True,
            data=schemas.KeyEntry.model_validate(described(key, now)),
            timestamp=timestamp(now),
            api_key=text,
        ),
        status=201,
    )


async def created_key(
    request: Request, who: Principal, body: schemas.KeyBody, now: datetime
) -> tuple[str, StoredKey]:
    """Make a key as a person, and audit it; returns its text, to be shown once, and the key.

    Raises:
        Problem: 403, only a master makes that role; 409, its name is taken.
    """
    control, identity = control_of(request), identity_of(request)
    _check_role(request, who, body.role)
    text, key = make_key(body.role, body.name, by=who.user_id, at=now, expires_at=body.expires_at)
    change = change_of(request, who, "create_key", f"keys/{key.key_id}", at=now)
    if key.user_id in {other.user_id for other in identity.registry.keys}:
        raise Problem(409, "key_refused", f"a key of the settings is named {key.user_id}")
    try:
        await asyncio.to_thread(control.identity.keys.create, key, change)
    except KeyRefused as error:
        raise Problem(409, "key_refused", str(error)) from error
    identity.stored.forget()
    return text, key


@keys.post(
    "/{id}/expire",
    response_model=schemas.KeyAnswer,
    openapi_extra=openapi_of(body=schemas.ExpiryBody),
)
async def expire_key(request: Request, who: Administrator, id_: Id) -> Response:
    """Set when a key expires; its tokens and sessions end with it."""
    now = control_of(request).clock()
    body = await body_of(request, schemas.ExpiryBody, now=now)
    return await _change(request, who, id_, now, body.expires_at)


@keys.delete("/{id}", response_model=schemas.KeyAnswer)
async def revoke_key(request: Request, who: Administrator, id_: Id) -> Response:
    """End a key now and for good; its tokens and sessions end with it."""
    return await _change(request, who, id_, control_of(request).clock())


@sessions.get(
    "",
    response_model=schemas.SessionsAnswer,
    openapi_extra=openapi_of(query=schemas.SessionsQuery),
)
async def listed_sessions(request: Request, who: Caller) -> Response:
    """The caller's sessions; for administrators also a user's or everybody's."""
    query = query_of(request, schemas.SessionsQuery)
    whose = _whose(request, who, query.user, everybody=query.all == "true")
    control = control_of(request)
    now = control.clock()
    found = await asyncio.to_thread(control.identity.sessions.listed, now, **whose)
    current = getattr(request.state.token, "token_id", None)
    data = [
        schemas.SessionEntry.model_validate(
            asdict(session) | {"is_current": session.token_id == current}
        )
        for session in found
    ]
    return json_answer(
        schemas.SessionsAnswer(success=True, data=data, next_cursor=None, timestamp=timestamp(now))
    )


@sessions.post(
    "/end",
    response_model=schemas.SessionsEnded,
    openapi_extra=openapi_of(body=schemas.SessionsBody),
)
async def end_sessions(request: Request, who: Caller) -> Response:
    """End all sessions of the caller, this one too; for administrators also others'."""
    body = await body_of(request, schemas.SessionsBody)
    whose = _whose(request, who, body.user, everybody=body.all)
    now = control_of(request).clock()
    target = "sessions" if body.all else f"sessions/{body.user or who.user_id}"
    change = change_of(request, who, "end_sessions", target, at=now)
    ended = await identity_of(request).sessions.end_all(change, **whose)
    return json_answer(schemas.SessionsEnded(success=True, ended=ended, timestamp=timestamp(now)))


async def _change(
    request: Request, who: Principal, id_: str, now: datetime, expires_at: datetime | None = None
) -> Response:
    after = await changed_key(request, who, id_, now, expires_at)
    data = described(after, now, last_used=identity_of(request).uses.last(after.key_id))
    return json_answer(
        schemas.KeyAnswer(
            success=True, data=schemas.KeyEntry.model_validate(data), timestamp=timestamp(now)
        )
    )


async def changed_key(
    request: Request, who: Principal, id_: str, now: datetime, expires_at: datetime | None = None
) -> StoredKey:
    """Set a stored key's expiry as a person, or revoke it where there is none, and audit it.

    Raises:
        Problem: 403, 404 and 409, see the endpoints.
    """
    identity, store = identity_of(request), control_of(request).identity.keys
    wanted = inputs.identifier(id_)
    for key in identity.registry.keys:
        if key.key_id == wanted:
            hint = _SETTINGS[identity.registry.source].format(key.role.upper())
            raise Problem(409, "settings_key", hint)
    action = "revoke_key" if expires_at is None else "expire_key"
    change = change_of(request, who, action, f"keys/{wanted}", at=now)
    try:
        before = await asyncio.to_thread(store.get, wanted)
        _check_role(request, who, before.role)
        after: StoredKey = (
            await asyncio.to_thread(store.revoke, wanted, change)
            if expires_at is None
            else await asyncio.to_thread(store.expire, wanted, expires_at, change)
        )
    except UnknownKey as error:
        raise Problem(404, "unknown_key", "there is no key of this id") from error
    except KeyRefused as error:
        raise Problem(409, "key_refused", str(error)) from error
    identity.stored.forget()
    return after


def _check_role(request: Request, who: Principal, role: str) -> None:
    """Refuse an admin who would make, or end, a master."""
    is_master = who is SYSTEM or who.user_id.partition(":")[0] == "master"
    if role == "master" and not is_master:
        check(request, who, Permission.ADMIN, needed="a master key is needed for a master key")


def _whose(
    request: Request, who: Principal, user: str | None, *, everybody: bool
) -> dict[str, str]:
    """The filter of sessions that a caller asks for, if it may."""
    if user is not None and everybody:
        raise inputs.InputError("user", "given without all")
    if everybody or user is not None:
        check(request, who, Permission.ADMIN)
        return {} if user is None else {"user_id": user}
    return {"user_id": who.user_id, "key_id": who.key_id}
