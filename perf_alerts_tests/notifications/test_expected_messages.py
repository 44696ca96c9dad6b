"""The messages of a day with a crash, a decay, a late, a blind and a flat strategy, whole."""

from pathlib import Path

import pytest

from perf_alerts_dagster.notifications.messages import MAXIMUM_SUBJECT, Message
from perf_alerts_tests.notifications.desk_of_faults import (
    EXPECTED,
    FaultyDesk,
    messages,
    written,
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, Message]]:
    folder: Path = tmp_path_factory.mktemp("desk")
    return messages(folder)


def test_they_are_as_pinned(found: list[tuple[str, str, Message]]) -> None:
    # See desk_of_faults on how to write the file anew.
    assert written(found) == EXPECTED.read_text(encoding="utf-8")


def test_the_links_of_a_desk_do_not_depend_on_a_desk_before_it(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("first", "second"))
    first.mkdir()
    second.mkdir()
    FaultyDesk(first).wording.links_of(["one"], "mail")

    links = FaultyDesk(second).wording.links_of(["other"], "mail")

    assert links == {"other": "https://alerts.example.com/a/1-mail"}


def test_each_is_one_line_on_a_phone_and_says_nothing_twice(
    found: list[tuple[str, str, Message]],
) -> None:
    for _, _, message in found:
        assert len(message.subject) <= MAXIMUM_SUBJECT
        lines = [line for line in message.text.splitlines() if line]
        assert len(lines) == len(set(lines))
        # No part of a payload, no inner number.
        assert "run-" not in message.text
        assert "Measured" not in message.text


def test_the_crash_leads_and_its_six_incidents_are_short(
    found: list[tuple[str, str, Message]],
) -> None:
    _, _, first = found[0]
    block = first.text.partition("\n\n")[0]

    assert first.subject.startswith("[CRITICAL] short_vol -15.0 % on Fri 27 Nov")
    assert len(first.events[0].incident_ids) >= 5
    assert len(first.subject) + len(block) < 900
