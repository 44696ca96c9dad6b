"""The file of the strategies, from which Dagster's definitions learn them."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from perf_alerts_dagster.executions import catalog as module
from perf_alerts_dagster.executions.catalog import (
    MAXIMUM_STRATEGIES,
    Catalog,
    Listed,
    catalog_file,
    keep_catalog,
    read_catalog,
)
from perf_alerts_dagster.records.model import RecordFault, StrategyRecord, TrackRecords
from perf_alerts_tests.executions.trading_desk import Desk, a_strategy, after_close, day

ROWS = 410
FAULT = RecordFault(where="daily.csv", rule="is not a number")


def owned(name: str, group: str | None = "vol", owner: str | None = "ann") -> StrategyRecord:
    return replace(a_strategy(name, ROWS), group=group, owner=owner)


def records(*strategies: StrategyRecord, **more: Any) -> TrackRecords:
    return TrackRecords(
        source="test", strategies={each.strategy: each for each in strategies}, **more
    )


def names(catalog: Catalog) -> list[str]:
    return [each.name for each in catalog.strategies]


def test_an_execution_lists_the_strategies_with_their_group_and_owner_and_the_groups_first() -> (
    None
):
    desk = Desk()

    execution = desk.run(records(owned("b"), owned("a")), after_close(ROWS - 1))

    assert read_catalog(desk.state_dir) == execution.catalog
    assert execution.catalog == Catalog(
        strategies=(
            Listed(name="ALL", is_group=True),
            Listed(name="group:vol", group="vol", is_group=True),
            Listed(name="a", group="vol", owner="ann"),
            Listed(name="b", group="vol", owner="ann"),
        )
    )
    assert catalog_file(desk.state_dir).stat().st_mode & 0o777 == 0o600


def test_the_catalog_of_an_execution_says_how_much_the_record_holds_and_how_late_it_is() -> None:
    desk = Desk()
    now = after_close(ROWS + 2)

    catalog = desk.run(records(owned("a"), owned("b")), now).catalog

    assert catalog is not None
    assert (catalog.rows, catalog.newest, catalog.late) == (2 * ROWS, day(ROWS - 1), 3)


def test_the_file_is_written_where_a_strategy_its_group_or_owner_changes_and_else_left() -> None:
    desk = Desk()
    path = catalog_file(desk.state_dir)

    def written(*strategies: StrategyRecord, sessions: int = 0) -> bool:
        before = path.stat().st_ino if path.exists() else None
        desk.run(records(*strategies), after_close(ROWS - 1 + sessions))
        return path.stat().st_ino != before

    assert written(owned("a"))
    assert not written(owned("a"))
    assert not written(owned("a"), sessions=1)
    assert written(owned("a", owner="bob"))
    assert written(owned("a", owner="bob", group="rates"))
    assert written(owned("a", owner="bob", group="rates"), owned("c"))
    path.write_text("damaged")
    assert written(owned("a", owner="bob", group="rates"), owned("c"))


def test_a_strategy_that_cannot_be_read_keeps_its_group_and_owner_and_a_new_one_has_none() -> None:
    desk = Desk()
    desk.run(records(owned("a"), owned("b")), after_close(ROWS - 1))

    found = desk.run(
        records(owned("a"), faults={"b": (FAULT,), "new": (FAULT,)}), after_close(ROWS - 1)
    ).catalog

    assert found is not None
    by_name = {each.name: each for each in found.strategies}
    assert by_name["b"] == Listed(name="b", group="vol", owner="ann")
    assert by_name["new"] == Listed(name="new")


def test_more_strategies_than_the_definitions_carry_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAXIMUM_STRATEGIES", 3)
    desk = Desk()

    found = desk.run(records(*(owned(name) for name in "abcd")), after_close(ROWS - 1)).catalog

    assert found is not None
    assert (names(found), found.left_out) == (["ALL", "group:vol", "a"], 3)
    assert read_catalog(desk.state_dir) == found


def test_a_catalog_that_cannot_be_written_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(target: Path, text: str) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(module, "replace_file", refuse)
    desk = Desk()
    with caplog.at_level(logging.WARNING):
        execution = desk.run(records(owned("a")), after_close(ROWS - 1))

    assert execution.judgements
    assert "catalog.json is not written: no space left on device" in caplog.text


ENTRY = {"name": "a", "group": None, "owner": None, "is_group": False}
DAMAGED = [
    "",
    "{",
    "null",
    "[]",
    "7",
    '"text"',
    "{}",
    "[" * 100_000,
    '{"left_out": 0, "strategies": 5}',
    '{"left_out": 0, "strategies": "text"}',
    '{"left_out": 0, "strategies": {"a": 1}}',
    '{"left_out": 0, "strategies": [5]}',
    '{"left_out": 0, "strategies": [{"name": "a"}]}',
    *(
        json.dumps({"left_out": 0, "strategies": [ENTRY | change]})
        for change in ({"name": 5}, {"name": None}, {"group": ["x"]}, {"owner": 1.5})
    ),
    *(json.dumps({"left_out": number, "strategies": []}) for number in ("1", None, -1, 2**31, 0.5)),
    json.dumps({"left_out": 0, "strategies": [ENTRY | {"name": "x" * 4_000_000}]}),
    '{"left_out": %s, "strategies": []}' % ("9" * 5000),
]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_an_empty_catalog_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    catalog_file(tmp_path).write_text(text)

    assert read_catalog(tmp_path) == Catalog()
    assert "is damaged, so that Dagster's catalog is empty" in caplog.text


def test_a_file_that_is_missing_is_an_empty_catalog_and_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_catalog(tmp_path) == read_catalog(tmp_path / "nowhere") == Catalog()
    assert caplog.text == ""


def test_a_file_that_cannot_be_read_or_holds_no_text_is_an_empty_catalog(tmp_path: Path) -> None:
    catalog_file(tmp_path).mkdir()
    assert read_catalog(tmp_path) == Catalog()

    catalog_file(tmp_path).rmdir()
    catalog_file(tmp_path).write_bytes(b"\xff\xfe\x00")
    assert read_catalog(tmp_path) == Catalog()


def test_a_name_that_is_there_twice_is_listed_once_and_a_long_list_is_cut(tmp_path: Path) -> None:
    entries = [ENTRY, ENTRY, *(ENTRY | {"name": f"s{number}"} for number in range(2_000))]
    catalog_file(tmp_path).write_text(json.dumps({"left_out": 0, "strategies": entries}))

    found = names(read_catalog(tmp_path))

    assert len(found) == len(set(found)) == MAXIMUM_STRATEGIES - 1


def test_a_reading_without_any_strategy_has_no_newest_row(tmp_path: Path) -> None:
    reading: Any = SimpleNamespace(
        records=TrackRecords(source="x", strategies={}), groups={}, vanished={}
    )

    assert keep_catalog(tmp_path, reading) == Catalog()
    assert catalog_file(tmp_path).exists()
