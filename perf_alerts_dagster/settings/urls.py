"""Checks and masking of hosts and URLs. Errors never repeat a URL."""

import ipaddress
import re
from pathlib import Path
from urllib.parse import quote

from perf_alerts_dagster.core.urls import ENCODE, url_fault

_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_-]{1,63})*"
)
_START = r"[A-Za-z][A-Za-z0-9+.-]*://"
_HOSTED = ("https:", "http:", "mailto:", "mailtos:")
_STORES = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg")
_DAGSTER_STORES = re.compile(r"postgres(ql)?(\+\w+)?")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reached_at(host: str) -> str:
    """The address by which this machine reaches `host`: loopback for a wildcard address."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound


def origin_at(host: str, port: int) -> str:
    """The origin by which a browser on this machine reaches a server that listens on `host`."""
    name = reached_at(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def host(value: str) -> str:
    """A host name or an IP address, without a port."""
    try:
        ipaddress.ip_address(value)
    except ValueError as error:
        # All digits and dots is a mistyped address, not a name.
        if not _NAME.fullmatch(value) or re.fullmatch(r"[0-9.]+", value):
            raise ValueError("must be a host name or an IP address, without a port") from error
    return value


def hosts(value: str) -> str:
    """Host names and IP addresses, separated by commas."""
    try:
        for name in value.split(","):
            host(name.strip())
    except ValueError as error:
        raise ValueError("must be host names or IP addresses, separated by commas") from error
    return value


def networks(value: str) -> str:
    """IP addresses and networks, separated by commas."""
    try:
        for name in value.split(","):
            ipaddress.ip_network(name.strip())
    except ValueError as error:
        raise ValueError(
            "must be IP addresses or networks such as 10.0.0.0/8, separated by commas"
        ) from error
    return value


def web(value: str) -> str:
    """An http or https URL."""
    if not re.fullmatch(r"https?://[^\s/]\S*", value):
        raise ValueError("must be a URL that begins with https:// or http://")
    return _sound(value, at_sign_beyond=True)


def proxy(value: str) -> str:
    """The URL of a web proxy."""
    if not re.fullmatch(r"https?://[^/?#]+/?", _sound(web(value))):
        raise ValueError("must have no path, query or fragment")
    return value


def page(value: str) -> str:
    """The root URL of an http or https server; it is public."""
    if not re.fullmatch(r"https?://[^/?#]+/?", _shown(value)):
        raise ValueError("must have no path, query or fragment: the pages are at /incidents there")
    return value.rstrip("/")


def folder(value: str) -> str:
    """The URL of a folder of an http or https server; it is public."""
    if re.search("[?#]", _shown(value)):
        raise ValueError("must have no query or fragment: the rules' ids are appended to it")
    return value.rstrip("/")


def _shown(value: str) -> str:
    if "@" in web(value):
        raise ValueError("must hold no user name or password: it is shown in messages")
    return value


def channels(value: str) -> str:
    """Apprise URLs, separated by commas or spaces."""
    for url in split_channels(value):
        if not re.fullmatch(rf"{_START}\S+", url):
            raise ValueError(
                "must be Apprise URLs such as slack://..., separated by commas or spaces"
            )
        # Other services have tokens of any form in the place of a host.
        user, at, _ = re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")
        if url.lower().startswith(_HOSTED):
            _sound(url, at_sign_beyond=True)
        elif at and not re.fullmatch("[^:@]*(:[^:@]*)?", user):
            raise ValueError(ENCODE)
    return value


def split_channels(value: str) -> tuple[str, ...]:
    """The single URLs; a comma inside a URL stays, as in mailto://...?to=a,b."""
    return tuple(re.split(rf"[\s,]+(?={_START})", value.strip()))


def store(value: str) -> str:
    """The URL of the alert store."""
    if _scheme(value) not in _STORES:
        raise ValueError(
            "must be sqlite:///<file> or postgresql+psycopg://user:password@host/database"
        )
    if value.startswith("sqlite") and re.search(r"\?|:///?$|:memory:", value):
        raise ValueError("must name a file, as in sqlite:///alerts.db; in its path ? is %3F")
    return anchored(_sound(value))


def dagster_store(value: str) -> str:
    """The URL of Dagster's own storage, where it is not SQLite in the state folder."""
    if not _DAGSTER_STORES.fullmatch(_scheme(value)):
        raise ValueError("must be postgresql://user:password@host/database")
    return _sound(value)


def anchored(url: str) -> str:
    """A path, or the file of a SQLite URL, made absolute: processes start in other folders."""
    if "://" not in url:
        try:
            return str(Path(url).expanduser().absolute())
        except (RuntimeError, ValueError):
            # `records_fault` reports it.
            return url
    match = re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^/:?][^?]*)(.*)", url, re.DOTALL)
    if match is None:
        return url
    return f"{match[1]}{quote(str(Path.cwd()))}/{match[2]}{match[3]}"


def masked_url(url: str) -> str:
    """A URL or path without its password, also where the URL is malformed.

    Everything between the user's name and the last @ is masked, since a password may hold any
    character; so is every value of the query, since drivers take passwords there.
    """
    if "://" not in url:
        return re.sub(r":.*@", ":***@", url, flags=re.DOTALL)
    masked = re.sub(r"(://[^:]*):.*@", r"\1:***@", url, flags=re.DOTALL)
    before, mark, query = masked.partition("?")
    return before + mark + re.sub(r"=[^&]*", "=***", query)


def _scheme(value: str) -> str:
    return value.partition("://")[0]


def _sound(url: str, *, at_sign_beyond: bool = False) -> str:
    if fault := url_fault(url, at_sign_beyond=at_sign_beyond):
        raise ValueError(fault)
    return url
