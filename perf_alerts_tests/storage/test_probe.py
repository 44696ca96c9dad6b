"""The proof that somebody who begins now can write to the store."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from perf_alerts_dagster.control.sql import Probe, SqlLeases
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_tests.judging.store.examples import NOON, TTL
from perf_alerts_tests.rights import lines_of

READONLY_BESIDE_WRITERS = """
import sys
from datetime import timedelta
from pathlib import Path
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.control.sql import SqlLeases
from perf_alerts_dagster.control.sql import Probe
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_tests.judging.store.examples import NOON, TTL
file = Path(sys.argv[1])
url = f"sqlite:///{file}"
writer, probe = SqlLeases(open_engine(url)), Probe(url)
writer.acquire("a", "run", NOON, TTL)
probe(NOON)
for one in file.parent.iterdir():
    one.chmod(0o400)
print(writer.renew("a", "run", NOON, TTL))
try:
    probe(NOON)
except StoreUnavailable as error:
    print(error)
for one in file.parent.iterdir():
    one.chmod(0o600)
probe(NOON)
"""


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def test_it_leaves_no_trace_and_two_may_look_at_once(engine: Engine) -> None:
    first, second = Probe(url_of(engine)), Probe(url_of(engine))
    for _ in range(2):
        first(NOON)
        second(NOON)

    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM leases WHERE holder IS NOT NULL")) == 0


def test_another_one_that_looks_is_no_fault(engine: Engine) -> None:
    SqlLeases(engine).acquire("probe", "another", NOON, TTL)

    Probe(url_of(engine))(NOON)


def test_a_store_that_is_missing_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        Probe(f"sqlite:///{tmp_path}/gone.db")(NOON)


def test_who_has_the_file_open_writes_on_but_the_probe_sees_that_nobody_else_can(
    sqlite_engine: Engine,
) -> None:
    file = str(sqlite_engine.url.database)
    sqlite_engine.dispose()

    renewed, refused = lines_of(READONLY_BESIDE_WRITERS, file)

    assert renewed == "True"
    assert refused.endswith("attempt to write a readonly database")
