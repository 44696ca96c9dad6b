"""What the desk's page reads of incidents and messages."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Engine

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Resolution
from perf_alerts_dagster.incidents.store.desk import DeskNews, SqlDeskNews
from perf_alerts_tests.pages.desks import CRASH, DECAY, JUDGED_AT, open_incidents

MINUTE = timedelta(minutes=1)


def test_a_store_without_incidents_has_no_news(engine: Engine) -> None:
    assert SqlDeskNews(engine).news(JUDGED_AT) == DeskNews()
    assert SqlDeskNews(engine).unresolved(["short_vol"]) == {}


def test_unresolved_events_are_counted_by_severity_and_by_whether_anybody_answers(
    engine: Engine,
) -> None:
    lifecycle = open_incidents(engine, CRASH, DECAY)
    found = SqlDeskNews(engine)
    news = found.news(JUDGED_AT)
    assert news.leaders == {Severity.CRITICAL: ["short_vol"], Severity.WARNING: ["momentum_us"]}
    assert (news.unanswered, news.notified, news.sent_at) == (2, 2, JUDGED_AT + MINUTE)

    ((crash, event),) = found.unresolved(["short_vol", "nobody"])["short_vol"]
    assert (crash.rule, event.leader) == ("daily_exceedance", "short_vol")
    now = JUDGED_AT + 10 * MINUTE
    lifecycle.acknowledge(crash.id, by="ann", now=now)
    assert found.news(JUDGED_AT).unanswered == 1
    lifecycle.resolve(crash.id, by="ann", now=now, outcome=Resolution.KNOWN, comment="")
    assert found.news(JUDGED_AT).leaders == {Severity.WARNING: ["momentum_us"]}
    assert found.unresolved(["short_vol"]) == {}


def test_a_message_of_before_is_not_of_this_week(engine: Engine) -> None:
    open_incidents(engine, CRASH)
    news = SqlDeskNews(engine).news(JUDGED_AT + 2 * MINUTE)
    assert (news.notified, news.sent_at) == (0, JUDGED_AT + MINUTE)


def test_a_message_that_waits_notifies_nobody(engine: Engine) -> None:
    open_incidents(engine, CRASH, sent=False)
    news = SqlDeskNews(engine).news(JUDGED_AT)
    assert (news.notified, news.sent_at, news.unanswered) == (0, None, 1)


def test_an_incident_of_a_group_is_the_groups_own(engine: Engine) -> None:
    share: list[Json] = [{"strategy": "short_vol", "share": 0.8}]
    of_desk = replace(CRASH, strategy="ALL", parts={"contributions": share})
    open_incidents(engine, CRASH, of_desk)
    found = SqlDeskNews(engine).unresolved(["ALL"])
    ((incident, event),) = found["ALL"]
    assert (incident.strategy, event.leader) == ("ALL", "short_vol")
