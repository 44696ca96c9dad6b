"""The two ways in which kernels run, and the bundled sample to its end."""

from datetime import date
from pathlib import Path

import pytest

from perf_alerts_dagster.projections.kernels.kernel import Kernel
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.records.sources.sample import SampleSource


@pytest.fixture(params=["compiled", "numpy"])
def by_kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways, one after the other. Where numba has no wheel, the first is numpy's as well."""
    if request.param == "numpy":
        monkeypatch.setattr(Kernel, "run", lambda self, *arguments: False)
    return str(request.param)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Floats]:
    """All simple returns of the bundled sample's 16 real strategies, to its last day."""
    source = SampleSource(Path(tmp_path_factory.mktemp("sample")))
    source.load(date(2026, 1, 7))
    return {
        name: record.returns
        for name, record in source.load(date(2027, 3, 1)).strategies.items()
        if record.owner != "made up"
    }
