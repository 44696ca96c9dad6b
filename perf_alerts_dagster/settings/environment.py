"""Read the ALERT_* variables from the environment, `.env` and files; report all faults at once."""

import difflib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from dotenv.parser import parse_stream
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
# The next variable, in a value whose quote was not closed on its line.
_SWALLOWED = re.compile(r"[\r\n]\s*(?:export\s+)?ALERT_\w+\s*=", re.IGNORECASE)
_SEPARATED = frozenset({"notify_urls", "escalation_urls"}) | {
    name for name, field in model.Settings.model_fields.items() if "dict" in str(field.annotation)
}
# A chat or a document makes typographic ones of those that were typed.
_QUOTES = ('""', "''", "``", "\u201c\u201d", "\u2018\u2019", "\u201e\u201c")
_INVISIBLE_ENDS = " \t\r\n\v\f\x85\xa0\u2028\u2029\ufeff\u200b\u2060"


def _read_variables(
    environ: Mapping[str, str] | None, dotenv: Path | None
) -> tuple[dict[str, str], list[str]]:
    """The raw ALERT_* values by name, `_FILE` variants read; and the faults, one line each.

    A variable of the environment wins over `.env` in both forms: with ALERT_X set, neither
    ALERT_X nor ALERT_X_FILE of `.env` counts.
    """
    faults: list[str] = []
    first = _ours(os.environ if environ is None else environ, faults)
    second = _ours(dict(_dotenv(dotenv, faults)), faults)
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
        if not name.upper().startswith(model.PREFIX):
            continue
        if _NO_TEXT.search(value):
            faults.append(f"{name}=***: must be UTF-8 text")
        else:
            texts[name] = value
    return texts


def _dotenv(path: Path | None, faults: list[str]) -> list[tuple[str, str]]:
    """The names and values of `.env`, in its order; a fault names its line, and no value."""
    pairs = []
    try:
        if path is None or not path.is_file():
            return []
        with path.open(encoding="utf-8") as file:
            # A secret may hold ${...}: nothing is expanded.
            for each in parse_stream(file):
                text = each.original.string
                blanks = text[: len(text) - len(text.lstrip())]
                line = f"{path}, line {each.original.line + blanks.count(chr(10))}"
                key, value = each.key or "", each.value
                if each.error or (value is None and model.PREFIX in key.upper()):
                    faults.append(f"{line}: cannot be read; must be NAME=value, with closed quotes")
                elif _SWALLOWED.search(value or ""):
                    faults.append(f"{line}: the quote is not closed on its line")
                elif key:
                    pairs.append((key, value or ""))
    except OSError as error:
        faults.append(f"{path}: cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        faults.append(f"{path}: must be UTF-8 text")
    return pairs


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
    named = {name: fault for name, value in raw.items() if (fault := _stray(name, value))}
    settings = None
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            name = str(detail["loc"][0])
            stray = [named[name]] if name in named else []
            named[name] = "; ".join([detail["msg"].removeprefix("Value error, "), *stray])
    faults += [_line(name, fault, raw[name]) for name, fault in named.items()]
    good = {name: value for name, value in raw.items() if name not in named and value.strip()}
    joint_faults, warnings = _check_together(good)
    faults += joint_faults
    others = os.environ if environ is None else environ
    if "https_proxy" not in good and (others.get("HTTPS_PROXY") or others.get("https_proxy")):
        warnings.append(
            "HTTPS_PROXY is set and not used: set ALERT_HTTPS_PROXY where messages and the "
            "heartbeat are to go through it"
        )
    if faults or settings is None:
        raise SettingsError("\n".join(sorted(set(faults))))
    return settings.model_copy(
        update={"warnings": tuple(warnings), "sources": _sources(others, good)}
    )


def _sources(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Where each setting comes from that is not at its default; a child has it from its parent."""
    if environ.get(model.SOURCES):
        with suppress(ValueError):
            passed_on = json.loads(environ[model.SOURCES])
            if isinstance(passed_on, dict):
                return {name: str(passed_on[name]) for name in names if name in passed_on}
    found = {}
    for name in names:
        variable = model.variable(name)
        if environ.get(variable, "").strip():
            found[name] = "environment"
        else:
            file = model.FILES.get(variable, "")
            found[name] = "file" if environ.get(file, "").strip() else ".env"
    return found


def unknown_names(
    environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")
) -> tuple[str, ...]:
    """One warning per unknown ALERT_* name, with the nearest known one.

    A known name in other letters is unknown too. Of a name that is in `.env` twice the last value
    counts, which is a warning as well.
    """
    variables, _ = _read_variables(environ, dotenv)
    # Compared without the prefix, by which any two names are similar.
    known = [name.removeprefix(model.PREFIX) for name in (*model.KNOWN, *model.FILES.values())]
    warnings = []
    for name in sorted(variables):
        own = name[len(model.PREFIX) :]
        if name.startswith(model.PREFIX) and own in known:
            continue
        near = difflib.get_close_matches(own.upper(), known, n=1)
        hint = f"; did you mean {model.PREFIX}{near[0]}?" if near else ""
        warnings.append(f"{name} is no known variable and does nothing{hint}")
    counts = Counter(name for name, _ in _dotenv(dotenv, []))
    warnings += [
        f"{name} is in {dotenv} {count} times; the last value counts"
        for name, count in counts.items()
        if count > 1 and name.startswith(model.PREFIX)
    ]
    return tuple(warnings)


def _stray(name: str, value: str) -> str | None:
    """The fault of what a shell, a container's file or an editor left around a value."""
    if not value.strip():
        return None
    if len(value) > 1 and value[0] + value[-1] in _QUOTES:
        return "must be without the quotes around it"
    # Blanks do no harm around JSON, nor around URLs that blanks separate.
    ends = "\ufeff" if name in _SEPARATED else _INVISIBLE_ENDS
    if value != value.strip(ends):
        return "must be without blanks, line ends and invisible characters before or after it"
    return None


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
    host, public = raw.get("proxy_host", "127.0.0.1"), raw.get("public_url", "")
    where = f"ALERT_PROXY_HOST is {host!r}"
    loopback = is_loopback(host)
    # Behind a reverse proxy others reach a server on loopback too.
    if loopback and public and not is_loopback(urlsplit(public).hostname or ""):
        loopback, where = False, f"ALERT_PUBLIC_URL is {public!r}"
    keys = {role: raw[f"{role}_api_key"] for role in ROLES if f"{role}_api_key" in raw}
    faults, warnings = key_faults(keys, loopback=loopback)
    faults += _token_faults(raw, keys)
    if not checks.boolean(raw.get("auth_enabled", "true")):
        warnings.append("ALERT_AUTH_ENABLED is off: everyone who reaches the port may do anything")
        if not loopback:
            message = f"may be off where only this machine reaches the port, and {where}"
            faults.append(_line("auth_enabled", message, raw["auth_enabled"]))
    if not is_loopback(host) and not public.startswith("https:"):
        warnings.append(
            f"ALERT_PROXY_HOST is {host!r} without an https ALERT_PUBLIC_URL: keys and sessions "
            "pass the network in clear text; put a reverse proxy with TLS before it"
        )
    if "trusted_proxies" in raw and not checks.json_object(raw.get("trusted_roles", "{}")):
        warnings.append(
            "ALERT_TRUSTED_PROXIES is set and ALERT_TRUSTED_ROLES is not: nobody gets in by a "
            "proxy's headers"
        )
    warnings += [
        f"ALERT_FALSE_ALARM_RULES: {rule} is only shown and notifies nobody; its budget counts "
        "for incidents that are open only"
        for rule in checks.without_weight(raw.get("false_alarm_rules", "{}"))
    ]
    faults += _header_faults(raw)
    fault = records_fault(raw.get("records_url"))
    if fault:
        faults.append(_line("records_url", fault, raw["records_url"]))
    port = raw.get("webserver_port", "3000")
    if int(raw.get("proxy_port", "8089")) == int(port):
        faults.append(_line("webserver_port", "must differ from ALERT_PROXY_PORT", port))
    return faults, warnings


def _header_faults(raw: Mapping[str, str]) -> list[str]:
    seen: dict[str, str] = {}
    faults = []
    for name in ("api_key_header", "trusted_user_header", "trusted_groups_header"):
        header = raw.get(name, str(model.Settings.model_fields[name].default))
        other = seen.setdefault(header.lower(), name)
        if other != name:
            faults.append(_line(name, f"must differ from {model.variable(other)}", header))
    return faults


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
