"""Silences: they mute messages about what they match until their end, never the record."""

from dataclasses import dataclass
from datetime import datetime

from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Incident


@dataclass(frozen=True, slots=True, kw_only=True)
class Matchers:
    """What a silence is about; None matches everything, and at least one is set."""

    strategy: str | None = None
    rule: str | None = None
    alert: str | None = None
    severity: Severity | None = None

    def match(self, incident: Incident) -> bool:
        """Whether all that is set is the incident's."""
        wanted = (self.strategy, self.rule, self.alert, self.severity)
        found = (incident.strategy, incident.rule, incident.alert, incident.severity)
        pairs = zip(wanted, found, strict=True)
        return all(want is None or want == have for want, have in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A silence from `starts_at` on and before `ends_at`; it belongs to no incident."""

    id: str
    matchers: Matchers
    starts_at: datetime
    ends_at: datetime
    author: str
    reason: str

    def is_active(self, now: datetime) -> bool:
        """Whether it mutes at `now`."""
        return self.starts_at <= now < self.ends_at

    def mutes(self, incident: Incident, now: datetime) -> bool:
        """Whether messages about the incident are muted by it at `now`."""
        return self.is_active(now) and self.matchers.match(incident)


def checked(silence: Silence) -> Silence:
    """The silence, refused where it could mute everything or for ever.

    Raises:
        UsageError: it matches everything, has no author or reason, or its end is not after its
            start.
    """
    matchers = silence.matchers
    if not any((matchers.strategy, matchers.rule, matchers.alert, matchers.severity)):
        raise UsageError("a silence needs at least one of strategy, rule, alert, severity")
    if not silence.author.strip() or not silence.reason.strip():
        raise UsageError("a silence needs an author and a reason")
    if silence.ends_at <= silence.starts_at:
        raise UsageError("ends_at: a silence ends after it starts")
    return silence


def matchers_of(incident: Incident) -> Matchers:
    """The silence of one incident's key: its strategy and rule, and the alert of a system's."""
    return Matchers(
        strategy=incident.strategy or None,
        rule=incident.rule,
        alert=None if incident.strategy else incident.alert or None,
    )
