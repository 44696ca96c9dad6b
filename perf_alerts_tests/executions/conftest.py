"""What all executions of these tests have."""

import pytest

from perf_alerts_dagster.projections import power


@pytest.fixture(autouse=True)
def few_changed_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """No level depends on the power, and simulating it is most of a first execution."""
    monkeypatch.setattr(power, "LIVES_OF_A_YEAR", 100)
    monkeypatch.setattr(power, "LIVES_OF_TEN", 48)
