import subprocess
import sys
from pathlib import Path

import pytest

import perf_alerts_dagster

ROOT = Path(perf_alerts_dagster.__file__).parent
FORBIDDEN = {"dagster", "fastapi", "starlette", "sqlalchemy", "httpx", "pydantic", "polars"}


def modules(*packages: str) -> list[str]:
    found = []
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
            found.append(name.removesuffix(".__init__"))
    return found


@pytest.mark.parametrize("package", ["domain", "application"])
def test_the_core_loads_no_framework(package: str) -> None:
    code = (
        f"import sys, importlib\n"
        f"[importlib.import_module(name) for name in {modules(package)!r}]\n"
        f"print(sorted({FORBIDDEN!r} & set(sys.modules)))"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"


def test_the_definitions_load_no_heavy_library_beside_dagster() -> None:
    code = (
        "import sys, dagster; before = set(sys.modules)\n"
        "import perf_alerts_dagster.definitions\n"
        "heavy = {'numpy', 'pandas', 'scipy', 'polars', 'sqlalchemy.engine', 'empyrical', 'arch'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"


def test_no_module_outgrows_its_concept() -> None:
    sizes = {
        path.relative_to(ROOT): len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")
    }

    assert {path: size for path, size in sizes.items() if size > 300} == {}
