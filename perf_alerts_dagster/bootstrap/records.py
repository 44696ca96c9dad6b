"""The records of the settings, and which days are sessions."""

from perf_alerts_dagster.adapters.calendars import open_calendar
from perf_alerts_dagster.application.ports import RecordsSource
from perf_alerts_dagster.application.reading import Market
from perf_alerts_dagster.settings import Settings


def open_source(settings: Settings, *, records_url: str | None = None) -> RecordsSource:
    """The records of the settings, or of another URL; nothing is read yet.

    Raises:
        SettingsError: the URL cannot be a source.
        RecordsUnavailable: there is nothing at the URL.
    """
    from perf_alerts_dagster.adapters.records.sample import SampleSource
    from perf_alerts_dagster.adapters.records.source import TableNames, open_records
    from perf_alerts_dagster.domain.errors import UsageError
    from perf_alerts_dagster.settings.sources import records_fault
    from perf_alerts_dagster.settings.views import masked_url

    url = records_url or settings.records_url
    if not url:
        return SampleSource(settings.state_dir)
    fault = records_fault(url)
    if fault:
        raise UsageError(f"{masked_url(url)}: {fault}")
    return open_records(
        url,
        shown=masked_url(url),
        tables=TableNames(
            daily=settings.records_table,
            trades=settings.trades_table,
            strategies=settings.strategies_table,
            trials=settings.trials_table,
        ),
        columns=settings.records_columns,
    )


def open_market(settings: Settings, *, own_days: bool = False) -> Market:
    """Which days are sessions; `own_days` where no market calendar fits the record's rhythm."""
    if own_days:
        return Market(
            calendar=open_calendar("weekdays", close_time=settings.close_time), own_days=True
        )
    return Market(
        calendar=open_calendar(settings.calendar, close_time=settings.close_time),
        own_days=settings.calendar == "record",
    )
