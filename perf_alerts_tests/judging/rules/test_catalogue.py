import re
from pathlib import Path

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.judging.rules.catalogue import BY_ID, RULES
from perf_alerts_dagster.projections.watchers import STATISTICS

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


def test_a_rule_that_is_never_above_info_is_said_to_be_so() -> None:
    for rule in RULES:
        section = PAGE.split(f"### `{rule.id}`")[1].split("###")[0]

        assert ("info only" in section) is rule.info_only, rule.id


def test_every_limit_is_in_the_section_of_a_rule_that_it_moves() -> None:
    for rule in RULES:
        section = PAGE.split(f"### `{rule.id}`")[1].split("###")[0]
        missing = [name for name in rule.limits if f"`{name}`" not in section]

        assert not missing or "as `win_rate`" in section, rule.id


def test_the_rules_that_are_calibrated_are_those_whose_statistics_are_registered() -> None:
    calibrated = {rule.id for rule in RULES if rule.calibrated}

    assert calibrated == set(STATISTICS)


def test_what_is_said_of_a_rule_is_there() -> None:
    for rule in RULES:
        assert all((rule.title, rule.unit, rule.plot, rule.hint)), rule.id
        assert rule.title[0].islower() or rule.title.startswith(("P&L", "Sharpe")), rule.id


def test_ids_are_unique() -> None:
    assert len(BY_ID) == len(RULES)
