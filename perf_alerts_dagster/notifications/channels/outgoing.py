"""Requests to receivers outside: trusted certificates, web proxy, and failures in words."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from perf_alerts_dagster.notifications.delivery import DeliveryFailed

_CONNECT_SECONDS = 5.0
_MAXIMUM_ANSWER = 64 * 1024
_NO_ROUTE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """How requests leave this machine; the environment's own variables for it are not read.

    Args:
        ca_bundle: A file of trusted PEM certificates; the usual authorities where None.
        proxy: The URL of a web proxy, a secret, through which https goes; None for none.
    """

    ca_bundle: Path | None = None
    proxy: str | None = None

    def proxy_for(self, url: str) -> str | None:
        """The proxy of a URL: plain http is for receivers in the private network."""
        return self.proxy if urlsplit(url).scheme == "https" else None

    def trusted(self) -> ssl.SSLContext | None:
        """The settings' own authorities; None for the usual ones.

        Raises:
            DeliveryFailed: their file cannot be read.
        """
        try:
            bundle = self.ca_bundle
            return None if bundle is None else ssl.create_default_context(cafile=bundle)
        except OSError as error:
            raise DeliveryFailed("the certificates of ALERT_CA_BUNDLE cannot be read") from error

    def context(self) -> ssl.SSLContext:
        """The certificates for several requests, since reading them takes long.

        Raises:
            DeliveryFailed: those of the settings cannot be read.
        """
        return self.trusted() or httpx.create_ssl_context()

    async def request(
        self,
        method: str,
        url: str,
        *,
        seconds: float,
        addresses: Sequence[str] = (),
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> tuple[int, httpx.Headers]:
        """The status and the headers of the answer; no redirect is followed.

        Args:
            method: Such as POST.
            url: An http or https URL.
            seconds: How long it may take in all.
            addresses: Connected to in place of the host's own, in turn until one accepts; not
                used through a proxy.
            content: The body.
            headers: Further headers.
            context: That of `context`, where there are several requests.

        Raises:
            DeliveryFailed: there is no answer; the text holds no part of the URL.
        """
        split, proxy = urlsplit(url), self.proxy_for(url)
        hosts = addresses if addresses and proxy is None else [split.hostname or ""]
        # The last address gets its share too.
        share = seconds if len(hosts) == 1 else seconds / (len(hosts) + 1)
        connect, trusted = min(_CONNECT_SECONDS, share), context or self.trusted()
        try:
            async with (
                # httpx has no limit for the whole request; a receiver may answer byte by byte.
                asyncio.timeout(seconds),
                httpx.AsyncClient(
                    timeout=httpx.Timeout(seconds, connect=connect),
                    trust_env=False,
                    follow_redirects=False,
                    verify=trusted or True,
                    proxy=None if proxy is None else _proxy(proxy, trusted),
                ) as client,
            ):
                for host in hosts[:-1]:
                    try:
                        return await _exchange(client, method, url, host, content, headers)
                    except (httpx.ConnectError, httpx.ConnectTimeout):
                        continue
                return await _exchange(client, method, url, hosts[-1], content, headers)
        # Python 3.11 loses its trace of this function inside `asyncio.run`; tests hold each line.
        except httpx.ConnectTimeout as error:  # pragma: no cover - lost trace
            raise DeliveryFailed(f"timed out: no connection within {connect:g} s") from error
        except (TimeoutError, httpx.TimeoutException) as error:  # pragma: no cover - lost trace
            raise DeliveryFailed(f"timed out: no answer within {seconds:g} s") from error
        except httpx.ProxyError as error:  # pragma: no cover - lost trace
            status = str(error).partition(" ")[0]
            raise DeliveryFailed(
                "the proxy refused" + (f" with {status}" if status.isdecimal() else "")
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:  # pragma: no cover - as above
            # The error's own text may contain the URL.
            raise DeliveryFailed(reason(error, proxied=proxy is not None)) from error


def _proxy(url: str, trusted: ssl.SSLContext | None) -> httpx.Proxy:
    # httpx refuses certificates for a proxy that is spoken to without TLS.
    is_secure = urlsplit(url).scheme == "https"
    return httpx.Proxy(url, ssl_context=trusted if is_secure else None)


async def _exchange(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    host: str,
    content: bytes | None,
    headers: Mapping[str, str] | None,
) -> tuple[int, httpx.Headers]:
    split = urlsplit(url)
    own = split.netloc.rpartition("@")[2]
    async with client.stream(
        method,
        httpx.URL(url).copy_with(host=f"[{host}]" if ":" in host else host),
        content=content,
        headers={"Host": own, "User-Agent": "perf-alerts", **(headers or {})},
        extensions={"sni_hostname": split.hostname or ""},
    ) as answer:
        size = 0
        async for chunk in answer.aiter_raw():
            size += len(chunk)
            if size > _MAXIMUM_ANSWER:
                break
        return answer.status_code, answer.headers


def reason(error: BaseException, *, proxied: bool = False) -> str:
    """Why a connection failed, in words without anything of its URL."""
    whose = "the proxy: " if proxied else ""
    for each in _causes(error):
        match each:
            case ssl.SSLCertVerificationError():
                return f"the certificate is not trusted: {each.verify_message}"
            case ssl.SSLError():
                return "TLS failed: the receiver speaks none, or none that is accepted"
            case socket.gaierror():
                return f"{whose}the host's name is unknown"
            case ConnectionRefusedError():
                return f"{whose}the connection was refused"
            case ConnectionResetError() | BrokenPipeError() | httpx.RemoteProtocolError():
                return f"{whose}the connection was reset"
            case TimeoutError():
                return f"{whose}timed out"
            case OSError() if each.errno in _NO_ROUTE:
                return f"{whose}there is no route to the host"
    return f"{whose}the connection broke"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or error.__context__
