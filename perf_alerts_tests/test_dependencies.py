"""What an installation of the product brings with it, and what it does not."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import perf_alerts_dagster

ROOT = Path(perf_alerts_dagster.__file__).parents[1]
# The benchmark's peer and what only it needs: 65 MB that no execution uses.
PEER = {"arch", "statsmodels", "patsy", "formulaic"}


def project() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


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
    text = re.sub(r" ; .*(?= \\$)", "", (ROOT / file).read_text().strip(), flags=re.MULTILINE)
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


def test_the_image_has_the_pins_that_are_tested_and_not_what_only_development_uses() -> None:
    image, tested = locked("deploy/requirements.lock"), locked("requirements.lock")

    assert {name: pins for name, pins in image.items() if tested.get(name) != pins} == {}
    assert set(image) & (PEER | {"pytest", "mypy", "playwright"}) == set()


def test_the_image_installs_its_own_lock() -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text().splitlines()

    assert [line for line in lines if line.startswith("COPY") and ".lock" in line] == [
        "COPY deploy/requirements.lock ./"
    ]
    assert any("--require-hashes -r requirements.lock" in line for line in lines)


def test_no_module_of_the_product_loads_what_only_a_benchmark_uses() -> None:
    package = ROOT / "perf_alerts_dagster"
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(package.rglob("*.py"))
        if "migrations" not in path.parts and path.name != "__main__.py"
    ]
    code = (
        "import sys, importlib\n"
        f"[importlib.import_module(name) for name in {names!r}]\n"
        f"print(sorted({PEER!r} & set(sys.modules)))"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"
