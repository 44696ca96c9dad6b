"""A person's session: the API's own token in a cookie that only the pages read.

The API accepts no cookie, so that other sites cannot make a browser call it. The pages' forms carry
a token derived from the session's, which other sites cannot know (against forged requests).
A person whom a trusted proxy names needs no cookie; one who has a session as well acts by that.

What was typed into a form is not lost where the form is not accepted: the page is shown again with
`kept`, which every template knows. An input says `value="{{ kept.comment }}"`, one with a default
`value="{{ kept.haircut or 40 }}"`; where two forms of a page have a field of the same name,
`kept("resolve").comment` is what was typed into the form whose path ends in that word.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
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

FOREIGN_FORM = "foreign_form"
FORM = "application/x-www-form-urlencoded"
# One for each event of a page of the list, and a few more.
_MAXIMUM_FIELDS = 64
# Fields and characters; the login form has others beside them.
_MAXIMUM_KEPT = 56, 16 * 1024
_NEVER_KEPT = frozenset({"form_word", "api_key"})
_FORWARDING = frozenset(
    {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"}
)


class LoginNeeded(Problem):
    """There is no session: a person is led to the login page."""

    def __init__(self) -> None:
        super().__init__(401, "missing_credentials", "there is no session; log in at /login")


class Kept:
    """What was typed into a form, by field; an empty text for every other field.

    `form` is the last word of the form's path. More than 16 KiB are not kept. Everything has a
    name that no field has: templates find fields as if they were attributes.
    """

    def __init__(self, form: str = "", fields: Mapping[str, str] | None = None) -> None:
        self.hold_(form, fields or {})

    def hold_(self, form: str, fields: Mapping[str, str]) -> None:
        """Keep these fields in place of the others."""
        typed = {name: text for name, text in fields.items() if text and name not in _NEVER_KEPT}
        size = len(typed), sum(len(name) + len(text) for name, text in typed.items())
        is_small = all(has <= most for has, most in zip(size, _MAXIMUM_KEPT, strict=True))
        self.form_, self.fields_ = form, typed if is_small else {}

    def __getitem__(self, field: str) -> str:
        return self.fields_.get(field, "")

    def __call__(self, form: str) -> "Kept":
        """What was typed into the form whose path ends in this word."""
        return self if form == self.form_ else Kept()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The logged-in principal; `token` is None without a login of its own.

    `secret` is known to this session only; its forms carry what follows from it. `kept` is what was
    typed into the form that was sent, and `note` what to say about it above the page.
    """

    who: Principal
    token: Token | None
    secret: bytes = field(repr=False)
    kept: Kept = field(default_factory=Kept, repr=False)
    note: str = ""

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
    session = request.state.session = Session(
        who=admitted.principal,
        token=admitted.token,
        secret=secret,
        kept=getattr(request.state, "kept", None) or Kept(),
        note=getattr(request.state, "note", ""),
    )
    return session


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
    if session is not None:
        session.kept.hold_(form_name(request), fields)
        if not hmac.compare_digest(word.encode(), session.form_word.encode()):
            raise Problem(403, FOREIGN_FORM, "this form is of another session; load the page again")
    return fields


def form_name(request: Request) -> str:
    """The last word of the path that a form was sent to."""
    return str(request.scope["path"]).rpartition("/")[2]


def is_form(request: Request) -> bool:
    """Whether the body of a request is said to be a form."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower() == FORM


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form, whoever sent it; its body is read once.

    Raises:
        Problem: 400, 413, 415 and 422 for a body that is no form.
    """
    known: dict[str, str] | None = getattr(request.state, "fields", None)
    if known is not None:
        return dict(known)
    if not is_form(request):
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
    request.state.fields = fields
    return dict(fields)


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
