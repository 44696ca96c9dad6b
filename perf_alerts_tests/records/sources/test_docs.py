"""The messages that the page quotes are those that the code says, and none is left out."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "perf_alerts_dagster"
SOURCES = [
    *(PACKAGE / "records" / "sources").glob("*.py"),
    PACKAGE / "records" / "first_seen.py",
    PACKAGE / "records" / "reading.py",
]
# Which argument of a call is the rule.
RULES = {"Broken": 1, "tables.once_a_day": 0}
FILLED_IN = {
    "{_LONGEST_NAME}": "200",
    "{_APART}": "0.0001",
    "{_GONE}": "no row is left",
    "{_LONGEST_CALENDAR}": "40",
    "{', '.join(words)}": "incubating, live, paused, retired",
}


def code() -> str:
    joined = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    flat = re.sub(r'"\s+f?"', "", joined)
    for given, filled in FILLED_IN.items():
        flat = flat.replace(given, filled)
    return flat


def parts(message: str) -> list[str]:
    """What stands between numbers and names, which differ from one record to the next."""
    pieces = re.split(r"\.\.\.|\b\d+\b", message)
    return [piece.strip(" ();:,") for piece in pieces if len(piece.strip()) > 8]


def rules() -> Iterator[str]:
    """The constant parts of every rule that a row may break."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (at := RULES.get(ast.unparse(node.func))) is not None:
                for one in ast.walk(node.args[at]):
                    if isinstance(one, ast.Constant) and len(str(one.value)) > 4:
                        yield str(one.value).strip(" ()")


def test_every_message_in_the_page_is_one_that_the_code_says() -> None:
    rows = re.findall(r"^\| (`.+?) \|", PAGE.split("## Messages about")[1], re.MULTILINE)
    said = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    known = code()

    assert len(said) > 30
    assert [part for message in said for part in parts(message) if part not in known] == []


def test_every_rule_that_a_row_may_break_is_in_the_page() -> None:
    found = set(rules())

    assert len(found) > 20
    assert sorted(rule for rule in found if rule not in PAGE) == []
