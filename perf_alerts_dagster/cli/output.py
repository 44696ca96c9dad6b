"""The output of the commands: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from perf_alerts_dagster.settings import Settings, load_settings, unknown_names

# Into a file or a pipe, lines are not folded to a terminal's width.
_WIDTH = None if sys.stdout.isatty() else 160
# A name such as group:book: is no emoji.
OUT = Console(width=_WIDTH, emoji=False)
ERR = Console(stderr=True, emoji=False, width=None if sys.stderr.isatty() else 160)

# Columns of whole sentences; all others keep to one line.
_FOLDED = frozenset({"why", "outcome of the run"})

_STYLES = {
    "ok": "green",
    "breach": "red",
    "error": "red",
    "no_data": "yellow",
    "partial": "yellow",
    "insufficient_data": "dim",
    "warning": "yellow",
    "critical": "red",
    "emergency": "bold red",
}


def settings_with_warnings() -> Settings:
    """The settings; prints warnings, such as of unknown variables, on standard error.

    Raises:
        SettingsError: a variable is wrong.
    """
    # Before any fault: a misspelt name is often the cause of it.
    _warn(unknown_names())
    settings = load_settings()
    _warn(settings.warnings)
    return settings


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        ERR.print(f"[yellow]warning[/yellow]: {escape(warning)}", highlight=False)


def print_json(content: Mapping[str, Any]) -> None:
    """One JSON document on standard output, without NaN or infinity."""
    click.echo(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False))


def styled(word: str) -> str:
    """A word in its colour, safe from markup in the data."""
    style = _STYLES.get(word)
    return f"[{style}]{escape(word)}[/{style}]" if style else escape(word)


def number(value: float | None, digits: int = 4) -> str:
    """A number for people; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}g}"


def table(title: str, *columns: str, numeric: tuple[str, ...] = ()) -> Table:
    """An empty table; the `numeric` columns are right-aligned."""
    new = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE)
    for column in columns:
        new.add_column(
            column,
            justify="right" if column in numeric else "left",
            no_wrap=column not in _FOLDED,
            overflow="fold",
        )
    return new


@contextmanager
def working(task: str) -> Iterator[None]:
    """Show on standard error that a task is running."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=ERR,
        transient=True,
    ) as progress:
        progress.add_task(escape(task), total=None)
        yield
