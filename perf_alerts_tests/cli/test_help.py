"""What `--help` shows."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from perf_alerts_dagster.cli.main import cli


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("command", list(commands(cli)), ids=" ".join)
def test_help_teaches_in_whole_sentences_and_lines(command: tuple[str, ...]) -> None:
    found = CliRunner().invoke(cli, [*command, "--help"])

    assert found.exit_code == 0
    assert "Usage: " in found.output
    # An example's line breaks are kept; the mark for that is not shown.
    assert "\\b" not in found.output
