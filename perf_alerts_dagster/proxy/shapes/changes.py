"""Answers to what changes something: trigger, enable, disable, reload."""

from perf_alerts_dagster.application.scheduling import RunState
from perf_alerts_dagster.proxy.shapes.base import Model, Time


class TriggerData(Model):
    """The run that a trigger stands for; `reason` says why nothing will start it, if so."""

    alert_name: str
    run_id: str
    execution_id: str
    state: RunState
    will_start: bool
    reason: str | None
    run_url: str


class TriggerAnswer(Model):
    """POST /schedule/trigger/{alert}."""

    success: bool
    message: str
    timestamp: Time
    triggered_by: str
    data: TriggerData


class ToggleData(Model):
    """A schedule after it was switched; `until` is when it switches itself on again."""

    name: str
    enabled: bool
    next_run: Time | None
    until: Time | None
    reason: str | None


class ToggleAnswer(Model):
    """POST /schedule/enable/{alert} and /schedule/disable/{alert}."""

    success: bool
    message: str
    timestamp: Time
    modified_by: str
    data: ToggleData


class ReloadAnswer(Model):
    """POST /admin/reload."""

    success: bool
    message: str
    timestamp: Time
