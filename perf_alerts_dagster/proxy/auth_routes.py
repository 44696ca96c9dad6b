"""Log in, log out, and who am I."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from perf_alerts_dagster.control.principal import Principal
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.http.body import json_object, refuse_others
from perf_alerts_dagster.http.middleware import address_of
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.requests import answered
from perf_alerts_dagster.identity.credentials import key_of
from perf_alerts_dagster.identity.permissions import change_of, identity_of, principal_of
from perf_alerts_dagster.proxy.schemas import DoneAnswer, LoginAnswer, MeAnswer, User

router = APIRouter(prefix="/auth", tags=["auth"])

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"api_key": {"type": "string", "minLength": 1}},
                    "required": ["api_key"],
                    "additionalProperties": False,
                }
            }
        },
    },
    "security": [],
}


async def caller(request: Request) -> Principal:
    """Who asks; any permission will do."""
    return principal_of(request)


Caller = Annotated[Principal, Depends(caller)]


@router.post("/login", response_model=LoginAnswer, openapi_extra=_BODY)
async def login(request: Request) -> Response:
    """Exchange an API key for a token."""
    body = await json_object(request)
    refuse_others(body, "api_key")
    key = body.get("api_key")
    if not isinstance(key, str) or not key:
        raise Problem(422, "validation", 'the body must be {"api_key": "<an API key>"}')
    found = identity_of(request).login(key_of(key.encode()), address_of(request.scope))
    return answered(
        LoginAnswer(
            access_token=found.token,
            token_type="bearer",  # noqa: S106 - the kind of token, not a secret
            expires_in=found.expires_in,
            user=User.model_validate(_user(found.principal)),
        )
    )


@router.get("/me", response_model=MeAnswer)
async def me(request: Request, who: Caller) -> Response:
    """Who the caller is, and what it may do."""
    last_used = None if who.last_used is None else timestamp(who.last_used)
    return answered(
        MeAnswer.model_validate(_user(who) | {"last_used": last_used, "enabled": who.enabled})
    )


@router.post("/logout", response_model=DoneAnswer)
async def logout(request: Request, who: Caller) -> Response:
    """End the token that the caller came with; others of the same key go on."""
    refuse_others(await json_object(request))
    identity = identity_of(request)
    now = identity.clock()
    token = request.state.token
    change = change_of(request, who, "logout", token.token_id if token else "", at=now)
    await identity.logout(token, change)
    return answered(
        DoneAnswer(success=True, message="the token counts no more", timestamp=timestamp(now))
    )


def _user(who: Principal) -> dict[str, object]:
    return {
        "user_id": who.user_id,
        "username": who.username,
        "roles": list(who.roles),
        "permissions": sorted(who.permissions),
    }
