"""Sends the messages of the outbox: each is leased, sent, then marked, so that none is lost.

After a crash between sending and marking, the message is sent again under the same idempotency
key. Each channel has its own thread, so that a slow one delays no other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from time import monotonic
from typing import ClassVar, Protocol

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.notification import Notification
from perf_alerts_dagster.incidents.ports import Outbox
from perf_alerts_dagster.notifications.messages import Message, UnreadableNotification, message_of
from perf_alerts_dagster.notifications.text import Wording

# Longer than a send can take (10 s), so that no second worker sends meanwhile.
LEASE = timedelta(seconds=60)
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=15)
LONGEST_RETRY_AFTER = timedelta(hours=1)
# A message is given up after this time and so many attempts: after a jump of the clock, or days
# without the machine, the first failure is not the last attempt.
GIVE_UP = timedelta(hours=24)
GIVE_UP_ATTEMPTS = 20


class DeliveryFailed(Exception):
    """A channel did not accept a message. The text holds no secret and nothing that was received.

    `permanent`: no later attempt can succeed. `retry_after`: how long the receiver asks to wait.
    """

    def __init__(
        self, text: str, *, permanent: bool = False, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(text)
        self.permanent = permanent
        self.retry_after = retry_after


class Channel(Protocol):
    """A receiver of messages. `name` shows no secret; `minimum` is its lowest severity.

    `takes_answers`: it is notified of a person's answer as well, as a pager is.
    """

    name: str
    minimum: Severity
    takes_answers: ClassVar[bool] = False

    def send(self, message: Message) -> None:
        """Deliver it, within ten seconds.

        Raises:
            DeliveryFailed: it was not accepted.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelResult:
    """The result of sending to one channel; `error` is None on success."""

    channel: str
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCounts:
    """The number of messages that a delivery sent, will retry, and gave up."""

    sent: int = 0
    retried: int = 0
    dead: int = 0

    def __add__(self, other: "DeliveryCounts") -> "DeliveryCounts":
        return DeliveryCounts(
            sent=self.sent + other.sent,
            retried=self.retried + other.retried,
            dead=self.dead + other.dead,
        )

    def __str__(self) -> str:
        return f"{self.sent} sent, {self.retried} to be tried again, {self.dead} given up"


def try_channels(channels: Sequence[Channel], message: Message) -> Sequence[ChannelResult]:
    """Send a message to all channels in parallel, once, without the outbox."""

    def attempt(channel: Channel) -> ChannelResult:
        try:
            _send(channel, message)
        except DeliveryFailed as error:
            return ChannelResult(channel=channel.name, error=str(error))
        return ChannelResult(channel=channel.name, error=None)

    if not channels:
        return ()
    with ThreadPoolExecutor(max_workers=len(channels)) as pool:
        return list(pool.map(attempt, channels))


def _send(channel: Channel, message: Message) -> None:
    """Send a message; any error of a channel's code is that channel's failed delivery.

    Raises:
        DeliveryFailed: it was not accepted.
    """
    try:
        channel.send(message)
    except DeliveryFailed:
        raise
    except Exception as error:
        # The edge of one unit of work: a channel is third-party code, and its failure must delay
        # neither its next message nor other channels. The error's text may hold the channel's
        # URL, so that only its type is kept.
        raise DeliveryFailed(f"the channel broke: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliverer:
    """A worker over the outbox.

    `on_dead_letter(channel, error=, now=)` is called for a message that is given up, before it is
    marked: after a crash in between it is called again. `on_sent(channel, now=)` is called for a
    delivered message. `owner` names this worker in leases, `wording` is that of its messages.
    `reached` is called at the points `claimed`, `sent` and `marked`, where crash tests end the
    process.
    """

    outbox: Outbox
    channels: Mapping[str, Channel]
    on_dead_letter: Callable[..., object]
    on_sent: Callable[..., object]
    clock: Callable[[], datetime]
    jitter: Random
    owner: str
    wording: Wording = field(default_factory=Wording)
    reached: Callable[[str], None] = lambda point: None

    def drain(self, seconds: float) -> DeliveryCounts:
        """Send due messages until `seconds` have passed; the last one may take longer.

        Raises:
            StoreUnavailable: the outbox cannot be read or written; unmarked messages are sent
                again once their leases have run out.
        """
        deadline = monotonic() + seconds
        counts = self._give_up_removed_channels(deadline)
        if not self.channels:
            return counts
        with ThreadPoolExecutor(max_workers=len(self.channels)) as pool:
            futures = [
                pool.submit(self._drain, channel, deadline) for channel in self.channels.values()
            ]
            # Leaving the pool waits for all threads; `result` raises their first error.
        return sum((future.result() for future in futures), counts)

    def _drain(self, channel: Channel, deadline: float) -> DeliveryCounts:
        rows = self._claims(channel.name, deadline)
        return sum((self._deliver(channel, row) for row in rows), DeliveryCounts())

    def _claims(self, channel: str, deadline: float) -> Iterator[Notification]:
        """Lease the channel's due rows lazily, one by one."""
        while monotonic() < deadline:
            rows = self.outbox.claim(self.clock(), self.owner, LEASE, channels=[channel])
            if not rows:
                return
            yield rows[0]

    def _deliver(self, channel: Channel, row: Notification) -> DeliveryCounts:
        self.reached("claimed")
        try:
            message = message_of(row, wording=self.wording)
            _send(channel, message)
        except UnreadableNotification as error:
            return self._give_up(row, str(error))
        except DeliveryFailed as error:
            return self._failed(row, error)
        self.reached("sent")
        now = self.clock()
        is_ours = self.outbox.mark_sent(row.id, row.fence, now)
        self.reached("marked")
        if is_ours:
            self.on_sent(channel.name, now=now)
        return DeliveryCounts(sent=1)

    def _failed(self, row: Notification, error: DeliveryFailed) -> DeliveryCounts:
        now = self.clock()
        is_tried = row.attempts >= GIVE_UP_ATTEMPTS or row.channel not in self.channels
        if error.permanent or (now - row.created_at >= GIVE_UP and is_tried):
            return self._give_up(row, str(error))
        wait = self._wait(row.attempts)
        if error.retry_after is not None:
            wait = max(wait, min(error.retry_after, LONGEST_RETRY_AFTER))
        self.outbox.mark_for_retry(row.id, row.fence, now + wait, str(error))
        return DeliveryCounts(retried=1)

    def _wait(self, attempts: int) -> timedelta:
        """Exponential backoff with full jitter, at least one second."""
        maximum = min(FIRST_WAIT * float(2 ** min(attempts, 20)), LONGEST_WAIT)
        return max(timedelta(seconds=1), maximum * self.jitter.random())

    def _give_up(self, row: Notification, error: str) -> DeliveryCounts:
        self.on_dead_letter(row.channel, error=error, now=self.clock())
        self.outbox.mark_dead(row.id, row.fence, error)
        return DeliveryCounts(dead=1)

    def _give_up_removed_channels(self, deadline: float) -> DeliveryCounts:
        """Give up messages to channels that are no longer in the settings, when a day old."""
        removed = set(self.outbox.channels()) - set(self.channels)
        error = DeliveryFailed("the channel is no longer in the settings")
        rows = (row for channel in removed for row in self._claims(channel, deadline))
        return sum((self._failed(row, error) for row in rows), DeliveryCounts())
