"""The raw texts of the ALERT_* variables: the environment, `.env`, and files that hold secrets."""

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from perf_alerts_dagster.settings.model import Settings

FIELDS = tuple(name for name in Settings.model_fields if name != "warnings")
SECRETS = frozenset(
    name for name in FIELDS if "SecretStr" in str(Settings.model_fields[name].annotation)
)
PREFIX = "ALERT_"


def variable(field: str) -> str:
    """The variable of a field."""
    return f"{PREFIX}{field.upper()}"


KNOWN = tuple(variable(field) for field in FIELDS)
# By the variable: its name with a file's path in place of the value, for secret mounts. The
# records URL may hold a password too.
FILES = {
    variable(field): f"{variable(field)}_FILE"
    for field in FIELDS
    if field in SECRETS or field == "records_url"
}


def read_variables(
    environ: Mapping[str, str] | None, dotenv: Path | None
) -> tuple[dict[str, str], list[str]]:
    """The ALERT_* texts by name, `_FILE` variants read; and one line for each fault.

    A variable of the environment wins over `.env` in both forms: with ALERT_X set, neither
    ALERT_X nor ALERT_X_FILE of `.env` counts.
    """
    faults: list[str] = []
    first = _ours(os.environ if environ is None else environ, faults)
    second = _ours(_dotenv(dotenv, faults), faults)
    for name, file in FILES.items():
        if name in first or file in first:
            second.pop(name, None)
            second.pop(file, None)
    merged = second | first
    for name, file in FILES.items():
        path = merged.get(file, "")
        if not path.strip():
            continue
        said, text = _file(path)
        given = merged.get(name, "")
        # The two may agree: Dagster's own commands put what `.env` holds, the file's name
        # among it, over the environment that `up` has frozen, the secret among it.
        if given.strip() and given != text:
            said = f"{name} is set as well, to something else; set one of the two"
        if said:
            faults.append(f"{file}={path!r}: {said}")
        merged[name] = text
    return merged, faults


def _ours(variables: Mapping[str, str], faults: list[str]) -> dict[str, str]:
    found = {}
    for name, value in variables.items():
        if not name.startswith(PREFIX):
            continue
        if "\0" in value or not _is_text(value):
            faults.append(f"{name}=***: must be UTF-8 text")
        else:
            found[name] = value
    return found


def _is_text(value: str) -> bool:
    # Bytes that are no UTF-8 reach os.environ as lone surrogates.
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def _dotenv(path: Path | None, faults: list[str]) -> dict[str, str]:
    if path is None:
        return {}
    try:
        if not path.is_file():
            return {}
        # A secret may hold ${...}: nothing is expanded.
        read = dotenv_values(path, interpolate=False)
    except OSError as error:
        faults.append(f"{path}: cannot be read ({error.strerror})")
        return {}
    except UnicodeDecodeError:
        faults.append(f"{path}: must be UTF-8 text")
        return {}
    return {name: value or "" for name, value in read.items()}


def _file(path: str) -> tuple[str, str]:
    """What is wrong with the file, and its text without blanks around it."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        return f"the file cannot be read ({error.strerror})", ""
    except ValueError:
        return "the file must be UTF-8 text", ""
    if "\0" in text:
        return "the file must be UTF-8 text", ""
    # Nothing in a mount is a mistake; going on as if no secret were wanted would hide it.
    return ("" if text else "the file is empty"), text
