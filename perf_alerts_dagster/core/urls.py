"""URLs as people typed them, checked before a library reads and repeats them."""

import re
from pathlib import Path
from urllib.parse import quote

# The page of a link in a message, below it the link's token.
LINK = "/a/"
# A link that logs somebody in, below it its token.
LOGIN_LINK = "/login/"
ENCODE = (
    "is no URL; percent-encode the password (and the user's name): %40 for @, %3A for :, "
    "%2F for /, %23 for #, %3F for ?, %25 for %"
)
_HOSTS = (
    "has several hosts with ports; write dialect://user:password@/database"
    "?host=host1:5432&host=host2:5432"
)
_USER = r"(?:(?P<user>[^:/?#@\[\]]*(?::[^:/?#@\[\]]*)?)@)?"
_HOST = r"(?:\[[^\[\]@/?#]+\]|[^\s:/?#@\[\]]*)(?::[0-9]{1,5})?"
_AUTHORITY = re.compile(rf"{_USER}(?P<host>{_HOST})")


def url_fault(url: str, *, at_sign_beyond: bool = False) -> str | None:
    """Why the beginning of a URL, up to its path, cannot be read; None where it can.

    The text holds no part of the URL.

    Args:
        url: The text, with a scheme.
        at_sign_beyond: Whether an @ may be in the path or the query. In the URL of a database it
            is the end of a password that was typed with a slash.
    """
    rest = url.partition("://")[2]
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    match = _AUTHORITY.fullmatch(authority)
    if match is None and re.fullmatch(rf"{_USER}{_HOST}(?:,{_HOST})+", authority):
        return _HOSTS
    if match is None or re.search("%(?![0-9A-Fa-f]{2})", match["user"] or ""):
        return ENCODE
    if authority and not at_sign_beyond and "@" in rest[len(authority) :]:
        return ENCODE
    port = re.search(":([0-9]+)$", match["host"])
    return ENCODE if port and not 0 < int(port[1]) < 65536 else None


def sqlite_url(file: Path) -> str:
    """The SQLAlchemy URL of a file, whatever characters its path holds."""
    return f"sqlite:///{quote(str(file))}"
