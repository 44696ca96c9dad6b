"""Where each setting comes from, also in a child of the process that read it."""

from pathlib import Path

import pytest

from perf_alerts_dagster.settings import load_settings


def test_a_setting_comes_from_the_environment_the_file_or_a_secret_mount(tmp_path: Path) -> None:
    dotenv, secret = tmp_path / ".env", tmp_path / "secret"
    dotenv.write_text("ALERT_PROXY_PORT=9000\nALERT_TIMEZONE=Europe/Berlin\n")
    secret.write_text("a" * 40)
    environ = {"ALERT_TIMEZONE": "UTC", "ALERT_OPERATOR_API_KEY_FILE": str(secret)}

    settings = load_settings(environ, dotenv)

    assert settings.sources == {
        "proxy_port": ".env",
        "timezone": "environment",
        "operator_api_key": "file",
    }
    child = load_settings(settings.environment(), None)
    assert child.sources == settings.sources
    assert child == settings


@pytest.mark.parametrize("passed", ["{", "[]", ""])
def test_what_a_parent_did_not_say_well_is_the_environment(passed: str) -> None:
    environ = {"ALERT_PROXY_PORT": "9000", "PERF_ALERTS_SOURCES": passed}

    assert load_settings(environ, None).sources == {"proxy_port": "environment"}
