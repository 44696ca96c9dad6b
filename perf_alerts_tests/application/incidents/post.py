"""A channel that keeps what it is told."""

from collections.abc import Callable

from perf_alerts_dagster.application.delivery import Channel
from perf_alerts_dagster.application.messages import Message
from perf_alerts_dagster.domain.severity import Severity


class Post(Channel):
    """Takes messages; `does` is what it does first, such as failing."""

    def __init__(
        self,
        name: str = "mail",
        does: Callable[[], None] = lambda: None,
        *,
        least: Severity = Severity.INFO,
    ) -> None:
        self.name, self.least, self.does = name, least, does
        self.got: list[Message] = []

    def send(self, message: Message) -> None:
        self.does()
        self.got.append(message)

    @property
    def subjects(self) -> list[str]:
        """What was told, a line per message."""
        return [one.subject for one in self.got]
