"""What the tests of channels share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from perf_alerts_tests.receivers import (
    Authority,
    Intake,
    Mailbox,
    pager_intake,
    smtp_receiver,
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A private authority, whose certificates nobody trusts without its bundle."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server that takes everything."""
    with smtp_receiver() as found:
        yield found


@pytest.fixture
def intake() -> Iterator[Intake]:
    """A pager's intake."""
    with pager_intake() as found:
        yield found
