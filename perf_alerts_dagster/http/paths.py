"""The API's base path, and the paths that need no credential."""

import re

from perf_alerts_dagster.core.urls import LINK, LOGIN_LINK

BASE = "/api/performance-alerts"
LOGIN = f"{BASE}/auth/login"
LOGIN_PAGE = "/login"
# All other paths need a credential.
OPEN = frozenset(
    {
        ("POST", LOGIN),
        *(
            ("GET", f"{prefix}/health/{name}")
            for prefix in ("", BASE)
            for name in ("live", "ready")
        ),
    }
)
# The pages for people, each with what is below it. They ask for a session by themselves
# (`pages.session`), and a login leads back to them.
PAGES = (
    "/strategies",
    "/incidents",
    "/alerts",
    "/rules",
    "/silences",
    "/system",
    "/sessions",
)
# The token of a link is a secret, also where somebody mistyped what is before it.
_TOKEN = re.compile(
    rf"(^/+(?:{LINK[1:]}|{LOGIN_LINK[1:]})|(?:{LINK}|{LOGIN_LINK})(?=[A-Za-z0-9_-]{{22}})).*",
    re.DOTALL,
)
_BESIDE_PAGES = frozenset({"/", LOGIN_PAGE, "/logout", "/assets/pages.css", "/favicon.ico"})


def is_api(path: str) -> bool:
    """Whether a path is below the API's base path, where programs ask."""
    return path == BASE or path.startswith(f"{BASE}/")


def is_page(path: str) -> bool:
    """Whether a path is that of a page, or below one."""
    return any(path == page or path.startswith(f"{page}/") for page in PAGES)


def needs_no_credential(method: str, path: str) -> bool:
    """Whether a request needs no credential; HEAD is answered as GET."""
    asked = ("GET" if method == "HEAD" else method, path)
    is_link = path.startswith((LINK, LOGIN_LINK))
    return asked in OPEN or path in _BESIDE_PAGES or is_link or is_page(path)


def logged(path: str) -> str:
    """A path as logs show it: without the token of a link."""
    return _TOKEN.sub(r"\1-", path)
