"""How incidents are told: the settings of delivery, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.escalation import EscalationSettings
from perf_alerts_dagster.incidents.firing import DEAD_LETTER
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.incidents.notification import MessageKind
from perf_alerts_dagster.judging.false_alarms import Budgets


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationSettings:
    """What holds messages back, what sends them again, and where they go.

    `channels` and `escalation_channels` are names; without the latter escalations go to the
    normal ones. `minimum` has the severity that a channel is told from, of those that are not
    told everything. `window` is ALERT_SUPPRESS_SIMILAR_MINUTES, `repeat` ALERT_REPEAT_HOURS,
    `close_after` ALERT_EVENT_CLOSE_SESSIONS, `digest` ALERT_DAILY_DIGEST.
    `gate` is off under ALERT_RULE_PRESET=documented.
    """

    channels: tuple[str, ...] = ()
    escalation_channels: tuple[str, ...] = ()
    minimum: Mapping[str, Severity] = field(default_factory=dict)
    window: timedelta = timedelta(minutes=60)
    repeat: timedelta = timedelta(hours=24)
    patience: EscalationSettings = field(default_factory=EscalationSettings)
    close_after: int = 5
    observe_only: bool = False
    digest: bool = False
    gate: bool = True
    budgets: Budgets = field(default_factory=Budgets)

    def receivers(self, kind: MessageKind, incident: Incident) -> tuple[str, ...]:
        """Who is told; never a channel about itself, which has just failed."""
        named = self.channels
        if kind is MessageKind.ESCALATION and self.escalation_channels:
            named = self.escalation_channels
        if incident.rule == DEAD_LETTER:
            everyone = dict.fromkeys((*named, *self.channels, *self.escalation_channels))
            named = tuple(one for one in everyone if one != incident.parts.get("about"))
        return tuple(one for one in named if self._wants(one, incident.severity))

    def _wants(self, channel: str, severity: Severity) -> bool:
        minimum = self.minimum.get(channel)
        return minimum is None or severity.rank >= minimum.rank
