"""A person's session: the API's own token in a cookie that only the pages read.

The API accepts no cookie, so that other sites cannot make a browser call it. The pages' forms carry
a token derived from the session's, which other sites cannot know (against forged requests).
A person whom a trusted proxy names needs no cookie; one who has a session as well acts by that.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl

from fastapi import Request, Response

from perf_alerts_dagster.control.principal import Permission, Principal
from perf_alerts_dagster.http.body import read_body
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.identity.authenticator import Bearer
from perf_alerts_dagster.identity.middleware import LOOPBACK_HOSTS, refuse_foreign
from perf_alerts_dagster.identity.permissions import check, identity_of
from perf_alerts_dagster.identity.tokens import Token
from perf_alerts_dagster.proxy.resources import resources_of
from perf_alerts_dagster.stack.ui_login import SESSION_COOKIES

FORM = "application/x-www-form-urlencoded"
_MAXIMUM_FIELDS = 16
_FORWARDING = frozenset(
    {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"}
)


class LoginNeeded(Exception):
    """There is no session: the browser is redirected to the login page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The logged-in principal; `token` is None without a login of its own.

    `secret` is known to this session only; its forms carry what follows from it.
    """

    who: Principal
    token: Token | None
    secret: bytes = field(repr=False)

    @property
    def form_word(self) -> str:
        """The token against forged requests that each form of this session carries."""
        return hmac.new(self.secret, b"perf-alerts form", hashlib.sha256).hexdigest()

    @property
    def may_answer(self) -> bool:
        """Whether the session may acknowledge and resolve incidents."""
        return Permission.TOGGLE in self.who.permissions


async def session_of(request: Request) -> Session:
    """The session of a request.

    Raises:
        LoginNeeded: there is none, or it has ended.
        Problem: 403 where the role may see nothing, 400, 429 and 503 as the API's.
    """
    identity = identity_of(request)
    text = request.cookies.get(cookie_name(request), "")
    for sent in (Bearer(text), None) if text else (None,):
        try:
            admitted = await identity.admit(sent, request.scope)
            break
        except Problem as problem:
            if problem.status != HTTPStatus.UNAUTHORIZED:
                raise
    else:
        raise LoginNeeded
    check(request, admitted.principal, Permission.VIEW_HISTORY)
    secret = text.encode()
    if admitted.token is None:
        named = f"perf-alerts form of {admitted.principal.user_id}"
        secret = hmac.digest(identity.tokens.secret, named.encode(), hashlib.sha256)
    request.state.principal = admitted.principal
    return Session(who=admitted.principal, token=admitted.token, secret=secret)


async def form_of(request: Request, session: Session | None) -> dict[str, str]:
    """The fields of a form that was sent by one of our own pages.

    Args:
        request: A POST.
        session: Whose form it must be; None for the login, which has no session yet.

    Raises:
        Problem: 403 for the form of another page; 400, 413, 415 and 422 for a body that is no form.
    """
    refuse_foreign(request.scope["headers"], identity_of(request).public_host)
    fields = await fields_of(request)
    word = fields.pop("form_word", "")
    if session is not None and not hmac.compare_digest(word.encode(), session.form_word.encode()):
        raise Problem(403, "foreign_form", "this form is of another session; load the page again")
    return fields


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form, whoever sent it.

    Raises:
        Problem: 400, 413, 415 and 422 for a body that is no form.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != FORM:
        raise Problem(415, "unsupported_media_type", f"a form ({FORM}) is accepted")
    try:
        text = (await read_body(request)).decode("ascii")
        pairs = parse_qsl(
            text, keep_blank_values=True, max_num_fields=_MAXIMUM_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise Problem(400, "bad_form", "the form cannot be read") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Problem(422, "validation", "each field of a form is given once")
    return fields


def begin(request: Request, response: Response, token: str, seconds: int) -> None:
    """Begin the browser's session: set the cookie with its token."""
    response.set_cookie(
        cookie_name(request),
        token,
        max_age=seconds,
        path="/",
        httponly=True,
        # Lax: sent with a followed link, such as in a mail, but not with a form of another site.
        samesite="lax",
        secure=_is_secure(request),
    )


def end(request: Request, response: Response) -> None:
    """End the browser's session: delete the cookie, if there is one."""
    if cookie_name(request) not in request.cookies:
        return
    response.delete_cookie(
        cookie_name(request), path="/", httponly=True, samesite="lax", secure=_is_secure(request)
    )


def cookie_name(request: Request) -> str:
    """The cookie's name; over https with a prefix by which no other host can set it."""
    plain, secure = SESSION_COOKIES
    return secure if _is_secure(request) else plain


def _is_secure(request: Request) -> bool:
    """Whether the browser came by https; on this machine itself it may come past it."""
    url: str | None = resources_of(request).settings.public_url
    if not (url or "").startswith("https:"):
        return False
    is_forwarded = any(name in _FORWARDING for name in request.headers)
    is_http = not request.headers.get("origin", "http:").startswith("https:")
    return host_name(request) not in LOOPBACK_HOSTS or is_forwarded or not is_http


def host_name(request: Request) -> str:
    """The name by which the browser calls this server, without the port, in lower case."""
    return re.sub(r":[0-9]*$", "", request.headers.get("host", "")).lower()
