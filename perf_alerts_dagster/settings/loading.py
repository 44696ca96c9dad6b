"""Reading the environment once: all faults together, each with its variable's name."""

import difflib
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError

from perf_alerts_dagster.domain.alerts import ALERTS
from perf_alerts_dagster.domain.errors import SettingsError
from perf_alerts_dagster.settings import checks
from perf_alerts_dagster.settings.keys import ROLES, entries, key_faults, secret_fault
from perf_alerts_dagster.settings.model import RetrySettings, Settings
from perf_alerts_dagster.settings.sources import records_fault

_PREFIX = "ALERT_"
_FILE = "_FILE"
_FIELDS = tuple(name for name in Settings.model_fields if name != "warnings")
_SECRETS = frozenset(
    name for name in _FIELDS if "SecretStr" in str(Settings.model_fields[name].annotation)
)
# A secret mount holds any of these; the records URL may carry a password too.
_FROM_FILE = frozenset(f"{_PREFIX}{name.upper()}{_FILE}" for name in (*_SECRETS, "records_url"))


def load_settings(
    environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")
) -> Settings:
    """Read every ALERT_* variable; the environment wins over the `.env` file.

    Raises:
        SettingsError: one line per fault: the variable, its value (secrets masked), and what
            is accepted.
    """
    variables, faults = _variables(environ, dotenv)
    raw = {name: variables[_variable(name)] for name in _FIELDS if _variable(name) in variables}
    raw = {name: value for name, value in raw.items() if not _is_blank_secret(name, value)}
    faults += [
        _line(name, "is empty", "")
        for name, value in raw.items()
        if not value.strip() and name not in _OPTIONAL
    ]
    faulty: set[str] = set()
    settings = None
    try:
        settings = Settings.model_validate(
            {name: value for name, value in raw.items() if value.strip()}
        )
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            name = str(one["loc"][0])
            faulty.add(name)
            said = one["msg"].removeprefix("Value error, ")
            faults.append(_line(name, said, raw.get(name, "")))
    more, warnings = _together(raw, faulty)
    faults += more
    if faults or settings is None:
        raise SettingsError("\n".join(sorted(set(faults))))
    return settings.model_copy(update={"warnings": tuple(warnings)})


def unknown_names(
    environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")
) -> tuple[str, ...]:
    """One warning per ALERT_* name that means nothing, with the nearest name that does."""
    variables, _ = _variables(environ, dotenv)
    known = [_variable(name) for name in _FIELDS]
    said = []
    for name in sorted(variables):
        if name in known or name in _FROM_FILE or not name.startswith(_PREFIX):
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]}?" if near else ""
        said.append(f"{name} is no known variable and does nothing{hint}")
    return tuple(said)


_OPTIONAL = frozenset(
    name for name in _FIELDS if "None" in str(Settings.model_fields[name].annotation)
)


def _variable(name: str) -> str:
    return f"{_PREFIX}{name.upper()}"


def _is_blank_secret(name: str, value: str) -> bool:
    return name in _OPTIONAL and not value.strip()


def _line(name: str, said: str, value: str) -> str:
    shown = "***" if name in _SECRETS else repr(value)[:80]
    if name == "records_url":
        from perf_alerts_dagster.settings.views import masked_url

        shown = repr(masked_url(value))[:200]
    return f"{_variable(name)}={shown}: {said}"


def _variables(
    environ: Mapping[str, str] | None, dotenv: Path | None
) -> tuple[dict[str, str], list[str]]:
    """The ALERT_* texts by name, `_FILE` variants read; and what could not be read."""
    merged: dict[str, str] = {}
    if dotenv is not None and dotenv.is_file():
        merged |= {name: value or "" for name, value in dotenv_values(dotenv).items()}
    merged |= dict(os.environ if environ is None else environ)
    merged = {name: value for name, value in merged.items() if name.startswith(_PREFIX)}
    faults = []
    for name in sorted(_FROM_FILE & set(merged)):
        target = name.removesuffix(_FILE)
        if merged.get(target, "").strip():
            faults.append(f"{name}: {target} is set as well; set one of the two")
            continue
        try:
            merged[target] = Path(merged[name]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            faults.append(f"{name}={merged[name]!r}: the file cannot be read ({reason})")
    return merged, faults


def _together(raw: Mapping[str, str], faulty: set[str]) -> tuple[list[str], list[str]]:
    """Faults and warnings that concern more than one variable, or the outside world."""
    loopback = _is_loopback(raw.get("proxy_host", "127.0.0.1"))
    faults: list[str] = []
    keys = {}
    for role in ROLES:
        value = raw.get(f"{role}_api_key")
        if not value:
            continue
        try:
            entries(value)
        except ValueError as error:
            faults.append(_line(f"{role}_api_key", str(error), value))
        else:
            keys[role] = value
    more, warnings = key_faults(keys, loopback=loopback)
    faults += more + _token_faults(raw, faulty, keys) + _override_faults(raw, faulty)
    if "auth_enabled" not in faulty and not checks.boolean(raw.get("auth_enabled", "true")):
        warnings.append("ALERT_AUTH_ENABLED is off: everyone who reaches the port may do anything")
        if not loopback:
            faults.append(
                f"ALERT_AUTH_ENABLED={raw['auth_enabled']!r}: authentication may be off on a "
                f"loopback address only, and ALERT_PROXY_HOST is {raw['proxy_host']!r}"
            )
    said = records_fault(raw.get("records_url"))
    if said:
        faults.append(_line("records_url", said, raw.get("records_url", "")))
    return faults, warnings


def _token_faults(raw: Mapping[str, str], faulty: set[str], keys: Mapping[str, str]) -> list[str]:
    secret = raw.get("jwt_secret")
    if not secret or "jwt_algorithm" in faulty:
        return []
    faults = []
    algorithm = checks.one_of(raw.get("jwt_algorithm", "HS256"), "HS256", "HS384", "HS512")
    said = secret_fault(secret, algorithm)
    if said:
        faults.append(_line("jwt_secret", said, ""))
    if any(secret == key for value in keys.values() for _, key in entries(value)):
        faults.append(_line("jwt_secret", "must differ from every API key", ""))
    return faults


def _override_faults(raw: Mapping[str, str], faulty: set[str]) -> list[str]:
    if "retry_overrides" in faulty or "retry_overrides" not in raw:
        return []
    known = {alert.name for alert in ALERTS}
    fields = set(RetrySettings.model_fields)
    accepted = (
        "must map alert names to "
        '{"max_attempts": >= 1, "initial_delay": >= 0, "backoff_multiplier": >= 1, '
        '"max_delay": >= 0}'
    )
    least = {"max_attempts": 1, "initial_delay": 0, "backoff_multiplier": 1, "max_delay": 0}
    for alert, values in checks.json_object(raw["retry_overrides"]).items():
        good = alert in known and isinstance(values, dict) and set(values) <= fields
        if not good or not all(
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and value >= least[name]
            and (name != "max_attempts" or isinstance(value, int))
            for name, value in values.items()
        ):
            return [_line("retry_overrides", accepted, raw["retry_overrides"])]
    return []


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def reveal(secret: SecretStr | None) -> str | None:
    """The text of a secret, for the one call that needs it."""
    return secret.get_secret_value() if secret is not None else None
