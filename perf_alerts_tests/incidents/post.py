"""A channel that keeps its messages."""

from collections.abc import Callable

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications.delivery import Channel
from perf_alerts_dagster.notifications.messages import Message


class Post(Channel):
    """Takes messages; `does` is what it does first, such as failing."""

    def __init__(
        self,
        name: str = "mail",
        does: Callable[[], None] = lambda: None,
        *,
        minimum: Severity = Severity.INFO,
    ) -> None:
        self.name, self.minimum, self.does = name, minimum, does
        self.got: list[Message] = []

    def send(self, message: Message) -> None:
        self.does()
        self.got.append(message)

    @property
    def subjects(self) -> list[str]:
        """The subjects of the messages."""
        return [one.subject for one in self.got]
