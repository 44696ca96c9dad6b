"""`perf-alerts test-channel` over real receivers of each kind."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from perf_alerts_dagster.bootstrap.notifications import build_notification_settings
from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.receivers import Receiver, pager_intake, smtp_receiver


def test_each_channel_is_tried_and_reported_in_one_line(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answers = [400]
    with smtp_receiver() as mailbox, pager_intake() as intake:
        mailbox.refused = {"gone@example.com"}
        mail = (
            f"mailto://127.0.0.1:{mailbox.port}?mode=insecure&from=a@example.com"
            "&to=desk@example.com,gone@example.com"
        )
        monkeypatch.setenv("ALERT_STATE_DIR", str(tmp_path))
        monkeypatch.setenv("ALERT_NOTIFY_URLS", f"{mail} {receiver.channel}")
        monkeypatch.setenv("ALERT_ESCALATION_URLS", intake.url)
        monkeypatch.setenv("ALERT_NOTIFY_ALLOWED_HOSTS", "127.0.0.1")
        monkeypatch.setenv("COLUMNS", "40")
        found = CliRunner().invoke(cli, ["test-channel"])

    assert found.exit_code == 1
    lines = sorted(" ".join(line.split()) for line in found.output.splitlines())
    assert [line.partition(":")[0] for line in lines] == [
        "failed mailto",
        "failed webhook",
        "sent mailto",
        "sent pagerduty",
    ]
    assert lines[0].endswith("refused the recipient with 550 (no such mailbox, or not allowed)")
    assert lines[-1].endswith("(a page, resolved at once)")
    assert [mail["Subject"] for mail in mailbox.mails] == ["[TEST] perf-alerts can reach you"]
    assert list(intake.pages.values()) == ["resolved"]
    assert intake.key not in found.output


def test_the_settings_know_which_channels_are_pagers() -> None:
    settings = load_settings(
        {
            "ALERT_NOTIFY_URLS": "https://hooks.example.com/x pagerduty://KEY?min_severity=warning",
            "ALERT_ESCALATION_URLS": "pagerduty://KEY2?base=https://intake.example/v2/enqueue",
        },
        None,
    )
    found = build_notification_settings(settings)

    _, first = found.channels
    (second,) = found.escalation_channels
    assert found.pagers == {first, second}
    assert (found.minimum[first], found.minimum[second]) == (Severity.WARNING, Severity.CRITICAL)
