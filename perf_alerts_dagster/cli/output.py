"""The output of the commands: tables for people, JSON for programs."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, TextIO

import click
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from perf_alerts_dagster.core.wording import printable

if TYPE_CHECKING:
    from perf_alerts_dagster.settings import Settings


class _Console(Console):
    """A console on which text from data moves no cursor; it may hold line ends of ours."""

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - those of rich
        """The text, escaped."""
        return super().render_str(printable(text, keep="\n"), **options)


# A file or a pipe has no width: a row is a line, a sentence is a line.
_PIPE = 10_000


def _width(stream: TextIO) -> int | None:
    """The width that COLUMNS gives, else the terminal's (None: rich asks it), else the pipe's."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    return None if stream.isatty() else _PIPE


# A name such as group:book: is no emoji.
OUT = _Console(width=_width(sys.stdout), emoji=False)
ERR = _Console(stderr=True, emoji=False, width=_width(sys.stderr))

_GAP = "  "
# Stands for a blank at which no line may end; it prints as nothing, so that no text has it.
_KEPT = "\ue000"
# What is longer, as no id is, does not widen a column where it is narrow.
_NAME = 36
# The width of a severity, and a blank.
_WORD = 10

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


def settings_with_warnings() -> "Settings":
    """The settings; prints warnings, such as of unknown variables, on standard error.

    Raises:
        SettingsError: a variable is wrong.
    """
    from perf_alerts_dagster.settings import load_settings, unknown_names

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


def say(line: str, *, style: str = "") -> None:
    """Print a sentence with text from data, folded at words."""
    _print_beside(Text(), Text(printable(line), style))


def say_under(word: str, line: str) -> None:
    """Print a word (markup) and a sentence with text from data, which is folded beside it."""
    first = Text.from_markup(word)
    first.align("left", _WORD)
    _print_beside(first, Text(printable(line)))


def _print_beside(first: Text, text: Text) -> None:
    """Print text folded at words beside a first word; a number keeps its unit."""
    blanks, whole = Text(" " * first.cell_len), text.copy()
    whole.plain = text.plain.replace(" %", f"{_KEPT}%")
    folded = whole.wrap(OUT, max(OUT.width - first.cell_len, 1))
    for start, line in zip(chain([first], repeat(blanks)), folded, strict=False):
        line.plain = line.plain.rstrip().replace(_KEPT, " ")
        OUT.print(start + line, highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows for people, whole at any width; see `print_table`.

    Cells are markup. Those of `numeric` columns are right-aligned. `sentences` are columns of
    text, which is folded. Those of `optional` are left out in this order where it is narrow.
    """

    title: str
    columns: tuple[str, ...]
    numeric: tuple[str, ...]
    sentences: tuple[str, ...]
    optional: tuple[str, ...]
    rows: list[dict[str, Text]] = field(default_factory=list)

    def add_row(self, *cells: str) -> None:
        """Add a row: a cell for each column, empty where there is nothing to show."""
        texts = (Text.from_markup(printable(cell), emoji=False) for cell in cells)
        self.rows.append(dict(zip(self.columns, texts, strict=True)))


def table(
    title: str,
    *columns: str,
    numeric: tuple[str, ...] = (),
    sentences: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
) -> Table:
    """An empty table."""
    return Table(
        title=title, columns=columns, numeric=numeric, sentences=sentences, optional=optional
    )


@dataclass(slots=True, kw_only=True)
class _Layout:
    """The columns of a table's lines and their widths; `below` are those below each line."""

    names: list[str]
    widths: dict[str, int]
    below: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        """The width of a line."""
        return sum(self.widths[name] for name in self.names) + len(_GAP) * (len(self.names) - 1)

    def line(self, cells: Mapping[str, Text], numeric: Sequence[str]) -> Text:
        """A row, or the headings."""
        texts = [cells[name].copy() for name in self.names]
        for name, text in zip(self.names, texts, strict=True):
            text.align("right" if name in numeric else "left", self.widths[name])
        joined = Text(_GAP).join(texts)
        joined.rstrip()
        return joined


def print_table(shown: Table) -> None:
    """Print a table so that nothing in it is cut.

    Where the width does not hold all columns, sentences are below their rows, what is long in the
    first column is on a line above, and a row that is long in another is a paragraph; then
    optional columns are left out, and named below the table; then each row is a paragraph with
    all of it. Columns without content are not shown.
    """
    widths = {
        name: max([cell_len(name), *(row[name].cell_len for row in shown.rows)])
        for name in shown.columns
        if not shown.rows or any(row[name].plain for row in shown.rows)
    }
    layout = _Layout(names=list(widths), widths=widths)
    if layout.width > OUT.width:
        layout.below = [name for name in layout.names if name in shown.sentences]
        layout.names = [name for name in layout.names if name not in layout.below]
    whole = layout.width
    if whole > OUT.width:
        for name in layout.names:
            lengths = (row[name].cell_len for row in shown.rows)
            widths[name] = max([cell_len(name), *(each for each in lengths if each <= _NAME)])
    for name in (name for name in shown.optional if name in widths):
        if layout.width > OUT.width:
            layout.names.remove(name)
            layout.left_out.append(name)
    OUT.print(shown.title, style="italic", highlight=False)
    if layout.width > OUT.width:
        for row in shown.rows:
            _print_paragraph(row, list(widths), shown.sentences)
        return
    _print_lines(shown, layout, list(widths))
    if layout.left_out:
        names = ", ".join(layout.left_out)
        text = f"left out at {OUT.width} columns: {names}; {whole} columns show all"
        _print_beside(Text(), Text(text, "dim"))


def _print_lines(shown: Table, layout: _Layout, names: Sequence[str]) -> None:
    first, *others = layout.names
    headings = {name: Text(name, "bold") for name in layout.names}
    OUT.print(layout.line(headings, shown.numeric), soft_wrap=True)
    OUT.print("-" * layout.width, style="dim", highlight=False)
    for row in shown.rows:
        if any(row[name].cell_len > layout.widths[name] for name in others):
            _print_paragraph(row, names, shown.sentences)
            continue
        cells = row
        if row[first].cell_len > layout.widths[first]:
            OUT.print(row[first])
            cells = row | {first: Text()}
        OUT.print(layout.line(cells, shown.numeric), soft_wrap=True)
        for name in layout.below:
            _print_beside(Text(_GAP), row[name])


def _print_paragraph(
    row: Mapping[str, Text], names: Sequence[str], sentences: Sequence[str]
) -> None:
    first, *others = names
    OUT.print(row[first], style="bold")
    filled = [name for name in others if row[name].plain]
    words = [Text(f"{name} ") + row[name] for name in filled if name not in sentences]
    _print_beside(Text(_GAP), Text(", ").join(words))
    for name in filled:
        if name in sentences:
            _print_beside(Text(_GAP), row[name])


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
