"""The keys that count."""

import hashlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from perf_alerts_dagster.control.principal import ROLE_PERMISSIONS, Permission
from perf_alerts_dagster.identity.keys import Key, Registry, configured_keys
from perf_alerts_dagster.settings import load_settings
from perf_alerts_dagster.settings.keys import ROLES

LONG = "0123456789abcdefghijklmnopqrstuv"


def registry(**variables: str) -> Registry:
    given = {f"ALERT_{name.upper()}_API_KEY": value for name, value in variables.items()}
    return Registry(configured_keys(load_settings(given, dotenv=None)))


def test_each_of_several_keys_of_a_role_counts() -> None:
    value = f"ci-bot:a{LONG},b{LONG},desk:sha256:{sha(f'c{LONG}')}"
    found = registry(operator=value)

    assert len(configured_keys(load_settings({"ALERT_OPERATOR_API_KEY": value}, dotenv=None))) == 3
    users = [key.user_id for key in (found.find(f"{one}{LONG}") for one in "abc") if key]
    assert users == ["operator:ci-bot", "operator", "operator:desk"]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_hash_in_upper_case_is_the_same_hash() -> None:
    assert registry(admin=f"sha256:{sha(LONG).upper()}").find(LONG) is not None


def test_a_master_is_shown_as_an_admin_and_may_do_all() -> None:
    key = registry(master=LONG).find(LONG)
    assert key is not None

    who = key.principal(None)
    assert (who.user_id, who.username, who.roles) == ("master", "master", ("admin",))
    assert who.permissions == frozenset(Permission)


def test_the_roles_build_on_one_another_as_documented() -> None:
    assert set(ROLE_PERMISSIONS) == set(ROLES)
    assert ROLE_PERMISSIONS["viewer"] == {"alert:view_status", "alert:view_history"}
    assert ROLE_PERMISSIONS["operator"] - ROLE_PERMISSIONS["viewer"] == {
        "alert:trigger_manual",
        "alert:enable_disable",
    }
    assert ROLE_PERMISSIONS["admin"] - ROLE_PERMISSIONS["operator"] == {
        "alert:configure",
        "alert:admin",
    }


def test_a_key_is_found_again_by_its_owner_and_id_together() -> None:
    found = registry(operator=f"ci-bot:{LONG}")
    key = found.find(LONG)
    assert key is not None

    assert found.key_for("operator:ci-bot", key.key_id) is key
    assert found.key_for("operator", key.key_id) is None
    assert found.key_for("operator:ci-bot", "0" * 16) is None


def test_nothing_shows_a_keys_hash() -> None:
    key = Key(role="admin", name="x", hash=bytes.fromhex(sha(LONG)))

    assert key.key_id == sha(LONG)[:16]
    assert sha(LONG)[16:] not in repr(key)


@given(st.text())
def test_no_other_text_is_a_key(text: str) -> None:
    found = Registry([Key(role="admin", name="", hash=bytes.fromhex(sha(LONG)))])

    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert (found.find(text) is None) is (text != LONG)


def test_no_keys_admit_nobody(tmp_path: Path) -> None:
    settings = load_settings({"ALERT_STATE_DIR": str(tmp_path)}, dotenv=None)

    assert Registry(configured_keys(settings)).find("") is None
