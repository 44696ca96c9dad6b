"""Options that several commands share."""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import date, datetime
from typing import TypeVar

import click
from click.shell_completion import CompletionItem

from perf_alerts_dagster.core.alerts import BY_NAME, Alert

Value = TypeVar("Value")


class Parsed(click.ParamType[Value]):
    """An option parsed by `parse`, whose ValueError is shown to the user."""

    def __init__(self, name: str, parse: Callable[[str], Value], names: Iterable[str] = ()) -> None:
        self.name = name
        self._parse = parse
        self._names = names

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Those of the accepted names that begin so."""
        return [CompletionItem(name) for name in self._names if name.startswith(incomplete)]

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> Value:
        """Parse the text of the command line."""
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _alert(text: str) -> Alert:
    if text not in BY_NAME:
        raise ValueError(f"{text!r} is no alert. The alerts are: {', '.join(BY_NAME)}")
    return BY_NAME[text]


def _day(text: str) -> date:
    # `fromisoformat` alone takes 20260115 and 2026-W03-4 as well.
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        with suppress(ValueError):
            return date.fromisoformat(text)
    raise ValueError(f"{text!r} is no date: use YYYY-MM-DD")


def _time(text: str) -> datetime:
    with suppress(ValueError):
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None:
            return time
    raise ValueError(f"{text!r} is no time: use 2026-01-30T17:00:00Z")


TIME = Parsed("TIME", _time)
DAY = Parsed("YYYY-MM-DD", _day)

alert_argument = click.argument("alert", type=Parsed("ALERT", _alert, BY_NAME))
as_of_option = click.option(
    "--as-of",
    type=DAY,
    default=None,
    help="The session to work as of. Default: the last one at or before today.",
)
records_option = click.option(
    "--records",
    "records_url",
    metavar="URL",
    default=None,
    help="Read these records in place of ALERT_RECORDS_URL: a CSV or Parquet file, a folder, "
    "or a SQLAlchemy URL.",
)
periods_option = click.option(
    "--periods-per-year",
    type=click.FloatRange(min=1, max=366 * 24),
    default=None,
    help="Rows per year of every strategy, in place of those that its calendar has.",
)
json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON for programs on standard output; everything else goes to standard error.",
)
