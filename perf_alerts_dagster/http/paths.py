"""The API's base path, and the paths that need no credential."""

BASE = "/api/performance-alerts"
# All other paths need a credential.
OPEN = frozenset(
    {
        ("POST", f"{BASE}/auth/login"),
        *(
            ("GET", f"{prefix}/health/{name}")
            for prefix in ("", BASE)
            for name in ("live", "ready")
        ),
    }
)
# The pages for people, which ask for a session by themselves (`pages.session`).
_PAGES = frozenset({"/", "/login", "/logout", "/incidents", "/assets/pages.css"})
_BELOW_PAGES = "/incidents/"


def needs_no_credential(method: str, path: str) -> bool:
    """Whether a request needs no credential."""
    return (method, path) in OPEN or path in _PAGES or path.startswith(_BELOW_PAGES)
