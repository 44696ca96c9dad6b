"""The settings as people see them, without secrets."""

from typing import Any

from perf_alerts_dagster.settings import urls
from perf_alerts_dagster.settings.model import FIELDS, SECRETS, Settings, as_text, variable


def described(settings: Settings) -> dict[str, dict[str, Any]]:
    """What may be shown of each setting, by its field: variable, value, default, source, secret.

    A secret's value is `set`; of the records source the password is masked.
    """
    rows = {}
    for name in FIELDS:
        value = as_text(getattr(settings, name))
        default = Settings.model_fields[name].get_default(call_default_factory=True)
        is_secret = name in SECRETS
        if is_secret:
            value = "set" if value else ""
        elif name == "records_url" and value:
            value = urls.masked_url(value)
        rows[name] = {
            "variable": variable(name),
            "value": value or None,
            "default": as_text(default) or None,
            "source": settings.sources.get(name, "default"),
            "secret": is_secret,
        }
    return rows
