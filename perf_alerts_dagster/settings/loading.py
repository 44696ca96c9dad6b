"""Reading the environment once: all faults together, each with its variable's name."""

import difflib
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr, ValidationError

from perf_alerts_dagster.domain.errors import SettingsError
from perf_alerts_dagster.settings import checks
from perf_alerts_dagster.settings.keys import ROLES, digest, entries, key_faults, secret_fault
from perf_alerts_dagster.settings.model import Settings
from perf_alerts_dagster.settings.sources import records_fault
from perf_alerts_dagster.settings.urls import is_loopback, masked_url
from perf_alerts_dagster.settings.variables import (
    FIELDS,
    FILES,
    KNOWN,
    PREFIX,
    SECRETS,
    read_variables,
    variable,
)

_LONGEST_SHOWN = 200


def load_settings(
    environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")
) -> Settings:
    """Read every ALERT_* variable; the environment wins over the `.env` file.

    Args:
        environ: The variables; this process's own where None.
        dotenv: The file to read as well, if it is there.

    Raises:
        SettingsError: one line per fault: the variable, its value (secrets masked), and what
            is accepted.
    """
    variables, faults = read_variables(environ, dotenv)
    raw = {name: variables[variable(name)] for name in FIELDS if variable(name) in variables}
    faulty: set[str] = set()
    settings = None
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            name = str(one["loc"][0])
            faulty.add(name)
            faults.append(_line(name, one["msg"].removeprefix("Value error, "), raw[name]))
    good = {name: value for name, value in raw.items() if name not in faulty and value.strip()}
    more, warnings = _together(good)
    faults += more
    if faults or settings is None:
        raise SettingsError("\n".join(sorted(set(faults))))
    return settings.model_copy(update={"warnings": tuple(warnings)})


def unknown_names(
    environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")
) -> tuple[str, ...]:
    """One warning per ALERT_* name that means nothing, with the nearest name that does."""
    variables, _ = read_variables(environ, dotenv)
    # The common beginning would make any two names look alike.
    known = [name.removeprefix(PREFIX) for name in (*KNOWN, *FILES.values())]
    said = []
    for name in sorted(variables):
        own = name.removeprefix(PREFIX)
        if own in known:
            continue
        near = difflib.get_close_matches(own, known, n=1)
        hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
        said.append(f"{name} is no known variable and does nothing{hint}")
    return tuple(said)


def reveal(secret: SecretStr | None) -> str | None:
    """The text of a secret, for the one call that needs it."""
    return secret.get_secret_value() if secret is not None else None


def _line(name: str, said: str, value: str) -> str:
    if name in SECRETS:
        shown = "***"
    else:
        shown = repr(masked_url(value) if name == "records_url" else value)[:_LONGEST_SHOWN]
    return f"{variable(name)}={shown}: {said}"


def _together(raw: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Faults and warnings that concern more than one variable, or the outside world.

    `raw` holds the texts that are in order by themselves.
    """
    host = raw.get("proxy_host", "127.0.0.1")
    loopback = is_loopback(host)
    keys = {role: raw[f"{role}_api_key"] for role in ROLES if f"{role}_api_key" in raw}
    faults, warnings = key_faults(keys, loopback=loopback)
    faults += _token_faults(raw, keys)
    if not checks.boolean(raw.get("auth_enabled", "true")):
        warnings.append("ALERT_AUTH_ENABLED is off: everyone who reaches the port may do anything")
        if not loopback:
            faults.append(
                _line(
                    "auth_enabled",
                    "authentication may be off on a loopback address only, and "
                    f"ALERT_PROXY_HOST is {host!r}",
                    raw["auth_enabled"],
                )
            )
    said = records_fault(raw.get("records_url"))
    if said:
        faults.append(_line("records_url", said, raw["records_url"]))
    port = raw.get("webserver_port", "3000")
    if int(raw.get("proxy_port", "8089")) == int(port):
        faults.append(_line("webserver_port", "must differ from ALERT_PROXY_PORT", port))
    return faults, warnings


def _token_faults(raw: Mapping[str, str], keys: Mapping[str, str]) -> list[str]:
    secret = raw.get("jwt_secret")
    if secret is None:
        return []
    faults = []
    said = secret_fault(secret, raw.get("jwt_algorithm", "HS256").upper())
    if said:
        faults.append(_line("jwt_secret", said, secret))
    known = {digest(key) for value in keys.values() for _, key in entries(value)}
    if digest(secret) in known:
        faults.append(_line("jwt_secret", "must differ from every API key", secret))
    return faults
