"""The API's base path, and the paths that need no credential."""

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
PAGES = ("/incidents", "/sessions")
_BESIDE_PAGES = frozenset({"/", LOGIN_PAGE, "/logout", "/assets/pages.css"})


def is_page(path: str) -> bool:
    """Whether a path is that of a page, or below one."""
    return any(path == page or path.startswith(f"{page}/") for page in PAGES)


def needs_no_credential(method: str, path: str) -> bool:
    """Whether a request needs no credential; HEAD is answered as GET."""
    asked = ("GET" if method == "HEAD" else method, path)
    return asked in OPEN or path in _BESIDE_PAGES or is_page(path)
