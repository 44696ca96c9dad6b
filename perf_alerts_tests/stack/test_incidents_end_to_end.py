"""A live stack over a record that goes bad, worse and good again, with a real HTTP receiver."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from perf_alerts_tests.receivers import Receiver, http_receiver
from perf_alerts_tests.stack.real import Ledger, System, real_system, weekdays_before
from perf_alerts_tests.stack.shim import Shim
from perf_alerts_tests.stack.stacks import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

DAILY = "daily_pnl_check"
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
KEY = "admin-key-of-the-tests-0123456789abcdef"
BAND, MANDATE, LEVERAGE = "interval_breach", "policy_drawdown", "policy_column"
LOSS = "policy_daily_loss"
BANDS = '{"default": {"interval_breach": {"warning": 0.1, "critical": 0.02}}}'
LIMITS = '{"default": {"drawdown": 0.08, "daily_loss": 0.05, "columns": {"leverage": {"max": 3}}}}'
LINK = re.compile(r"https://alerts\.example/a/([\w-]{22})(?![\w-])")

# Where the stack's clock can be set: with room for a busy machine.
SLOWLY = {"ALERT_ESCALATION_DELAY_MINUTES": "2", "ALERT_SUPPRESS_SIMILAR_MINUTES": "2"}


class Life:
    """A system whose record grows by a session at a time."""

    def __init__(self, system: System, ledger: Ledger, days: list[Any]) -> None:
        self.system = system
        self.ledger = ledger
        self.days = iter(days)
        self.api = httpx.Client(
            base_url=f"http://127.0.0.1:{system.proxy_port}/api/performance-alerts",
            headers={"X-Alert-API-Key": KEY},
            timeout=20,
        )

    def session(self, pnl: float, leverage: float = 1.0) -> str:
        """One more session, judged by a run of its own; how the run ended."""
        self.ledger.add(next(self.days), pnl, leverage)
        run = self.system.running.launch(DAILY)
        eventually(
            lambda: self.system.running.status(run) in ENDED, seconds=60, what="the run's end"
        )
        return self.system.running.status(run)

    def incident(self, rule: str) -> dict[str, Any]:
        """The newest incident of a rule, with its timeline."""
        answer = self.api.get("/incidents", params={"rule": rule})
        found = answer.json()["data"][0]["id"]
        data: dict[str, Any] = self.api.get(f"/incidents/{found}").json()["data"]
        return data


@pytest.fixture
def boss() -> Iterator[Receiver]:
    with http_receiver() as found:
        yield found


@contextmanager
def living(folder: Path, receiver: Receiver, boss: Receiver, **more: str) -> Iterator[Life]:
    ledger = Ledger(folder / "daily.csv")
    days = weekdays_before(datetime.now(UTC).date(), 12)
    ledger.begin(days[0])
    environ = {
        "ALERT_RECORDS_URL": str(ledger.path),
        "ALERT_SCHEDULES_START": "stopped",
        "ALERT_MAX_DATA_LAG_SESSIONS": "1000",
        "ALERT_PROJECTION_PATHS": "1000",
        "ALERT_POLICY_LIMITS": LIMITS,
        # The 95 and 99 % bands notify: a budget of every year, with room for both bands.
        "ALERT_FALSE_ALARM_RULES": BANDS,
        "ALERT_FALSE_ALARM_STRATEGY_WARNING": "1",
        "ALERT_FALSE_ALARM_STRATEGY_CRITICAL": "1",
        "ALERT_NOTIFY_URLS": receiver.channel,
        "ALERT_ESCALATION_URLS": boss.channel,
        "ALERT_NOTIFY_ALLOWED_HOSTS": "127.0.0.1",
        "ALERT_ESCALATION_DELAY_MINUTES": "1",
        "ALERT_SUPPRESS_SIMILAR_MINUTES": "1",
        "ALERT_PUBLIC_URL": "https://alerts.example",
        "ALERT_ADMIN_API_KEY": KEY,
        **more,
    }
    with real_system(folder / "state", environ) as system:
        system.start()
        made = Life(system, ledger, days)
        yield made
        made.api.close()


@pytest.fixture
def shim(tmp_path: Path) -> Shim | None:
    return Shim.compiled(tmp_path)


@pytest.fixture
def life(tmp_path: Path, receiver: Receiver, boss: Receiver, shim: Shim | None) -> Iterator[Life]:
    more = shim.environ | SLOWLY if shim else {}
    with living(tmp_path, receiver, boss, **more) as made:
        yield made


def about(receiver: Receiver, rule: str) -> list[str]:
    """The notifications about a rule, in order."""
    end = f" trend/{rule}"
    return [one.removesuffix(end) for one in receiver.notified if one.endswith(end)]


def test_a_desk_is_notified_once_in_time_until_somebody_answers(
    life: Life, receiver: Receiver, boss: Receiver, shim: Shim | None
) -> None:
    assert life.session(100.0) == "SUCCESS"
    assert receiver.got == []

    # Out of the 95 % band, and geared too high.
    life.session(-4_300.0, leverage=5)
    assert about(receiver, BAND) == ["opened warning"]
    assert about(receiver, LEVERAGE) == ["opened critical"]
    # The same breach again is counted, and told to nobody.
    life.session(-1_000.0)
    assert about(receiver, BAND) == ["opened warning"]
    assert life.incident(BAND)["breaches"] == 2
    assert about(receiver, LEVERAGE) == ["opened critical", "recovered critical"]

    # Worse passes the window, and so does what begins again after it was over.
    life.session(-6_000.0, leverage=5)
    # The band of the quarter is left as well.
    bands = ["opened critical", "opened warning", "raised critical"]
    assert sorted(about(receiver, BAND)) == bands
    assert about(receiver, MANDATE) == ["opened critical"]
    again = ["opened critical", "recovered critical", "opened critical"]
    assert about(receiver, LEVERAGE) == again

    # Resolved by a person, and there again: the same as a minute ago is held back.
    answer = life.api.post(
        f"/incidents/{life.incident(LEVERAGE)['id']}/resolve", json={"outcome": "true"}
    )
    assert answer.status_code == 200, answer.text
    life.session(-1_000.0, leverage=5)
    assert about(receiver, LEVERAGE) == again
    held = life.incident(LEVERAGE)["timeline"]
    assert [x["detail"]["why"] for x in held if x["what"] == "suppressed"] == ["suppression_window"]

    # The window ends, and what was held back still holds.
    if shim is not None:
        assert boss.got == []
        shim.set(offset=121)
    again += ["opened critical"]
    eventually(lambda: about(receiver, LEVERAGE) == again, seconds=150, what="the window's end")
    # Nobody has answered the rest: the sweep escalates, to those who get escalations.
    # A loss of one day, since a level is not escalated on days without a session.
    eventually(lambda: about(boss, LOSS) == ["escalated critical"], seconds=150, what="a step")
    assert "escalated" in [one["what"] for one in life.incident(LOSS)["timeline"]]
    answer = life.api.post(f"/incidents/{life.incident(MANDATE)['id']}/acknowledge", json={})
    assert answer.status_code == 200, answer.text
    assert life.api.get("/schedule/summary/1").json()["data"]["escalated"] >= 1

    # Acknowledged, a drawdown is silent until it is ten points deeper.
    life.session(-14_000.0, leverage=5)
    assert about(receiver, MANDATE) == ["opened critical", "raised critical"]
    life.session(30_000.0)
    assert about(receiver, MANDATE)[2:] == ["recovered critical"]
    recovered = ["recovered critical", "recovered critical"]
    assert sorted(about(receiver, BAND)) == sorted([*bands, *recovered])
    assert about(receiver, LEVERAGE) == [*again, "recovered critical"]

    found = life.incident(MANDATE)
    assert (found["status"], found["resolved"]["outcome"]) == ("resolved", "recovered")
    whats = [one["what"] for one in found["timeline"]]
    for what in ("opened", "breached", "notified", "acknowledged", "resolved"):
        assert what in whats
    assert len(receiver.keys) == len(set(receiver.keys))
    # Each message has one link, which shows the event.
    links = [LINK.findall(one.json["text"]) for one in receiver.got]
    assert {len(each) for each in links} == {1}
    page = httpx.get(f"http://127.0.0.1:{life.system.proxy_port}/a/{links[-1][0]}", timeout=20)
    assert page.status_code == 200, page.text
    assert "trend" in page.text
    a_failed_execution_is_reported_once_and_over_with_the_next_success(life, receiver)


def a_failed_execution_is_reported_once_and_over_with_the_next_success(
    life: Life, receiver: Receiver
) -> None:
    before = len(receiver.notified)
    content = life.ledger.path.read_text()
    life.ledger.path.write_text("no track record\n")
    run = life.system.running.launch(DAILY)
    eventually(lambda: life.system.running.status(run) in ENDED, seconds=60, what="a failure")
    assert life.system.running.status(run) == "FAILURE"
    # The run has told it; the sensor, which sees the failed run as well, does not tell it again.
    failed = "opened critical /execution_failed"
    assert receiver.notified[before:] == [failed]

    life.ledger.path.write_text(content)
    assert life.session(100.0) == "SUCCESS"
    assert receiver.notified[before:] == [failed, "recovered critical /execution_failed"]


@pytest.mark.long
def test_the_same_over_one_postgresql_for_everything(
    tmp_path: Path, receiver: Receiver, boss: Receiver, fresh_postgres_url: str
) -> None:
    stores = {
        "ALERT_DATABASE_URL": fresh_postgres_url,
        "ALERT_DAGSTER_DATABASE_URL": fresh_postgres_url,
    }
    with living(tmp_path, receiver, boss, **stores) as life:
        assert life.session(100.0) == "SUCCESS"
        assert life.session(-9_000.0) == "SUCCESS"
        assert life.session(30_000.0) == "SUCCESS"
        # The sensor that sweeps lives as well, and so does the web UI.
        eventually(
            lambda: life.api.get("/health/ready").status_code == 200, seconds=60, what="readiness"
        )

    assert about(receiver, MANDATE) == ["opened critical", "recovered critical"]
    assert not list((tmp_path / "state").rglob("*.db"))
