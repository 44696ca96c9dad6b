import re
from pathlib import Path

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.judging.rules.catalogue import BY_ID, RULES

PAGE = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")


def test_every_rule_has_its_section_in_the_page_and_no_other_has() -> None:
    assert re.findall(r"^### `(\w+)`", PAGE, re.MULTILINE) == [rule.id for rule in RULES]


def test_each_section_says_what_kind_of_rule_it_is_and_whether_it_is_gated() -> None:
    for rule in RULES:
        section = PAGE.split(f"### `{rule.id}`")[1].split("###")[0]
        words = f"{rule.kind.value.capitalize()}, {'gated' if rule.gated else 'not gated'}"

        assert words in section, rule.id


def test_every_alert_is_in_the_page_with_its_families() -> None:
    for alert in ALERTS:
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{alert.name}`"))

        assert all(family.value in row for family in alert.families)


def test_ids_are_unique() -> None:
    assert len(BY_ID) == len(RULES)
