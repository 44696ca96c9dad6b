"""The same session is judged alike with the alert store and without it."""

from zoneinfo import ZoneInfo

import pytest

from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.projections.ports import MemoryProjections
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_tests.builders import MARKET
from perf_alerts_tests.executions.trading_desk import (
    DAILY,
    MONTHLY,
    WEEKLY,
    Desk,
    a_session_judge,
    after_close,
    day,
    record,
)
from perf_alerts_tests.fakes import FakeRecordsSource

NOW = after_close(409)


def reading(rows: int) -> Reading:
    return read(
        FakeRecordsSource(record(rows)), MARKET, as_of=None, now=NOW, timezone=ZoneInfo("UTC")
    )


@pytest.mark.parametrize("alert", [DAILY, WEEKLY, MONTHLY], ids=lambda alert: alert.name)
def test_a_session_is_judged_as_an_execution_judges_it(alert: Alert) -> None:
    executed = Desk().run(record(410), NOW, alert=alert).judgements[0]

    judged = a_session_judge(MemoryProjections()).judge_newest(
        alert, reading(410), run_id="run", now=NOW
    )

    assert judged == executed


def test_projections_of_earlier_sessions_are_compared_with() -> None:
    alone, compared = (
        a_session_judge(MemoryProjections()).judge_newest(
            MONTHLY, reading(410), run_id="run", now=NOW, issued_before=earlier
        )
        for earlier in ((), (day(380),))
    )

    missing = "needs a projection of an earlier month"
    assert missing in alone.evaluations[0].message
    assert missing not in compared.evaluations[0].message
