"""What the outside world holds on to is what was written down; see `contracts`."""

from difflib import unified_diff

import pytest

from perf_alerts_tests.contracts import CONTRACTS, FOLDER, path_of, written


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_public_contract_is_as_it_was_written_down(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Neither this machine's variables nor its .env count.
    monkeypatch.chdir(tmp_path_factory.mktemp("plain"))
    before = path_of(name).read_text(encoding="utf-8")
    now = written(CONTRACTS[name]())

    difference = unified_diff(before.splitlines(), now.splitlines(), "before", "now", lineterm="")
    assert "\n".join(difference) == ""


def test_every_stored_contract_is_held() -> None:
    assert {one.stem for one in FOLDER.glob("*.json")} == set(CONTRACTS)
