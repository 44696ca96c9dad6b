"""What an installation of the product brings with it, and what it does not."""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from importlib.metadata import requires
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import perf_alerts_dagster

ROOT = Path(perf_alerts_dagster.__file__).parents[1]
# The benchmark's peer and what only it needs: 65 MB that no execution uses.
PEER = {"arch", "statsmodels", "patsy", "formulaic"}
COMPILER = {"numba", "llvmlite"}
RUNTIME_AND_BUILD = ("deploy/requirements.lock", "deploy/build.lock")
LOCKS = ("requirements.lock", "mutation.lock", "deploy/tools.lock", *RUNTIME_AND_BUILD)


def read(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def project() -> Any:
    return tomllib.loads(read("pyproject.toml"))["project"]


def needed(lines: list[str]) -> set[str]:
    """The names of all distributions that these requirements bring, as they are installed here."""
    found: set[str] = set()
    waiting = [(Requirement(line), "") for line in lines]
    while waiting:
        one, extra = waiting.pop()
        if one.marker is not None and not one.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(one.name)
        wanted = {f"{name}[{each}]" for each in one.extras} | {name}
        if wanted <= found:
            continue
        found |= wanted
        for line in requires(name) or []:
            waiting += [(Requirement(line), each) for each in ("", *one.extras)]
    return {one for one in found if "[" not in one}


def locked(file: str) -> dict[str, list[str]]:
    """By name the pins of a lock file, each with its hashes; for which platforms is left out."""
    text = re.sub(r" ; .*(?= \\$)", "", read(file).strip(), flags=re.MULTILINE)
    pins = re.split(r"\n(?=\S)", text)
    found: dict[str, list[str]] = {}
    for pin in pins:
        found.setdefault(canonicalize_name(pin.split("==")[0]), []).append(pin)
    return found


def test_an_installation_brings_nothing_that_only_a_benchmark_uses() -> None:
    assert needed(project()["dependencies"]) & PEER == set()


def test_who_develops_gets_the_peer_of_the_benchmark() -> None:
    assert "arch" in needed(project()["optional-dependencies"]["dev"])


@pytest.mark.parametrize("file", ["requirements.lock", "deploy/requirements.lock"])
def test_a_lock_holds_all_that_an_installation_brings(file: str) -> None:
    assert needed(project()["dependencies"]) - set(locked(file)) == set()


@pytest.mark.parametrize("file", [*RUNTIME_AND_BUILD, "deploy/tools.lock", "mutation.lock"])
def test_a_lock_has_the_pins_that_are_tested(file: str) -> None:
    tested = locked("requirements.lock")
    # What only the tools of a lock need is in no other lock.
    shared = {name: pins for name, pins in locked(file).items() if name in tested}

    assert shared == {name: tested[name] for name in shared}
    assert file not in RUNTIME_AND_BUILD or set(shared) == set(locked(file))


@pytest.mark.parametrize("file", LOCKS)
def test_a_lock_has_a_hash_for_every_pin_and_names_no_index(file: str) -> None:
    assert all("--hash=sha256:" in pin for pins in locked(file).values() for pin in pins)
    assert re.findall(r"https?://|--\S*(?:index|find-links|host)\S*", read(file)) == []


def test_the_runtime_has_nothing_that_only_tests_and_builds_use() -> None:
    groups = tomllib.loads(read("pyproject.toml"))["dependency-groups"]
    asked = [*project()["optional-dependencies"]["dev"], *chain(*groups.values())]
    tools = {canonicalize_name(Requirement(line).name) for line in asked}

    assert {"pytest", "hypothesis", "mypy", "ruff", "playwright", "hatchling"} <= tools
    pins = re.findall(r"(?m)^\S[^\\\n]*", read("deploy/requirements.lock"))
    # Dagster asks for psutil on Windows.
    here = [one for one in map(Requirement, pins) if one.marker is None or one.marker.evaluate()]
    assert {canonicalize_name(one.name) for one in here} & (tools | PEER) == set()


def test_what_builds_is_locked_as_a_whole() -> None:
    tables = tomllib.loads(read("pyproject.toml"))
    build = set(locked("deploy/build.lock"))

    assert needed(tables["dependency-groups"]["build"]) <= build
    assert {canonicalize_name(line) for line in tables["build-system"]["requires"]} <= build


def machine(system: str, processor: str, python: str, made_by: str = "CPython") -> dict[str, str]:
    return {
        "sys_platform": system,
        "platform_machine": processor,
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_python_implementation": made_by,
    }


def compilers(lines: list[str], on: dict[str, str]) -> set[str]:
    """Which of numba and llvmlite these requirements bring to a machine."""
    found = [one for one in map(Requirement, lines) if one.name in COMPILER]
    return {one.name for one in found if one.marker is None or one.marker.evaluate(dict(on))}


@pytest.mark.parametrize(
    ("on", "wheel"),
    [
        *[(machine("linux", "x86_64", f"3.{minor}"), True) for minor in (11, 12, 13, 14, 15)],
        (machine("linux", "aarch64", "3.11"), True),
        (machine("darwin", "arm64", "3.11"), True),
        (machine("win32", "AMD64", "3.11"), True),
        (machine("linux", "x86_64", "3.16"), False),
        (machine("linux", "x86_64", "3.11", "PyPy"), False),
        (machine("linux", "ppc64le", "3.11"), False),
        (machine("linux", "arm64", "3.11"), False),
        (machine("darwin", "x86_64", "3.11"), False),
        (machine("win32", "ARM64", "3.11"), False),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else "",
)
def test_the_compiler_is_installed_only_where_it_has_a_wheel(
    on: dict[str, str], wheel: bool
) -> None:
    assert compilers(project()["dependencies"], on) == ({"numba"} if wheel else set())
    for lock in ("requirements.lock", "deploy/requirements.lock"):
        pins = re.findall(r"(?m)^\S.*(?= \\$)", read(lock))
        assert compilers(pins, on) == (COMPILER if wheel else set()), lock


def test_no_module_of_the_product_loads_a_compiler_or_what_only_a_benchmark_uses() -> None:
    """But the kernels that are imported with the compiler, when one is first called."""
    package = ROOT / "perf_alerts_dagster"
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(package.rglob("*.py"))
        if "migrations" not in path.parts
        and path.name not in {"__main__.py", "vectors.py", "loops.py"}
    ]
    code = (
        "import sys, importlib\n"
        f"[importlib.import_module(name) for name in {names!r}]\n"
        f"print(sorted({PEER | COMPILER!r} & set(sys.modules)))"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"


def test_the_set_up_compiles_once_and_again_where_the_source_changed_and_never_fails_by_it(
    tmp_path: Path,
) -> None:
    program, calls = tmp_path / ".venv/bin/python", tmp_path / "calls"
    source = tmp_path / "perf_alerts_dagster/projections/deeper/kernels.py"
    for path in (program, source):
        path.parent.mkdir(parents=True)
        path.touch()
    for name in ("Makefile", "requirements.lock", "deploy/build.lock", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    program.chmod(0o700)
    (tmp_path / ".venv/.installed").touch()

    def after_install(code: int) -> list[str]:
        program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexit {code}\n')
        subprocess.run(["make", "install"], cwd=tmp_path, check=True, capture_output=True)
        return calls.read_text().splitlines()

    once = ["-m perf_alerts_dagster.projections"]
    assert after_install(1) == once
    assert after_install(0) == once * 2
    assert after_install(0) == once * 2
    later = time.time() + 60
    os.utime(source, (later, later))
    assert after_install(0) == once * 3
