"""The tools and documents of whoever works on the project, held against the project."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import perf_alerts_dagster
from perf_alerts_dagster.judging.rules.catalogue import BY_ID, WEIGHTS

ROOT = Path(perf_alerts_dagster.__file__).parents[1]
SCORE = ROOT / ".ci" / "mutation_score.py"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DOCUMENTS = ("CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md", "README.md")
PATH = re.compile(r"`((?:perf_alerts_dagster|perf_alerts_tests|docs|deploy|benchmarks)/[\w./-]*)`")
PURE = ("statistics", "judging", "incidents", "records", "settings")


def tools() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]


def target(name: str) -> str:
    found = re.search(rf"^{name}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert found, name
    return found[1]


@pytest.fixture(scope="module")
def score() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutation_score", SCORE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stats(**counts: int) -> dict[str, int]:
    names = ("killed", "survived", "no_tests", "skipped", "suspicious", "timeout", "segfault")
    found = {name: counts.get(name, 0) for name in names}
    return {**found, "total": sum(found.values()) + counts.get("untried", 0)}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_a_document_names_is_there(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")

    assert [path for path in PATH.findall(text) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_a_document_leads_somewhere(document: str) -> None:
    source = ROOT / document
    links = re.findall(r"\]\((?!https?:)([^)#]+)", source.read_text(encoding="utf-8"))

    assert [link for link in links if not (source.parent / link).exists()] == []


def test_the_pictures_of_the_documents_are_those_that_the_script_makes() -> None:
    script = (ROOT / "docs" / "pictures.py").read_text(encoding="utf-8")
    texts = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {
        image
        for path in texts
        for image in re.findall(r"!\[[^\]]*\]\((?:docs/)?images/([\w-]+)\.png\)", path.read_text())
    }
    files = {path.stem: path.stat().st_size for path in (ROOT / "docs" / "images").iterdir()}

    assert shown == set(files) == set(re.findall(r'name="([\w-]+)"', script))
    assert {name: size for name, size in files.items() if size > 300_000} == {}


def test_every_room_is_in_the_picture_of_the_architecture() -> None:
    picture = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    layers = tools()["importlinter"]["contracts"][0]["layers"]
    rooms = {name.strip() for floor in layers for name in floor.split("|")}

    assert {room for room in rooms if not re.search(rf"\b{room}\b", picture)} == set()


def test_every_make_target_that_a_document_names_is_there() -> None:
    text = "".join((ROOT / document).read_text(encoding="utf-8") for document in DOCUMENTS)
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))

    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets


def test_the_hooks_of_a_commit_are_the_commands_of_make_check() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]

    assert [source["repo"] for source in hooks] == ["local"]
    run = [hook["entry"].removesuffix(" --force-exclude") for hook in hooks[0]["hooks"]]
    checked = [
        re.sub(r" --check| \.$", "", line.strip().replace("$(BIN)", ".venv/bin"))
        for line in target("check").splitlines()
    ]
    assert run == [command.removesuffix(" .") for command in checked]


def test_the_fast_tests_are_those_of_the_pure_rooms() -> None:
    rooms = re.search(r"^PURE := \$\(addprefix perf_alerts_tests/,(.+)\)$", MAKEFILE, re.MULTILINE)

    assert rooms
    assert set(rooms[1].split()) == set(PURE)
    assert "not slow and not long and not e2e" in target("fast")


@pytest.mark.parametrize(
    ("counts", "partial", "passed"),
    [
        ({"killed": 90, "survived": 10}, False, True),
        ({"killed": 89, "survived": 11}, False, False),
        ({"killed": 80, "timeout": 9, "segfault": 1, "survived": 10}, False, True),
        ({"killed": 90, "no_tests": 11}, False, False),
        ({"killed": 90, "survived": 10, "skipped": 50}, False, True),
        ({"killed": 100, "untried": 1}, False, False),
        ({"killed": 100, "untried": 1}, True, True),
        ({}, True, False),
    ],
)
def test_enough_of_the_mutants_that_were_tried_must_die(
    score: ModuleType, counts: dict[str, int], partial: bool, passed: bool
) -> None:
    assert score.verdict(stats(**counts), minimum=90, partial=partial)[0] is passed


def test_too_many_survivors_are_an_exit_code_and_a_line(tmp_path: Path) -> None:
    file = tmp_path / "stats.json"
    file.write_text(json.dumps(stats(killed=3, survived=1)))

    ran = subprocess.run(
        [sys.executable, str(SCORE), str(file), "--minimum", "90"], capture_output=True, text=True
    )

    assert ran.returncode == 1
    assert ran.stdout == "3 of 4 mutants died: 75.0 %, at least 90 % must\n"


def test_the_rooms_that_are_mutated_and_that_are_covered_in_full_are_there() -> None:
    covered = re.search(r"^IN_FULL := (.+)$", MAKEFILE, re.MULTILINE)
    assert covered
    rooms = [f"perf_alerts_dagster/{room}/*" for room in covered[1].split()]
    patterns = [*tools()["mutmut"]["only_mutate"], *rooms]

    assert [one for one in patterns if not any(ROOT.glob(one))] == []


def test_every_exception_from_coverage_has_its_reason() -> None:
    lines = [
        line
        for path in (ROOT / "perf_alerts_dagster").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "pragma: no cover" in line
    ]

    assert [line for line in lines if not re.search(r"pragma: no cover - \w", line)] == []


def rows_of_table(text: str, head: str) -> list[list[str]]:
    """The cells of the rows of the table that begins so."""
    lines = text[text.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_the_statistics_say_of_every_rule_how_it_is_made_and_what_it_cannot_see() -> None:
    text = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    rows = rows_of_table(text, "| rule | formula and source |")
    named = [rule for row in rows for rule in re.findall(r"`(\w+)`", row[0])]

    assert len(named) == len(set(named))
    assert set(BY_ID) <= set(named)
    assert all(row[1] and row[3] for row in rows)


def test_the_weights_of_the_documents_are_those_of_the_catalogue() -> None:
    text = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    weights = {
        rule: float(row[1])
        for row in rows_of_table(text, "| rule | weight | why |")
        for rule in re.findall(r"`(\w+)`", row[0])
    }

    assert {rule: weights[rule] for rule in WEIGHTS} == WEIGHTS
    assert all(not weights[rule] for rule in BY_ID if rule in weights and rule not in WEIGHTS)
    # Nowhere else.
    rules = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert not re.findall(r"`\w+` (?:and `\w+` )?0?\.\d+ each|weights: `", rules)
