"""The one table of incidents about the system, and the docs that show it."""

from pathlib import Path
from string import Formatter

import pytest

from perf_alerts_dagster.incidents.system import SYSTEM, firing_of

ROOT = Path(__file__).parents[2]


def row(rule: str) -> str:
    one = SYSTEM[rule]
    cells = (f"`{rule}`", one.title, one.cause, one.opens, one.severity.value, one.ends, one.is_not)
    return f"| {' | '.join(cells)} |"


def test_the_docs_show_the_table_row_by_row() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    table = text.split("## Incidents about the system")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]

    assert rows == [row(rule) for rule in SYSTEM]


@pytest.mark.parametrize("rule", SYSTEM)
def test_each_row_makes_a_firing_with_its_own_words_and_severity(rule: str) -> None:
    one = SYSTEM[rule]
    named = {name for _, name, _, _ in Formatter().parse(one.message) if name} - {"about"}
    firing = firing_of(rule, "X", as_of=None, **{name: f"<{name}>" for name in named})

    assert (firing.rule, firing.severity, firing.strategy) == (rule, one.severity, "")
    assert all(f"<{name}>" in firing.message for name in named)
    assert "{" not in firing.message


def test_no_other_module_spells_the_title_or_hint_of_one() -> None:
    own = ROOT / "perf_alerts_dagster/incidents/system.py"
    for file in (ROOT / "perf_alerts_dagster").rglob("*.py"):
        text = "" if file == own else file.read_text()
        for one in SYSTEM.values():
            if one.title != "no recent data":  # the rule of strategies, in the catalogue
                assert f'"{one.title}"' not in text, file
                assert f'"{one.hint}"' not in text, file
