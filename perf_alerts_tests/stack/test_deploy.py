"""The files in deploy/ agree with what the stack needs."""

from pathlib import Path
from typing import Any

import pytest
from dagster_shared.yaml_utils import load_yaml_from_path

DEPLOY = Path(__file__).parents[2] / "deploy"
STOP_SECONDS = 15


def loaded(name: str) -> Any:
    return load_yaml_from_path(str(DEPLOY / name))


def test_kubernetes_runs_one_pod_and_waits_for_its_stop() -> None:
    spec = loaded("kubernetes.yaml")["spec"]

    assert spec["replicas"] == 1
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > STOP_SECONDS
    assert spec["template"]["spec"]["shareProcessNamespace"] is True


def test_compose_reaps_and_waits_for_a_stop() -> None:
    service = loaded("compose.yaml")["services"]["perf-alerts"]

    assert service["init"] is True
    assert int(service["stop_grace_period"].removesuffix("s")) > STOP_SECONDS
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_systemd_signals_the_supervisor_alone_and_waits() -> None:
    lines = (DEPLOY / "perf-alerts.service").read_text().splitlines()
    unit = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))

    assert unit["KillMode"] == "mixed"
    assert int(unit["TimeoutStopSec"]) > STOP_SECONDS


@pytest.mark.parametrize("name", ["perf-alerts.service", "Dockerfile"])
def test_the_stack_is_started_by_its_one_command(name: str) -> None:
    words = (DEPLOY / name).read_text().replace('", "', " ")

    assert "perf-alerts up" in words
