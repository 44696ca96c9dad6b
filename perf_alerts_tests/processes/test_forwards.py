"""A supervisor of the version before starts its parts by their former names."""

import os
import subprocess
import sys
from pathlib import Path


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
        check=False,
    )


def test_the_former_child_turns_into_its_program(tmp_path: Path) -> None:
    program = (sys.executable, "-c", "print('it runs')")

    ran = run("perf_alerts_dagster.processes.child", str(os.getpid()), *program, cwd=tmp_path)

    assert (ran.returncode, ran.stdout) == (0, "it runs\n")


def test_the_former_webserver_takes_the_same_options(tmp_path: Path) -> None:
    ran = run("perf_alerts_dagster.processes.webserver", "--help", cwd=tmp_path)

    assert ran.returncode == 0
    assert "--port PORT" in ran.stdout
    assert "--workspace WORKSPACE" in ran.stdout


def test_the_former_guardian_ends_with_its_pipe(tmp_path: Path) -> None:
    ran = run("perf_alerts_dagster.processes.guardian", "no-process-has-this-mark", cwd=tmp_path)

    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_former_proxy_refuses_wrong_settings_as_the_server_does(tmp_path: Path) -> None:
    ran = run("perf_alerts_dagster.proxy.serve", cwd=tmp_path, ALERT_PROXY_PORT="none")

    assert ran.returncode == 2
    assert "ALERT_PROXY_PORT" in ran.stderr
