"""`perf-alerts keys` and `perf-alerts audit`, over a real store."""

import csv
import getpass
import hashlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perf_alerts_dagster.bootstrap.records import migrate_store
from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.server.gated import KEYS

ME = f"cli:{getpass.getuser()}"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALERT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("ALERT_VIEWER_API_KEY", f"wall:{KEYS['viewer']}")
    migrate_store(load_settings())
    return lambda *words: CliRunner().invoke(cli, words)


def listed(run: Run) -> dict[str, dict[str, str]]:
    return {row["user_id"]: row for row in json.loads(run("keys", "list", "--json").output)["keys"]}


def test_a_key_is_made_listed_expired_and_revoked(run: Run) -> None:
    made = run("keys", "create", "operator", "ci-bot", "--for", "90d")
    text = made.stdout.strip()
    row = listed(run)["operator:ci-bot"]

    assert text.startswith("pa_operator_")
    assert row["key_id"] == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert (row["source"], row["status"], row["created_by"]) == ("store", "live", ME)
    assert text not in run("keys", "list").output
    assert run("keys", "expire", row["key_id"], "--for", "1h").exit_code == 0
    assert listed(run)["operator:ci-bot"]["expires_at"] < row["expires_at"]
    assert run("keys", "revoke", row["key_id"]).exit_code == 0
    assert listed(run)["operator:ci-bot"]["status"] == "revoked"
    found = json.loads(run("audit", "--json").output)["audit"]
    assert [(one["actor"], one["action"]) for one in found] == [
        (ME, "revoke_key"),
        (ME, "expire_key"),
        (ME, "create_key"),
    ]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("create", "operator", "a b"), "letters, digits"),
        (("create", "viewer", "wall"), "a key of the settings is named viewer:wall"),
        (("create", "viewer", "x", "--at", "2020-01-01T00:00:00Z"), "in the past"),
        (("create", "viewer", "x", "--at", "2120-01-01T00:00:00Z", "--for", "1d"), "exclude"),
        (("revoke", "0123456789abcdef"), "there is no key 0123456789abcdef"),
        (("revoke", hashlib.sha256(KEYS["viewer"].encode()).hexdigest()[:16]), "remove it there"),
        (("expire", "0123456789abcdef"), "--at TIME or --for SPAN"),
    ],
)
def test_what_is_not_possible_is_said(run: Run, words: tuple[str, ...], why: str) -> None:
    answer = run("keys", *words)

    assert isinstance(answer.exception, UsageError)
    assert why in str(answer.exception)
    assert set(listed(run)) == {"viewer:wall"}


def test_two_live_keys_of_a_role_have_two_names(run: Run) -> None:
    first = run("keys", "create", "admin", "me")
    second = run("keys", "create", "admin", "me")

    assert first.exit_code == 0
    assert "a live key is named admin:me" in str(second.exception)


def test_the_audit_is_exported(run: Run) -> None:
    for name in ("a", "b", "c"):
        run("keys", "create", "viewer", name)
    lines = run("audit", "--jsonl").output.splitlines()
    rows = list(csv.DictReader(io.StringIO(run("audit", "--csv", "--limit", "2").output)))

    assert [json.loads(line)["id"] for line in lines] == [3, 2, 1]
    assert [row["id"] for row in rows] == ["3", "2"]
    assert run("audit", "--action", "login", "--jsonl").output == ""
    assert "create_key" in run("audit").output


def test_a_login_link_is_printed_for_the_highest_role_of_the_settings(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = run("login-link")
    monkeypatch.setenv("ALERT_ADMIN_API_KEY", f"ann:{KEYS['admin']},{KEYS['operator']}")
    monkeypatch.setenv("ALERT_PUBLIC_URL", "https://alerts.example")
    admin = run("login-link")

    assert re.fullmatch(
        r"http://127\.0\.0\.1:8089/login/[A-Za-z0-9_-]{22}\n"
        r"logs you in as viewer:wall: once, within 10 minutes \(until .*\)\n",
        viewer.stdout,
    )
    link, words = admin.stdout.splitlines()
    assert re.fullmatch(r"https://alerts\.example/login/[A-Za-z0-9_-]{22}", link)
    assert words.startswith("logs you in as admin:ann: once")
    found = run("audit", "--json").output
    assert [(one["actor"], one["action"], one["target"]) for one in json.loads(found)["audit"]] == [
        (ME, "create_login_link", "login_links/admin:ann"),
        (ME, "create_login_link", "login_links/viewer:wall"),
    ]
    assert link.rpartition("/")[2] not in found


def test_without_authentication_there_is_no_login_link(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_AUTH_ENABLED", "false")
    answer = run("login-link")

    assert isinstance(answer.exception, UsageError)
    assert "nobody whom a link could log in" in str(answer.exception)
