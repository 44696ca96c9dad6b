"""Read the ALERT_* variables from the environment, `.env` and files; report all faults at once."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values
from pydantic import ValidationError

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.records.sources.formats import records_fault
from perf_alerts_dagster.settings import checks, model
from perf_alerts_dagster.settings.keys import ROLES, digest, entries, key_faults, secret_fault
from perf_alerts_dagster.settings.model import Settings
from perf_alerts_dagster.settings.urls import is_loopback, masked_url

# Bytes that are no UTF-8 reach os.environ as lone surrogates.
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_LONGEST_SHOWN = 200


def _read_variables(
    environ: Mapping[str, str] | None, dotenv: Path | None
) -> tuple[dict[str, str], list[str]]:
    """The raw ALERT_* values by name, `_FILE` variants read; and the faults, one line each.

    A variable of the environment wins over `.env` in both forms: with ALERT_X set, neither
    ALERT_X nor ALERT_X_FILE of `.env` counts.
    """
    faults: list[str] = []
    first = _ours(os.environ if environ is None else environ, faults)
    second = _ours(_dotenv(dotenv, faults), faults)
    for name, file in model.FILES.items():
        if name in first or file in first:
            second.pop(name, None)
            second.pop(file, None)
    merged = second | first
    for name, file in model.FILES.items():
        path = merged.get(file, "")
        if not path.strip():
            continue
        fault, text = _file(path)
        value = merged.get(name, "")
        # Both may be set to the same secret: Dagster's own commands add the file's name from
        # `.env` to the environment of `up`, which holds the secret itself.
        if value.strip() and value != text:
            fault = f"{name} is set as well, to something else; set one of the two"
        if fault:
            faults.append(f"{file}={path!r}: {fault}")
        merged[name] = text
    return merged, faults


def _ours(variables: Mapping[str, str], faults: list[str]) -> dict[str, str]:
    texts = {}
    for name, value in variables.items():
        if not name.startswith(model.PREFIX):
            continue
        if _NO_TEXT.search(value):
            faults.append(f"{name}=***: must be UTF-8 text")
        else:
            texts[name] = value
    return texts


def _dotenv(path: Path | None, faults: list[str]) -> dict[str, str]:
    try:
        if path is None or not path.is_file():
            return {}
        # A secret may hold ${...}: nothing is expanded.
        values = dotenv_values(path, interpolate=False)
    except OSError as error:
        faults.append(f"{path}: cannot be read ({error.strerror})")
        return {}
    except UnicodeDecodeError:
        faults.append(f"{path}: must be UTF-8 text")
        return {}
    return {name: value or "" for name, value in values.items()}


def _file(path: str) -> tuple[str, str]:
    """The fault of the file, empty where it has none, and its text without blanks around it."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        return f"the file cannot be read ({error.strerror})", ""
    except ValueError:
        return "the file must be UTF-8 text", ""
    if "\0" in text:
        return "the file must be UTF-8 text", ""
    # An empty mount is a fault, not an unset secret.
    return ("" if text else "the file is empty"), text


def load_settings(
    environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")
) -> Settings:
    """Read every ALERT_* variable; the environment wins over the `.env` file.

    Args:
        environ: The variables; this process's own where None.
        dotenv: The `.env` file, read if it exists.

    Raises:
        SettingsError: one line per fault: the variable, its value (secrets masked), and what
            is accepted.
    """
    variables, faults = _read_variables(environ, dotenv)
    raw = {
        name: variables[model.variable(name)]
        for name in model.FIELDS
        if model.variable(name) in variables
    }
    faulty: set[str] = set()
    settings = None
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            name = str(detail["loc"][0])
            faulty.add(name)
            faults.append(_line(name, detail["msg"].removeprefix("Value error, "), raw[name]))
    good = {name: value for name, value in raw.items() if name not in faulty and value.strip()}
    joint_faults, warnings = _check_together(good)
    faults += joint_faults
    if faults or settings is None:
        raise SettingsError("\n".join(sorted(set(faults))))
    return settings.model_copy(update={"warnings": tuple(warnings)})


def unknown_names(
    environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")
) -> tuple[str, ...]:
    """One warning per unknown ALERT_* name, with the nearest known one."""
    variables, _ = _read_variables(environ, dotenv)
    # Compared without the prefix, by which any two names are similar.
    known = [name.removeprefix(model.PREFIX) for name in (*model.KNOWN, *model.FILES.values())]
    warnings = []
    for name in sorted(variables):
        own = name.removeprefix(model.PREFIX)
        if own in known:
            continue
        near = difflib.get_close_matches(own, known, n=1)
        hint = f"; did you mean {model.PREFIX}{near[0]}?" if near else ""
        warnings.append(f"{name} is no known variable and does nothing{hint}")
    return tuple(warnings)


def _line(name: str, fault: str, value: str) -> str:
    if name in model.SECRETS:
        text = "***"
    else:
        text = repr(masked_url(value) if name == "records_url" else value)[:_LONGEST_SHOWN]
    return f"{model.variable(name)}={text}: {fault}"


def _check_together(raw: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Faults and warnings about several variables together, or about the environment.

    `raw` holds the individually valid texts.
    """
    host = raw.get("proxy_host", "127.0.0.1")
    loopback = is_loopback(host)
    keys = {role: raw[f"{role}_api_key"] for role in ROLES if f"{role}_api_key" in raw}
    faults, warnings = key_faults(keys, loopback=loopback)
    faults += _token_faults(raw, keys)
    if not checks.boolean(raw.get("auth_enabled", "true")):
        warnings.append("ALERT_AUTH_ENABLED is off: everyone who reaches the port may do anything")
        if not loopback:
            message = f"may be off on a loopback address only, and ALERT_PROXY_HOST is {host!r}"
            faults.append(_line("auth_enabled", message, raw["auth_enabled"]))
    fault = records_fault(raw.get("records_url"))
    if fault:
        faults.append(_line("records_url", fault, raw["records_url"]))
    port = raw.get("webserver_port", "3000")
    if int(raw.get("proxy_port", "8089")) == int(port):
        faults.append(_line("webserver_port", "must differ from ALERT_PROXY_PORT", port))
    return faults, warnings


def _token_faults(raw: Mapping[str, str], keys: Mapping[str, str]) -> list[str]:
    secret = raw.get("jwt_secret")
    if secret is None:
        return []
    faults = []
    fault = secret_fault(secret, raw.get("jwt_algorithm", "HS256").upper())
    if fault:
        faults.append(_line("jwt_secret", fault, secret))
    known = {digest(key) for value in keys.values() for _, key in entries(value)}
    if digest(secret) in known:
        faults.append(_line("jwt_secret", "must differ from every API key", secret))
    return faults
