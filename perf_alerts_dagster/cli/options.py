"""Options that several commands share."""

import re
from contextlib import suppress
from datetime import date, datetime

import click

from perf_alerts_dagster.core.alerts import BY_NAME, Alert


class AlertName(click.ParamType[Alert]):
    """An alert, by its exact name."""

    name = "ALERT"

    def convert(
        self, value: str | Alert, param: click.Parameter | None, ctx: click.Context | None
    ) -> Alert:
        """Look the name up."""
        if isinstance(value, Alert):
            return value
        if value not in BY_NAME:
            self.fail(
                f"{value!r} is no alert. The alerts are: {', '.join(BY_NAME)}",
                param,
                ctx,
            )
        return BY_NAME[value]

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The name of the argument in `--help`."""
        return "ALERT"


class Day(click.ParamType[date]):
    """A date written YYYY-MM-DD."""

    name = "YYYY-MM-DD"

    def convert(
        self, value: str | date, param: click.Parameter | None, ctx: click.Context | None
    ) -> date:
        """Parse the date."""
        if isinstance(value, date):
            return value
        # `fromisoformat` alone takes 20260115 and 2026-W03-4 as well.
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
            with suppress(ValueError):
                return date.fromisoformat(value)
        return self.fail(f"{value!r} is no date: use YYYY-MM-DD", param, ctx)


class Moment(click.ParamType[datetime]):
    """A time with a zone, such as 2026-01-30T17:00:00Z."""

    name = "TIME"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Parse the time."""
        if isinstance(value, datetime):
            return value
        with suppress(ValueError):
            time = datetime.fromisoformat(value)
            if time.tzinfo is not None:
                return time
        return self.fail(f"{value!r} is no time: use 2026-01-30T17:00:00Z", param, ctx)


alert_argument = click.argument("alert", type=AlertName())
as_of_option = click.option(
    "--as-of",
    type=Day(),
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
json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON for programs on standard output; everything else goes to standard error.",
)
