"""Applications behind the real authentication."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate
from perf_alerts_tests.server.gated import Gated, gated, settings_of


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("migrated") / "alerts.db"
    engine = open_engine(f"sqlite:///{file}")
    migrate(engine)
    engine.dispose()
    return file


@pytest.fixture
def control_engine(migrated_file: Path, tmp_path: Path) -> Iterator[Engine]:
    file = tmp_path / "alerts.db"
    shutil.copyfile(migrated_file, file)
    engine = open_engine(f"sqlite:///{file}")
    yield engine
    engine.dispose()


@pytest.fixture
async def gate(control_engine: Engine, tmp_path: Path) -> AsyncIterator[Gated]:
    async with gated(settings_of(tmp_path), control_engine) as found:
        yield found
