"""Log in, log out, and who am I."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from perf_alerts_dagster.control.principal import Principal
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.http.middleware import address_of
from perf_alerts_dagster.http.requests import Empty, body_of, json_answer, openapi_of
from perf_alerts_dagster.identity.authenticator import key_of
from perf_alerts_dagster.identity.permissions import change_of, identity_of, principal_of
from perf_alerts_dagster.proxy.schemas import DoneAnswer, LoginAnswer, LoginBody, MeAnswer, User

router = APIRouter(prefix="/auth", tags=["auth"])


async def caller(request: Request) -> Principal:
    """The caller; any permission will do."""
    return principal_of(request)


Caller = Annotated[Principal, Depends(caller)]


@router.post("/login", response_model=LoginAnswer, openapi_extra=openapi_of(body=LoginBody))
async def login(request: Request) -> Response:
    """Exchange an API key for a token."""
    body = await body_of(request, LoginBody)
    key = key_of(body.api_key.encode())
    access = identity_of(request).login(key, address_of(request.scope))
    return json_answer(
        LoginAnswer(
            access_token=access.token,
            token_type="bearer",  # noqa: S106 - the kind of token, not a secret
            expires_in=access.expires_in,
            user=User.model_validate(_user(access.principal)),
        )
    )


@router.get("/me", response_model=MeAnswer)
async def me(request: Request, who: Caller) -> Response:
    """Who the caller is, and what it may do."""
    last_used = None if who.last_used is None else timestamp(who.last_used)
    return json_answer(
        MeAnswer.model_validate(_user(who) | {"last_used": last_used, "enabled": who.enabled})
    )


@router.post("/logout", response_model=DoneAnswer)
async def logout(request: Request, who: Caller) -> Response:
    """End the token that the caller came with; others of the same key go on."""
    await body_of(request, Empty)
    identity = identity_of(request)
    now = identity.clock()
    token = request.state.token
    change = change_of(request, who, "logout", token.token_id if token else "", at=now)
    await identity.logout(token, change)
    return json_answer(
        DoneAnswer(success=True, message="the token counts no more", timestamp=timestamp(now))
    )


def _user(who: Principal) -> dict[str, object]:
    return {
        "user_id": who.user_id,
        "username": who.username,
        "roles": list(who.roles),
        "permissions": sorted(who.permissions),
    }
