"""The reverse proxies of deploy/, run by Caddy itself: who may name a person, and who reaches what.

Behind them is a server that answers with the headers that it got, and one that answers as
oauth2-proxy does: 202 with the name where a session is sent, else 401.
"""

import http.client
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from perf_alerts_tests.stack.stacks import eventually, free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
SESSION = {"Cookie": "_oauth2_proxy=alice"}
FORGED = {
    "X-Forwarded-User": "root@example.org",
    "x-forwarded-groups": "admins",
    "X-Auth-Request-Email": "root@example.org",
}
KEY = {"X-Alert-API-Key": "a key"}

pytestmark = pytest.mark.skipif(
    shutil.which("caddy") is None, reason="no caddy here: it is Debian's package caddy"
)


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's name
        pass

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Upstream(Quiet):
    def do_GET(self) -> None:
        seen = {name.lower(): value for name, value in self.headers.items()}
        self.answer(200, json.dumps(seen).encode(), {})


class Login(Quiet):
    """Alice has groups, bob none, and nobody has not even a mail address."""

    def do_GET(self) -> None:
        name = self.headers.get("Cookie", "").partition("=")[2]
        if self.path.startswith("/oauth2/auth") and name:
            named = {"X-Auth-Request-Email": f"{name}@example.org"} if name != "nobody" else {}
            if name == "alice":
                named["X-Auth-Request-Groups"] = "desk,traders"
            self.answer(202, b"", named)
        elif self.path.startswith("/oauth2/sign_in"):
            self.answer(200, b"log in", {})
        else:
            self.answer(401, b"", {})


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def caddy(name: str, folder: Path) -> Iterator[int]:
    """Caddy with a file of deploy/ over both servers, in plain HTTP; the port."""
    port = free_port()
    with served(Upstream) as upstream, served(Login) as login:
        environment = {
            **os.environ,
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "XDG_DATA_HOME": str(folder),
            "PERF_ALERTS_SITE": f"http://127.0.0.1:{port}",
            "PERF_ALERTS_UPSTREAM": upstream,
            "OAUTH2_PROXY": login,
        }
        adapt = ["caddy", "adapt", "--adapter", "caddyfile", "--config", str(DEPLOY / name)]
        adapted = subprocess.run(adapt, env=environment, capture_output=True, check=True)
        config = folder / "caddy.json"
        # Its own port for administration is taken where another Caddy runs.
        config.write_text(json.dumps({**json.loads(adapted.stdout), "admin": {"disabled": True}}))
        with (folder / "caddy.log").open("w") as log:
            run = ["caddy", "run", "--config", str(config)]
            process = subprocess.Popen(run, env=environment, stdout=log, stderr=log)
        try:
            eventually(lambda: answers(port), seconds=120, what="caddy answers")
            yield port
        finally:
            process.terminate()
            process.wait(60)


def answers(port: int) -> bool:
    try:
        get(port, "/health/live")
    except OSError:
        return False
    return True


def get(
    port: int, path: str, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], str]:
    """Status, what the upstream got (its own answers only), and where the answer leads."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        body = answer.read()
        seen = json.loads(body) if body.startswith(b"{") else {}
        return answer.status, seen, answer.getheader("Location", "")
    finally:
        connection.close()


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with caddy("oauth2-proxy/Caddyfile", tmp_path_factory.mktemp("caddy")) as port:
        yield port


def named(seen: Mapping[str, str]) -> dict[str, str]:
    names = ("x-forwarded-user", "x-forwarded-groups")
    return {name: seen[name] for name in names if seen.get(name)}


def test_a_person_is_whom_the_login_says_whatever_headers_say(people: int) -> None:
    status, seen, _ = get(people, "/incidents", {**SESSION, **FORGED})

    assert status == 200
    assert named(seen) == {
        "x-forwarded-user": "alice@example.org",
        "x-forwarded-groups": "desk,traders",
    }


def test_a_login_without_groups_does_not_leave_those_of_the_client(people: int) -> None:
    _, seen, _ = get(people, "/incidents", {"Cookie": "_oauth2_proxy=bob", **FORGED})

    assert named(seen) == {"x-forwarded-user": "bob@example.org"}


def test_a_login_without_a_name_gives_none(people: int) -> None:
    status, seen, _ = get(people, "/incidents", {"Cookie": "_oauth2_proxy=nobody", **FORGED})

    assert (status, named(seen)) == (200, {})


@pytest.mark.parametrize("path", ["/incidents", "/", "/login", "/assets/pages.css", "/apix"])
def test_without_a_session_a_page_leads_to_the_login(people: int, path: str) -> None:
    assert get(people, path, FORGED) == (302, {}, f"/oauth2/sign_in?rd={path}")


@pytest.mark.parametrize("headers", [KEY, {"Authorization": "Bearer token"}])
def test_a_program_reaches_the_api_with_its_key_and_nobodys_name(
    people: int, headers: dict[str, str]
) -> None:
    path = "/api/performance-alerts/schedule/status"

    status, seen, _ = get(people, path, {**headers, **FORGED})

    assert status == 200
    assert named(seen) == {}
    assert {name.lower(): value for name, value in headers.items()}.items() <= seen.items()


@pytest.mark.parametrize("path", ["/health/ready", "/metrics", "/api/../incidents", "//api/x"])
def test_no_spelling_of_a_path_keeps_a_forged_name(people: int, path: str) -> None:
    assert named(get(people, path, FORGED)[1]) == {}


def test_the_login_itself_needs_no_session(people: int) -> None:
    assert get(people, "/oauth2/sign_in")[0] == 200


def test_the_client_does_not_choose_its_own_address(people: int) -> None:
    _, seen, _ = get(people, "/incidents", {**SESSION, "X-Forwarded-For": "203.0.113.9"})

    assert seen["x-forwarded-for"] == "127.0.0.1"


def test_tls_alone_hands_requests_on_and_nobodys_name(tmp_path: Path) -> None:
    with caddy("Caddyfile", tmp_path) as port:
        status, seen, _ = get(port, "/incidents", {**FORGED, "X-Forwarded-For": "203.0.113.9"})

        assert status == 200
        assert named(seen) == {}
        assert seen["x-forwarded-for"] == "127.0.0.1"
        assert seen["host"] == f"127.0.0.1:{port}"
