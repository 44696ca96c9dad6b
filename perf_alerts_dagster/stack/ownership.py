"""The lease of the one stack that may work over a database which other stacks can reach.

Two state folders with one database would execute each schedule twice. The lease is a row in every
database that the settings name: the alert store's and Dagster's. SQLite in the state folder needs
none, since its lock is the folder's. Times are the database's own, so that no host's clock counts.
"""

import json
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import sqlalchemy as sa

from perf_alerts_dagster.core.errors import StackError, StoreUnavailable
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.storage.engine import open_engine, reading, sqlite_file, writing

LOG = logging.getLogger(__name__)

# Seconds.
TTL = 60.0
RENEWAL = 15.0
_POLL = 1.0
_SHOWN = 15.0
_PATIENCE = 5.0

# Outside of the migrations: Dagster's database has none of ours.
_OWNER = sa.Table(
    "perf_alerts_owner",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("until", sa.Float(53), nullable=False),
)
_NOW = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
}
# Any number of our own; PostgreSQL's advisory locks are numbers.
_ADVISORY_LOCK = 0x706F776E


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A running stack. `kernel` and `started` tell its process from one that got its id later."""

    host: str
    pid: int
    state_dir: str
    kernel: str
    started: str

    def __str__(self) -> str:
        return f"host {self.host}, process {self.pid}, state folder {self.state_dir}"

    @property
    def runs(self) -> bool | None:
        """Whether its process runs; None where that cannot be seen from here."""
        if self.kernel == "" or self.kernel != _kernel():
            return None
        started = _started(self.pid)
        return None if started is None else started == self.started


def this_stack(state_dir: Path) -> Owner:
    """This process as an owner."""
    pid = os.getpid()
    return Owner(
        host=socket.gethostname(),
        pid=pid,
        state_dir=str(state_dir),
        kernel=_kernel(),
        started=_started(pid) or "",
    )


def _kernel() -> str:
    # Containers share a kernel and may share a host's name; each has processes of its own.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process started, in the kernel's count: `-` where it has ended, None where hidden."""
    try:
        # The name before it may hold any character.
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "-" if words[0] in "ZX" else words[19]
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return "-"
        except PermissionError:
            return None
        return None


def _engines(settings: Settings) -> list[sa.Engine]:
    """The databases of the settings; none where everything is in the state folder."""
    urls = [settings.database_url, settings.dagster_database_url]
    texts = [url.get_secret_value() for url in urls if url is not None]
    return [
        open_engine(
            re.sub(r"^postgres[^:]*(?=://)", "postgresql", text), wait=_PATIENCE, pooled=False
        )
        for text in texts
    ]


@contextmanager
def _opened(
    engine: sa.Engine, begin: Callable[[sa.Engine], AbstractContextManager[sa.Connection]]
) -> Iterator[sa.Connection]:
    try:
        with begin(engine) as connection:
            yield connection
    except StoreUnavailable as error:
        raise StoreUnavailable(str(error).replace("the alert store", "the database", 1)) from error


def owners(settings: Settings) -> list[Owner]:
    """The owners of the databases whose lease has not expired. Changes nothing.

    Raises:
        StoreUnavailable: a database cannot be read.
    """
    found = []
    for engine in _engines(settings):
        file = sqlite_file(engine)
        if file is not None and not file.exists():
            continue
        with _opened(engine, reading) as connection:
            if sa.inspect(connection).has_table(_OWNER.name):
                current = _current(connection)
                found += [current[0]] if current else []
    return found


def _current(connection: sa.Connection) -> tuple[Owner, float] | None:
    """The owner, and until when; None where nobody is: free, expired, or its process has ended."""
    row = connection.execute(sa.select(_OWNER)).one_or_none()
    now = float(connection.scalar(sa.text(_NOW[connection.dialect.name])) or 0.0)
    # No lease is longer: the database's clock was set back.
    if row is None or not now < row.until <= now + TTL + RENEWAL:
        return None
    # Another version may know more of it.
    stored = json.loads(row.owner)
    owner = Owner(**{field.name: stored[field.name] for field in fields(Owner)})
    return None if owner.runs is False else (owner, row.until)


class Ownership:
    """The lease of one stack over the databases of its settings."""

    def __init__(self, settings: Settings) -> None:
        self._engines = _engines(settings)
        self.me = this_stack(settings.state_dir)
        self._lost: Owner | None = None

    def claim(self) -> tuple[Owner, float] | None:
        """Take or renew the lease; the other owner, and until when, where there is one.

        Raises:
            StoreUnavailable: a database cannot be written.
        """
        for engine in self._engines:
            if other := self._claim(engine):
                return other
        return None

    def _claim(self, engine: sa.Engine) -> tuple[Owner, float] | None:
        file = sqlite_file(engine)
        if file is not None and not file.exists():
            file.touch(mode=0o600)
        with _opened(engine, writing) as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
            _OWNER.create(connection, checkfirst=True)
            other = _current(connection)
            if other is not None and other[0] != self.me:
                return other
            now = float(connection.scalar(sa.text(_NOW[engine.dialect.name])) or 0.0)
            connection.execute(sa.delete(_OWNER))
            row = {"id": 1, "owner": json.dumps(asdict(self.me)), "until": now + TTL}
            connection.execute(sa.insert(_OWNER), row)
        return None

    def _release(self) -> None:
        for engine in self._engines:
            with _opened(engine, writing) as connection:
                mine = _OWNER.c.owner == json.dumps(asdict(self.me))
                connection.execute(sa.delete(_OWNER).where(mine))

    @contextmanager
    def hold(self, *, standby: bool) -> Iterator[None]:
        """Wait for the lease, and renew it in the background until the end of the block.

        Where another stack takes it, which can happen when this one slept for longer than `TTL`,
        this process gets SIGTERM. A database that cannot be reached is tried again.

        Args:
            standby: Wait for as long as another stack renews it, instead of raising.

        Raises:
            StackError: another stack owns a database, or took it over.
            StoreUnavailable: a database cannot be written.
        """
        self._wait(standby=standby)
        over = threading.Event()
        # A daemon: a database that does not answer must not hold up the end of the process.
        renewal = threading.Thread(target=self._renew, args=[over], daemon=True)
        renewal.start()
        try:
            yield
        finally:
            over.set()
            renewal.join(_PATIENCE)
        if self._lost is not None:
            raise StackError(f"stopped: another stack took the databases over: {self._lost}")

    def _wait(self, *, standby: bool) -> None:
        """Return once the lease is held.

        Without `standby` it is refused as soon as the owner is known to run: its process is seen,
        or it renews. One that crashed on another host is waited for until its lease ends.
        """
        seen: tuple[Owner, float] | None = None
        said, shown = "", 0.0
        while True:
            try:
                other = self.claim()
                if other is None:
                    return
                problem = f"the databases belong to {other[0]}"
            except StoreUnavailable as error:
                if not standby:
                    raise
                other, problem = None, str(error)
            if other is not None and not standby:
                renewed = seen is not None and other[0] == seen[0] and other[1] > seen[1]
                if renewed or other[0].runs:
                    self._release()
                    raise StackError(
                        f"another stack works over these databases: {other[0]}; stop that one, or "
                        "wait for its end with `perf-alerts up --standby`"
                    )
                seen = other if seen is None or other[0] != seen[0] else seen
            # A standby may wait for months.
            if problem != said or (not standby and time.monotonic() - shown >= _SHOWN):
                said, shown = problem, time.monotonic()
                why = "its end" if standby else f"whether it runs, {TTL:g} s at most"
                LOG.warning("%s; waiting for %s", problem, why)
            time.sleep(_POLL)

    def _renew(self, over: threading.Event) -> None:
        while not over.wait(RENEWAL):
            try:
                other = self.claim()
            except StoreUnavailable as error:
                LOG.warning("the lease of the databases is not renewed, and tried again: %s", error)
                continue
            if other is not None:
                self._lost = other[0]
                LOG.error("stopping: another stack took the databases over: %s", other[0])
                os.kill(os.getpid(), signal.SIGTERM)
                return
        try:
            self._release()
        except StoreUnavailable as error:
            LOG.warning("the lease of the databases was not released: %s", error)
