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
from rich.padding import Padding
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from perf_alerts_dagster.core.wording import printable
from perf_alerts_dagster.settings import Settings, load_settings, unknown_names


class _Console(Console):
    """A console on which text from data moves no cursor; it may hold line ends of ours."""

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - those of rich
        """The text, escaped."""
        return super().render_str(printable(text, keep="\n"), **options)


# Into a file or a pipe, lines are not folded to a terminal's width.
_WIDTH = None if sys.stdout.isatty() else 160
# A name such as group:book: is no emoji.
OUT = _Console(width=_WIDTH, emoji=False)
ERR = _Console(stderr=True, emoji=False, width=None if sys.stderr.isatty() else 160)

# Columns of whole sentences; all others keep to one line. Narrower they cannot be read.
_FOLDED, _LEAST = frozenset({"why", "outcome of the run", "its model"}), 24

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
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    if not text.replace("\n", "").isprintable():
        text = json.dumps(content, indent=2, allow_nan=False).replace("\x7f", "\\u007f")
    click.echo(text)


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


def print_table(rows: Table) -> None:
    """Print a table; a paragraph for each row where the terminal is too narrow for its columns."""
    columns = rows.columns
    widths = [
        _LEAST
        if column.header in _FOLDED
        else max(OUT.measure(cell).maximum for cell in (column.header, *column.cells))
        for column in columns
    ]
    # Each column has a blank on both sides, and one between it and the next.
    if sum(widths) + 3 * len(widths) <= OUT.width:
        OUT.print(rows)
        return
    OUT.print(rows.title, style="italic")
    for first, *others in zip(*(column.cells for column in columns), strict=True):
        named = list(zip((column.header for column in columns[1:]), others, strict=True))
        words = [f"{name} {cell}" for name, cell in named if cell and name not in _FOLDED]
        sentences = [str(cell) for name, cell in named if cell and name in _FOLDED]
        OUT.print(f"[bold]{first}[/bold]", highlight=False)
        for line in filter(None, (", ".join(words), *sentences)):
            OUT.print(Padding(Text.from_markup(printable(line)), (0, 0, 0, 2)))


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
