"""Read the record of a command: that of the settings, or of `--records`."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from rich.markup import escape

from perf_alerts_dagster.cli.output import ERR, working
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_dagster.settings import Settings, load_settings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CommandReading:
    """A reading, its settings, and the rows per year to annualise with."""

    reading: Reading
    settings: Settings
    periods_per_year: float
    now: datetime


def open_reading(
    records_url: str | None, *, as_of: date | None, periods_per_year: float | None = None
) -> CommandReading:
    """Read the record once, with its groups.

    Where `periods_per_year` differs from the settings, the record's own dates are the sessions: no
    market calendar has the sessions of a weekly or monthly series.

    Raises:
        SettingsError: a variable is wrong, or the record is unreadable.
        UsageError: `as_of` is no session of the record.
        RecordsUnavailable: the source cannot be read.
        RecordsInvalid: the source is no track record.
    """
    from perf_alerts_dagster.bootstrap.records import open_market, open_source

    settings = load_settings()
    now = datetime.now(UTC)
    own_dates = periods_per_year is not None and periods_per_year != settings.periods_per_year
    with working(f"reading {records_url or settings.records_shown}"):
        reading = read(
            open_source(settings, records_url=records_url),
            open_market(settings, own_days=own_dates),
            as_of=as_of,
            now=now,
            timezone=ZoneInfo(settings.timezone),
        )
    return CommandReading(
        reading=reading,
        settings=settings,
        periods_per_year=periods_per_year or settings.periods_per_year,
        now=now,
    )


def note_faults(reading: Reading) -> None:
    """Print the record's bad rows and notes on standard error."""
    for name, faults in sorted(reading.records.faults.items()):
        for fault in faults:
            ERR.print(f"[red]{escape(name)}[/red]: {escape(str(fault))}", highlight=False)
    for note in reading.records.notes:
        ERR.print(f"[dim]note: {escape(note)}[/dim]", highlight=False)
