"""Desks with incidents in each state that the pages show, over a proxy in this process."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Incident, Resolution
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.suppression import Matchers, Silence
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.standings.model import Member
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.plots.plot import PERCENT, Limit, Plot, Series
from perf_alerts_dagster.plots.sql import SqlPlots
from perf_alerts_tests.incidents.incident_desk import DAILY, MONDAY, breach, event, fine, judged
from perf_alerts_tests.server.apps import Proxy

DAY = timedelta(days=1)
HEADLINE = "-15.0 % on Mon 5 Jan"


def lifecycle_of(proxy: Proxy) -> Lifecycle:
    return Lifecycle(store=proxy.incidents, settings=NotificationSettings(channels=("mail",)))


def judge(proxy: Proxy, *found: Evaluation) -> None:
    """An execution in which these were found."""
    run_id = f"run-{len(proxy.incidents.judgements)}"
    proxy.incidents.add_judgement(judged(*found, run_id=run_id))
    lifecycle_of(proxy).apply_judgements(DAILY, run_id=run_id, now=proxy.time())


def crash(strategy: str = "short_vol", **changes: Any) -> Evaluation:
    """A day on which a strategy lost 15 %, with what a message says of it."""
    parts = {
        "headline": HEADLINE,
        "owner": "vol-desk",
        "in_group": "vol",
        "day": {
            "session": "2026-01-05", "return": -0.15, "pnl": -112_500.0, "currency": "USD",
            "worst_before": {"return": -0.042, "session": "2024-08-05"}, "years_before": 3.0,
        },
    }  # fmt: skip
    given: dict[str, Any] = {
        "strategy": strategy, "severity": Severity.CRITICAL, "value": -35.6, "limit": -11.1,
        "p_year": 0.001, "message": f"{strategy} returned -15.0 %", "parts": parts,
    }  # fmt: skip
    return event(**(given | changes))


def of_group(group: str = "group:vol", cause: str = "short_vol", share: float = 0.9) -> Evaluation:
    """The same day of a group, most of it by one member."""
    lost = [(cause, -0.08, -112_500.0, share), ("other_vol", -0.01, -9_000.0, 1 - share)]
    contributions = [
        {"strategy": name, "return": made, "pnl": pnl, "share": part}
        for name, made, pnl, part in lost
    ]
    whole = crash(group)
    day: Any = whole.parts["day"]
    parts = {**whole.parts, "headline": "-9.0 % on Mon 5 Jan", "contributions": contributions}
    return crash(group, parts=parts | {"day": {**day, "return": -0.09, "pnl": -121_500.0}})


def only(proxy: Proxy, **wanted: str) -> Incident:
    """The one incident with these attributes."""
    (found,) = [
        one
        for one in proxy.incidents.by_id.values()
        if all(getattr(one, name) == value for name, value in wanted.items())
    ]
    return found


def event_of(proxy: Proxy, leader: str) -> str:
    (found,) = [one.id for one in proxy.incidents.event_rows.values() if one.leader == leader]
    return found


def answer(proxy: Proxy, leader: str, action: str, **values: Any) -> None:
    """Answer an event as Ann does."""
    change = getattr(lifecycle_of(proxy), f"{action}_event")
    change(event_of(proxy, leader), by="ann", now=proxy.time(), **values)


def silence(proxy: Proxy, length: timedelta = DAY, **matchers: Any) -> None:
    """A silence from now on."""
    made = Silence(
        id=f"{len(proxy.incidents.silence_rows):08x}", matchers=Matchers(**matchers),
        starts_at=proxy.time(), ends_at=proxy.time() + length, author="ann", reason="roll",
    )  # fmt: skip
    proxy.incidents.add_silence(made)


def plot_of(incident: Incident, text: str = "a day of -15.0 %") -> Plot:
    """A plot of an incident's own rule."""
    days = tuple(MONDAY - timedelta(days=back) for back in range(20, -1, -1))
    return Plot(
        strategy=incident.strategy, rule=incident.rule, title=f"{incident.strategy}: its day",
        text=text, unit=PERCENT, dates=days,
        series=(Series(name="return", values=(*(0.001,) * 20, -0.15)),),
        limits=(Limit(value=-0.042, label="the quantile"),), since=days[-1], value=-0.15,
    )  # fmt: skip


def keep_plot(proxy: Proxy, incident: Incident, text: str = "a day of -15.0 %") -> None:
    """Store the plot of an incident's own rule."""
    plots = {incident.id: plot_of(incident, text)}
    SqlPlots(proxy.database.engine).save(plots, proxy.time())


def record(proxy: Proxy, *found: Evaluation, as_of: date = MONDAY, owner: str = "macro") -> None:
    """What the newest session's check found, of strategies with an owner."""
    members = {each.strategy: Member(owner=owner) for each in found}
    judgement = judged(*found, as_of=as_of, judged_at=proxy.time() - timedelta(hours=2))
    SqlAlertStore(proxy.database.engine).record(judgement, watermark=None, members=members)


def empty(proxy: Proxy) -> None:
    record(
        proxy,
        fine(),
        fine(strategy="carry"),
        fine(strategy="stat_arb_eu", outcome=Outcome.NO_DATA, message="no rows since Fri 2 Jan"),
    )


def one(proxy: Proxy) -> None:
    judge(proxy, crash(), crash(rule="drawdown", value=-0.15, limit=-0.12), breach())
    keep_plot(proxy, only(proxy, rule="daily_exceedance"))
    record(proxy, crash(), fine())


def many(proxy: Proxy) -> None:
    ranks = list(Severity)[1:]
    judge(
        proxy,
        *(
            crash(f"strategy_{n:03}", severity=ranks[n % 3], parts={"owner": f"team {n % 7}"})
            for n in range(300)
        ),
    )


def group(proxy: Proxy) -> None:
    judge(proxy, crash(), of_group(), of_group("ALL", share=0.4))
    keep_plot(proxy, only(proxy, strategy="group:vol"))


def silenced(proxy: Proxy) -> None:
    one(proxy)
    silence(proxy, event=event_of(proxy, "short_vol"))


def resolved(proxy: Proxy) -> None:
    one(proxy)
    answer(proxy, "short_vol", "resolve", outcome=Resolution.FALSE, comment="a late dividend")


STATES: Mapping[str, Callable[[Proxy], None]] = {
    each.__name__: each for each in (empty, one, many, group, silenced, resolved)
}
