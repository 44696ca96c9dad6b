"""The wheel alone is the whole product: no file of the checkout is needed."""

import http.client
import os
import signal
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import perf_alerts_dagster
from perf_alerts_dagster.stack import process_group
from perf_alerts_tests.stack.stacks import eventually, free_port

PACKAGE = Path(perf_alerts_dagster.__file__).parent
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
LOCKED = ("--quiet", "--no-deps", "--no-index")
# Of this test, not of the product: six busy loops beside it change nothing.
START_SECONDS = 600


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the locked build tool, as the image does."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ("wheel", *LOCKED, "--no-build-isolation", "--wheel-dir", str(folder))
    subprocess.run([*PIP, *build, str(PACKAGE.parent)], check=True)
    (file,) = folder.glob("perf_alerts-*.whl")
    return file


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel, and our dependencies from this one."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([*PIP, "--python", python, "install", *LOCKED, str(wheel)], check=True)
    # The .pth files in a folder that a .pth file adds are ignored: no checkout is on the path.
    own = sysconfig.get_path("purelib", vars={"base": str(folder)})
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(own) / "dependencies.pth").write_text("\n".join(sorted(paths)))
    return folder / "bin"


def environment(state: Path, **more: str) -> dict[str, str]:
    ours = ("ALERT_", "DAGSTER_", "PYTHON")
    others = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**others, "ALERT_STATE_DIR": str(state), **more}


def get(port: int, path: str) -> int:
    """The status of an answer; 0 where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package_and_no_other_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert names == files


@pytest.mark.e2e
@pytest.mark.timeout(2 * START_SECONDS)
def test_the_wheel_runs_from_an_empty_folder(programs: Path, tmp_path: Path) -> None:
    state, empty = tmp_path / "state", tmp_path / "empty"
    empty.mkdir()
    rest, ui = free_port(), free_port()
    ports = {"ALERT_PROXY_PORT": str(rest), "ALERT_WEBSERVER_PORT": str(ui)}
    given = environment(state, **ports, ALERT_START_SECONDS=str(START_SECONDS))

    def ran(*command: str) -> str:
        return subprocess.run(
            command, cwd=empty, env=given, check=True, capture_output=True, text=True
        ).stdout

    where = ran(
        str(programs / "python"), "-c",
        "import perf_alerts_dagster as p, importlib.util as i\n"
        "print(p.__file__, i.find_spec('perf_alerts_tests'))",
    )  # fmt: skip
    assert where.startswith(str(programs.parent.resolve()))
    assert where.endswith(" None\n")

    perf_alerts = str(programs / "perf-alerts")
    assert "low_vol_5" in ran(perf_alerts, "check")
    ran(perf_alerts, "migrate")
    assert (state / "perf_alerts.db").is_file()

    log = tmp_path / "up.log"
    with log.open("w") as file:
        up = subprocess.Popen(
            [perf_alerts, "up", "--no-first-runs"], cwd=empty, env=given, stdout=file, stderr=file
        )
    try:
        eventually(
            lambda: up.poll() is not None or get(rest, "/health/ready") == 200,
            seconds=START_SECONDS,
            what=f"ready: {log.read_text()}",
        )
        assert up.poll() is None, log.read_text()
        answers = {path: get(rest, path) for path in ("/login", "/assets/pages.css")}
        assert answers == {"/login": 200, "/assets/pages.css": 200}
        up.send_signal(signal.SIGTERM)
        assert up.wait(120) == 0, log.read_text()
        assert list(empty.iterdir()) == []
    finally:
        process_group.send(process_group.members(process_group.marks_of(state)), signal.SIGKILL)
        up.kill()
        up.wait()
