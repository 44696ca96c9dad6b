import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
CODE = "".join(
    path.read_text(encoding="utf-8")
    for path in (ROOT / "perf_alerts_dagster" / "adapters" / "records").glob("*.py")
)


def test_every_message_in_the_page_is_one_that_the_code_says() -> None:
    rows = re.findall(r"^\| (`.+?) \|", PAGE.split("## What is said")[1], re.MULTILINE)
    said = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    # Numbers and names differ from one record to the next.
    parts = [
        part
        for message in said
        for part in re.split(r"\.\.\.|\d+", message)
        if len(part.strip()) > 8
    ]

    assert len(said) > 20
    flat = re.sub(r'"\s+f?"', "", CODE).replace("{_LONGEST_NAME}", "200")
    for part in parts:
        assert part.strip(" ();:") in flat, part
