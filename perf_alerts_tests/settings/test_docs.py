"""docs/settings.md and README.md against the model."""

import re
from pathlib import Path

from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_dagster.settings.model import FIELDS, FILES, KNOWN, variable

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(ALERT_\w+)` \| (\S+) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)


def test_every_variable_is_in_the_table_once() -> None:
    assert sorted(name for name, *_ in ROWS) == sorted(KNOWN)


def test_every_default_in_the_table_is_the_models() -> None:
    written = {name: default.strip("`") for name, default, *_ in ROWS}
    plain = load_settings({}, None)
    for field in FIELDS:
        name = variable(field)
        if getattr(plain, field) is None:
            assert written[name] == "-", name
        else:
            assert getattr(load_settings({name: written[name]}, None), field) == getattr(
                plain, field
            ), name


def test_every_file_variant_is_listed_and_no_unknown_name_is() -> None:
    named = set(re.findall(r"ALERT_[A-Z0-9_]+", PAGE))

    assert set(FILES.values()) <= named
    assert named <= {*KNOWN, *FILES.values()}


def test_the_json_examples_are_accepted() -> None:
    examples = re.findall(r"`(ALERT_\w+)`,[^`]+```json\n(.+?)```", PAGE, re.DOTALL)

    assert [name for name, _ in examples] == [
        "ALERT_THRESHOLDS",
        "ALERT_POLICY_LIMITS",
        "ALERT_FALSE_ALARM_RULES",
    ]
    load_settings(dict(examples), None)


def test_every_variable_is_in_the_readme_and_no_other_is() -> None:
    readme = set(re.findall(r"ALERT_[A-Z0-9_]+", (ROOT / "README.md").read_text(encoding="utf-8")))

    assert set(KNOWN) <= readme
    assert readme - {"ALERT_"} <= {*KNOWN, *FILES.values()}


def test_the_readme_lists_the_same_defaults_as_the_page() -> None:
    written = {name: default for name, default, *_ in ROWS}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.search(r"^Every other one.+?\n\n## ", readme, re.MULTILINE | re.DOTALL)

    assert listed
    for name, default in re.findall(r"`(ALERT_\w+)` (\S+?)(?=,? )", listed[0]):
        assert default == written[name], name


def test_the_readmes_defaults_are_the_models() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    plain = load_settings({}, None)
    for names, defaults in re.findall(
        r"^\| ((?:`ALERT_\w+`(?:, )?)+) \| ((?:`[^`]+`(?:, )?)+) \|", readme, re.MULTILINE
    ):
        pairs = zip(re.findall(r"\w+", names), re.findall(r"`([^`]+)`", defaults), strict=True)
        for name, default in pairs:
            field = name.removeprefix("ALERT_").lower()

            assert field in Settings.model_fields
            assert getattr(load_settings({name: default}, None), field) == getattr(plain, field)
