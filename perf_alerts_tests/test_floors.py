import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import perf_alerts_dagster

ROOT = Path(perf_alerts_dagster.__file__).parent
FRAMEWORKS = {
    "dagster",
    "fastapi",
    "starlette",
    "sqlalchemy",
    "httpx",
    "pydantic",
    "polars",
    "pandas",
}
# The rooms that know no framework, and what in them is named for one.
CONCEPTS = [
    "core",
    "control",
    "scheduler",
    "records",
    "statistics",
    "projections",
    "judging",
    "plots",
    "incidents",
    "notifications",
    "executions",
]
NAMED_FOR_ONE = (
    "dagster_internals.py",
    "store",
    "sources",
    "channels",
    "graphql",
    "sql.py",
)
MAXIMUM_LINES = 400
MAXIMUM_MODULES = 15
MAXIMUM_COMMANDS = 20
MAXIMUM_PROXY_LINES = 1500


def modules(room: str) -> list[str]:
    found = []
    for path in sorted((ROOT / room).rglob("*.py")):
        parts = path.relative_to(ROOT).parts
        if not any(one in parts for one in NAMED_FOR_ONE):
            name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
            found.append(name.removesuffix(".__init__"))
    return found


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("room", CONCEPTS)
def test_a_concept_loads_no_framework(room: str) -> None:
    code = (
        f"import sys, importlib\n"
        f"[importlib.import_module(name) for name in {modules(room)!r}]\n"
        f"print(sorted({FRAMEWORKS!r} & set(sys.modules)))"
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
    sizes = {path.relative_to(ROOT): lines_of(path) for path in ROOT.rglob("*.py")}

    assert {path: size for path, size in sizes.items() if size > MAXIMUM_LINES} == {}


def test_no_folder_holds_more_modules_than_a_person_overlooks() -> None:
    counts = Counter(
        path.parent.relative_to(ROOT) for path in ROOT.rglob("*.py") if path.name != "__init__.py"
    )

    limits = {Path("cli/commands"): MAXIMUM_COMMANDS}
    crowded = {
        folder: count
        for folder, count in counts.items()
        if count > limits.get(folder, MAXIMUM_MODULES)
    }
    assert crowded == {}


def test_the_proxy_stays_small() -> None:
    assert sum(lines_of(path) for path in (ROOT / "proxy").rglob("*.py")) <= MAXIMUM_PROXY_LINES


def test_every_room_stands_on_a_floor() -> None:
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())
    floors = project["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = {name.strip() for floor in floors for name in floor.split("|")}

    found = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert found | {"definitions"} == rooms


def test_every_folder_of_modules_is_a_package() -> None:
    """The import contracts do not see what is in a folder without `__init__.py`."""
    folders = {path.parent for path in ROOT.rglob("*.py")}

    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_tests_stand_where_the_code_stands() -> None:
    tests = Path(__file__).parent
    folders = {
        path.parent.relative_to(tests) for path in tests.rglob("test_*.py") if path.parent != tests
    }

    assert {folder for folder in folders if not (ROOT / folder).is_dir()} == set()
