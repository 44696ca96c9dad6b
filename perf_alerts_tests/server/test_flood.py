"""A thousand wrong keys a second from one address, against the real server process."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from perf_alerts_dagster.control.audit import AuditFilter
from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.http.paths import BASE
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate
from perf_alerts_tests.server.gated import KEYS, SECRET
from perf_alerts_tests.stack.stacks import free_port

SECONDS = int(os.environ.get("FLOOD_SECONDS", "60"))
A_SECOND = 1000
CONNECTIONS = 20


@contextmanager
def serving(folder: Path, port: int) -> Iterator[int]:
    """The real server over a store of its own; gives its process id."""
    url = f"sqlite:///{folder / 'alerts.db'}"
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    environment = {
        **os.environ,
        "ALERT_STATE_DIR": str(folder),
        "ALERT_DATABASE_URL": url,
        "ALERT_PROXY_PORT": str(port),
        "ALERT_WEBSERVER_PORT": str(free_port()),
        "ALERT_JWT_SECRET": SECRET,
        "ALERT_OPERATOR_API_KEY": KEYS["operator"],
        "ALERT_ADMIN_API_KEY": KEYS["admin"],
    }
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "perf_alerts_dagster.server.serve"],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
        )
        try:
            for _ in range(600):
                try:
                    httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=1).raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(0.1)
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def by_header(key: str) -> bytes:
    line = f"GET {BASE}/schedule/status HTTP/1.1\r\nHost: localhost\r\n"
    return f"{line}X-Alert-API-Key: {key}\r\n\r\n".encode()


def by_login(key: str) -> bytes:
    body = json.dumps({"api_key": key})
    line = f"POST {BASE}/auth/login HTTP/1.1\r\nHost: localhost\r\n"
    head = f"{line}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def by_page(key: str) -> bytes:
    body = f"api_key={key}"
    line = "POST /login HTTP/1.1\r\nHost: localhost\r\n"
    form = "application/x-www-form-urlencoded"
    head = f"{line}Content-Type: {form}\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


async def guess(
    port: int, until: float, pace: float, seen: Counter[int], sent_by: Callable[[str], bytes]
) -> None:
    """Wrong keys over one connection, one after the other, in an even pace."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = time.monotonic()
    while time.monotonic() < until:
        writer.write(sent_by(os.urandom(24).hex()))
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[15:])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        await reader.readexactly(length)
        seen[int(head[9:12])] += 1
        due += pace
        await asyncio.sleep(max(due - time.monotonic(), 0))
    writer.close()


async def flood(
    port: int, sent_by: Callable[[str], bytes]
) -> tuple[Counter[int], list[float], Counter[int]]:
    seen: Counter[int] = Counter()
    right: Counter[int] = Counter()
    waits: list[float] = []
    until = time.monotonic() + SECONDS
    pace = CONNECTIONS / A_SECOND

    async def known() -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}{BASE}") as http:
            while time.monotonic() < until:
                began = time.monotonic()
                answer = await http.get(
                    "/auth/me", headers={"X-Alert-API-Key": KEYS["operator"]}, timeout=30
                )
                waits.append(time.monotonic() - began)
                right[answer.status_code] += 1
                await asyncio.sleep(0.1)

    await asyncio.gather(
        known(), *(guess(port, until, pace, seen, sent_by) for _ in range(CONNECTIONS))
    )
    return seen, waits, right


@pytest.mark.long
@pytest.mark.parametrize(
    ("sent_by", "action"),
    [(by_header, "wrong_key"), (by_login, "failed_login"), (by_page, "failed_login")],
)
def test_a_right_key_succeeds_while_its_address_guesses_a_thousand_times_a_second(
    tmp_path: Path, sent_by: Callable[[str], bytes], action: str
) -> None:
    port = free_port()
    with serving(tmp_path, port) as pid:
        before, began = cpu_seconds(pid), time.monotonic()
        seen, waits, right = asyncio.run(flood(port, sent_by))
        cores = (cpu_seconds(pid) - before) / (time.monotonic() - began)
        sent = sum(seen.values()) / (time.monotonic() - began)
    log = (tmp_path / "server.log").read_text()
    print(  # noqa: T201 - the measurement
        f"\n{sent:.0f} guesses/s: {dict(seen)}; right key {dict(right)}, slowest "
        f"{max(waits):.3f} s; {cores:.2f} cores; {len(log.splitlines())} log lines"
    )
    engine = open_engine(f"sqlite:///{tmp_path / 'alerts.db'}")
    rows = list(SqlAudit(engine).every(AuditFilter(action=action)))
    engine.dispose()

    assert set(right) == {200}
    assert set(seen) == {401, 429}
    assert seen[401] <= 10 * (SECONDS // 60 + 2)
    assert len(rows) <= SECONDS // 60 + 2
    counts = [row.after.get("count") for row in rows if isinstance(row.after, dict)]
    assert sum(count for count in counts if isinstance(count, int)) == sum(seen.values())
    wrong = [line for line in log.splitlines() if action in line or " 429 " in line]
    assert len(wrong) <= 4 * len(rows)
