"""The files in deploy/ agree with what the stack needs, and their own tools find no fault."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.http.paths import OPEN
from perf_alerts_dagster.identity.keys import new_key
from perf_alerts_dagster.settings import Settings, load_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = ("compose.yaml", "oauth2-proxy/compose.yaml")
CADDY = ("Caddyfile", "oauth2-proxy/Caddyfile")
STOP_SECONDS = 15


def loaded(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def resource(kind: str) -> Any:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return next(one["spec"] for one in documents if one["kind"] == kind)


def container() -> Any:
    return resource("StatefulSet")["template"]["spec"]["containers"][0]


def unit() -> Mapping[str, str]:
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[method-assign, assignment]
    parser.read(DEPLOY / "perf-alerts.service")
    return parser["Service"]


def tool(name: str, install: str) -> str:
    """The path of a checker; the test is skipped, and says why, where there is none."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} here: {install}")
    return found


def checked(*command: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    return said


def of_lock(name: str) -> str:
    return tool(name, "`make test` installs deploy/tools.lock")


def test_hadolint_finds_nothing_in_the_image() -> None:
    assert checked(of_lock("hadolint"), str(DEPLOY / "Dockerfile")) == ""


@pytest.mark.parametrize("name", COMPOSE)
def test_compose_files_are_what_compose_reads(name: str) -> None:
    program = of_lock("check-jsonschema")

    checked(program, "--builtin-schema", "vendor.compose-spec", str(DEPLOY / name))


def test_kubernetes_takes_every_field() -> None:
    checked(of_lock("kubernetes-validate"), "--strict", str(DEPLOY / "kubernetes.yaml"))


def systemd_unit(folder: Path) -> str:
    """The unit with a program that is there, since systemd looks for it."""
    text = (DEPLOY / "perf-alerts.service").read_text()
    copy = folder / "perf-alerts.service"
    copy.write_text(re.sub(r"(?m)^(ExecStart=)\S+", rf"\g<1>{sys.executable}", text))
    return str(copy)


def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    program = tool("systemd-analyze", "it is in Debian's package systemd")

    assert checked(program, "verify", "--man=no", systemd_unit(tmp_path)) == ""


def test_systemd_finds_the_unit_well_shut(tmp_path: Path) -> None:
    program = tool("systemd-analyze", "it is in Debian's package systemd")
    said = checked(program, "security", "--offline=true", "--no-pager", systemd_unit(tmp_path))

    level = re.search(r"exposure level.*?: ([\d.]+)", said)
    assert level, said
    # 10 is worst; 7.3 without the lines that close what the stack does not use.
    assert float(level[1]) < 4


@pytest.mark.parametrize("name", CADDY)
def test_caddy_takes_its_file_as_it_is(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    program = tool("caddy", "it is Debian's package caddy")
    # Caddy keeps its certificates there.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    file = str(DEPLOY / name)

    checked(program, "validate", "--adapter", "caddyfile", "--config", file)
    assert checked(program, "fmt", file) == Path(file).read_text()


def test_kubernetes_runs_one_pod_and_waits_for_its_stop() -> None:
    spec = resource("StatefulSet")

    assert spec["replicas"] == 1
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > STOP_SECONDS
    assert spec["template"]["spec"]["shareProcessNamespace"] is True


def test_kubernetes_restarts_what_is_not_live_and_sends_traffic_to_what_is_ready() -> None:
    asked = {
        name: container()[f"{name}Probe"]["httpGet"]
        for name in ("startup", "liveness", "readiness")
    }

    assert {name: probe["path"] for name, probe in asked.items()} == {
        "startup": "/health/live",
        "liveness": "/health/live",
        "readiness": "/health/ready",
    }
    assert {("GET", probe["path"]) for probe in asked.values()} <= OPEN
    assert {probe["port"] for probe in asked.values()} == {"rest"}


def test_kubernetes_lets_a_slow_machine_start() -> None:
    probe = container()["startupProbe"]
    seconds = probe["periodSeconds"] * probe["failureThreshold"]

    # Code server, web UI, then daemon and REST API together.
    assert seconds >= 3 * Settings().start_seconds


def test_the_rest_api_is_reachable_in_kubernetes() -> None:
    service, settings = resource("Service"), pod_settings(ALERT_ADMIN_API_KEY=new_key("admin"))
    labels = resource("StatefulSet")["template"]["metadata"]["labels"]

    assert container()["ports"] == [{"name": "rest", "containerPort": settings.proxy_port}]
    assert [(one["port"], one["targetPort"]) for one in service["ports"]] == [
        (settings.proxy_port, "rest")
    ]
    assert service["selector"].items() <= labels.items()
    assert settings.proxy_host == "0.0.0.0"


def environment_of(name: str) -> Mapping[str, str]:
    """The variables that a deployment sets."""
    if name == "Dockerfile":
        lines = (DEPLOY / name).read_text().split("\nENV ")[1].replace("\\\n", " ").splitlines()
        return dict(word.split("=", 1) for word in lines[0].split())
    if name == "kubernetes.yaml":
        return {one["name"]: one["value"] for one in container()["env"]}
    if name == "perf-alerts.service":
        text = (DEPLOY / name).read_text()
        return dict(re.findall(r"(?m)^Environment=(\w+)=(.*)$", text))
    variables: Mapping[str, str] = loaded(name)["services"]["perf-alerts"]["environment"]
    return variables


@pytest.mark.parametrize("name", ["Dockerfile", *COMPOSE, "kubernetes.yaml", "perf-alerts.service"])
def test_compiled_code_is_kept_in_the_state_folder_since_the_rest_is_read_only(name: str) -> None:
    variables = environment_of(name)

    assert variables["NUMBA_CACHE_DIR"] == f"{variables['ALERT_STATE_DIR']}/numba"


def test_the_unit_lets_compiled_code_be_loaded() -> None:
    assert "MemoryDenyWriteExecute" not in unit()


def pod_settings(**secret: str) -> Settings:
    named = {one["name"]: str(one["value"]) for one in container()["env"]}
    return load_settings({**named, **secret}, dotenv=None)


def test_kubernetes_waits_for_keys_and_takes_no_weak_one() -> None:
    assert container()["envFrom"] == [{"secretRef": {"name": "perf-alerts"}}]
    with pytest.raises(SettingsError, match="ALERT_ADMIN_API_KEY"):
        pod_settings(ALERT_ADMIN_API_KEY="admin-key-12345")


@pytest.mark.parametrize("name", COMPOSE)
def test_compose_reaps_and_waits_for_a_stop(name: str) -> None:
    service = loaded(name)["services"]["perf-alerts"]
    context = (DEPLOY / name).parent / service["build"]["context"]

    assert service["init"] is True
    assert int(service["stop_grace_period"].removesuffix("s")) > STOP_SECONDS
    assert (context / service["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("name", COMPOSE)
def test_compose_calls_healthy_what_is_ready(name: str) -> None:
    command = loaded(name)["services"]["perf-alerts"]["healthcheck"]["test"][-1]

    assert f"http://127.0.0.1:{Settings().proxy_port}/health/ready" in command


def test_behind_oauth2_proxy_only_caddy_names_people() -> None:
    services = loaded("oauth2-proxy/compose.yaml")["services"]
    environment = {
        name: value.replace("${PERF_ALERTS_SITE}", "perf-alerts.example.org")
        for name, value in services["perf-alerts"]["environment"].items()
    }
    settings = load_settings({**environment, "ALERT_ADMIN_API_KEY": new_key("admin")}, dotenv=None)
    caddy = services["caddy"]["networks"]["inner"]["ipv4_address"]

    assert environment["ALERT_TRUSTED_PROXIES"] == caddy
    assert set(settings.trusted_roles) == {"viewer", "operator", "admin"}
    assert "ports" not in services["perf-alerts"]
    assert "ports" not in services["oauth2-proxy"]
    stripped = re.findall(r"\trequest_header -(\S+)", (DEPLOY / CADDY[1]).read_text())
    assert stripped == [settings.trusted_user_header, settings.trusted_groups_header]


def test_systemd_signals_the_supervisor_alone_and_waits() -> None:
    assert unit()["KillMode"] == "mixed"
    assert int(unit()["TimeoutStopSec"]) > STOP_SECONDS
    assert unit()["RestartPreventExitStatus"] == "2"


@pytest.mark.parametrize("name", ["perf-alerts.service", "Dockerfile"])
def test_the_stack_is_started_by_its_one_command(name: str) -> None:
    words = (DEPLOY / name).read_text().replace('", "', " ")

    assert "perf-alerts up" in words


@pytest.mark.parametrize("name", ["perf-alerts.service", "Dockerfile", "../docs/operations.md"])
def test_every_route_installs_by_the_locks_alone(name: str) -> None:
    text = (DEPLOY / name).read_text().replace("\\\n", " ")
    given = re.findall(r'PIP="(.+?)"', text)
    for words in given:
        text = text.replace("$PIP", words.rsplit("/")[-1]).replace(f'"{words}"', "")
    lines = [part for line in text.splitlines() for part in line.split("&&")]
    called = re.compile(r"\bpip (--python \S+ )?(install|wheel) ")
    installs = [line for line in lines if called.search(line)]

    assert {lock for line in installs for lock in re.findall(r"-r (?:deploy/)?(\S+)", line)} == {
        "build.lock",
        "requirements.lock",
    }
    for line in installs:
        assert "--no-deps" in line, line
        assert "--no-build-isolation" in line or "--no-index" in line or "build.lock" in line, line
        assert ("--require-hashes" in line) is ("-r " in line), line


def test_the_image_holds_the_environment_alone() -> None:
    stages = re.split(r"(?m)^FROM ", (DEPLOY / "Dockerfile").read_text())
    last = stages[-1]

    assert len(stages) == 3
    assert re.findall(r"(?m)^COPY .*$", last) == [
        "COPY --from=build /opt/perf-alerts /opt/perf-alerts"
    ]
    assert "pip install" not in last
    assert re.search(r"pip uninstall .* pip setuptools wheel", last)
    assert re.findall(r"(?m)^USER (.*)$", last) == ["10001:10001"]


def test_what_the_image_is_built_from_leaves_secrets_and_state_out() -> None:
    lines = (DEPLOY.parent / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = re.findall(r"(?m)^COPY (?!--from)(.+) \./?\S*$", (DEPLOY / "Dockerfile").read_text())

    assert [line for line in lines if line and line[0] not in "#!"] == ["*", "**/__pycache__"]
    assert {word for words in copied for word in words.split()} == allowed
    assert [name for name in allowed if not (DEPLOY.parent / name).exists()] == []


def recipe(target: str) -> list[str]:
    """The last command of a make target, by a program of this environment."""
    ran = subprocess.run(
        ["make", "--no-print-directory", "-n", "-B", target],
        cwd=DEPLOY.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    words = ran.stdout.strip().splitlines()[-1].split()
    return [of_lock(Path(words[0]).name), *words[1:]]


def test_the_bill_of_materials_lists_each_package_of_the_lock_with_its_hashes(
    tmp_path: Path,
) -> None:
    command = recipe("sbom")
    command[command.index("-o") + 1] = str(tmp_path / "sbom.json")
    subprocess.run(command, cwd=DEPLOY.parent, capture_output=True, check=True, timeout=120)

    sbom = json.loads((tmp_path / "sbom.json").read_text())
    pins = re.findall(r"(?m)^([\w.-]+)==(\S+)", (DEPLOY / "requirements.lock").read_text())
    parts = sbom["components"]
    assert sbom["bomFormat"] == "CycloneDX"
    assert {(one["name"], one["version"]) for one in parts} == set(pins)
    assert all(one["externalReferences"][0]["hashes"] for one in parts)


def test_an_audit_that_could_ask_nobody_fails(monkeypatch: Any) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    ran = subprocess.run(
        recipe("audit"), cwd=DEPLOY.parent, capture_output=True, timeout=120, check=False
    )

    assert ran.returncode != 0
