"""Sending what waits in the outbox: leased, sent, then marked, so that nothing is ever lost.

A crash after sending and before marking sends once more under the same key, by which receivers
drop it. Each channel has a thread of its own: a slow one holds up nobody else's messages.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from time import monotonic

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.notification import Notification
from perf_alerts_dagster.incidents.ports import Outbox
from perf_alerts_dagster.notifications.messages import Message, UnreadableNotification, message_of

# Longer than any send may take (10 s), so that no second worker sends meanwhile.
LEASE = timedelta(seconds=60)
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=15)
LONGEST_ASKED = timedelta(hours=1)
GIVE_UP = timedelta(hours=24)


class DeliveryFailed(Exception):
    """A channel did not take a message. The text holds no secret and nothing of the receiver's.

    `permanent`: no later try can succeed. `retry_after`: how long the receiver asks to wait.
    """

    def __init__(
        self, text: str, *, permanent: bool = False, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(text)
        self.permanent = permanent
        self.retry_after = retry_after


class Channel(ABC):
    """Where messages go. `name` shows no secret; it is told from `minimum` on."""

    name: str
    minimum: Severity

    @abstractmethod
    def send(self, message: Message) -> None:
        """Deliver it, within ten seconds.

        Raises:
            DeliveryFailed: it was not taken.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelResult:
    """How one channel took a message; `error` None where it did."""

    channel: str
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCounts:
    """What one drain did, in messages."""

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
    """Send a message past the outbox, once, to each channel at the same time."""

    def tried(channel: Channel) -> ChannelResult:
        try:
            _hand_over(channel, message)
        except DeliveryFailed as error:
            return ChannelResult(channel=channel.name, error=str(error))
        return ChannelResult(channel=channel.name, error=None)

    if not channels:
        return ()
    with ThreadPoolExecutor(max_workers=len(channels)) as pool:
        return list(pool.map(tried, channels))


def _hand_over(channel: Channel, message: Message) -> None:
    """Send it; whatever goes wrong in a channel is that channel's failure.

    Raises:
        DeliveryFailed: it was not taken.
    """
    try:
        channel.send(message)
    except DeliveryFailed:
        raise
    except Exception as error:
        # The edge of one unit of work: a channel is other people's code, and one that breaks over
        # a message must hold up neither its next one nor other channels. The text of such an
        # error may hold the channel's URL, so only its kind is told.
        raise DeliveryFailed(f"the channel broke: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliverer:
    """A worker over the outbox.

    `on_dead_letter` hears of a message that is given up, with channel and error, before it is
    marked so: a crash in between tells it again, and never not at all. `on_sent` hears of one
    that a channel has taken. `owner` names this worker in leases. `reached` is called at the
    named points `claimed`, `sent` and `marked`, where crash tests end the process.
    """

    outbox: Outbox
    channels: Mapping[str, Channel]
    on_dead_letter: Callable[[str, str, datetime], object]
    on_sent: Callable[[str, datetime], object]
    clock: Callable[[], datetime]
    jitter: Random
    owner: str
    public_url: str | None
    reached: Callable[[str], None] = lambda point: None

    def drain(self, seconds: float) -> DeliveryCounts:
        """Send what is due, for at most `seconds` and the last message's time.

        Raises:
            StoreUnavailable: the outbox cannot be read or written; what was not marked is sent
                again once its lease has run out.
        """
        over = monotonic() + seconds
        drained = self._bury(over)
        if not self.channels:
            return drained
        with ThreadPoolExecutor(max_workers=len(self.channels)) as pool:
            futures = [pool.submit(self._drain, one, over) for one in self.channels.values()]
            # All have ended when the pool is left; the first fault is raised then.
        return sum((one.result() for one in futures), drained)

    def _drain(self, channel: Channel, over: float) -> DeliveryCounts:
        done = DeliveryCounts()
        while monotonic() < over:
            rows = self.outbox.claim(self.clock(), self.owner, LEASE, channels=[channel.name])
            if not rows:
                break
            self.reached("claimed")
            done += self._send(channel, rows[0])
        return done

    def _send(self, channel: Channel, row: Notification) -> DeliveryCounts:
        try:
            message = message_of(row, public_url=self.public_url)
            _hand_over(channel, message)
        except UnreadableNotification as error:
            return self._give_up(row, str(error))
        except DeliveryFailed as error:
            return self._failed(row, error)
        self.reached("sent")
        now = self.clock()
        is_ours = self.outbox.sent(row.id, row.fence, now)
        self.reached("marked")
        if is_ours:
            self.on_sent(channel.name, now)
        return DeliveryCounts(sent=1)

    def _failed(self, row: Notification, error: DeliveryFailed) -> DeliveryCounts:
        now = self.clock()
        if error.permanent or now - row.created_at >= GIVE_UP:
            return self._give_up(row, str(error))
        wait = self._wait(row.attempts)
        if error.retry_after is not None:
            wait = max(wait, min(error.retry_after, LONGEST_ASKED))
        self.outbox.retry(row.id, row.fence, now + wait, str(error))
        return DeliveryCounts(retried=1)

    def _wait(self, attempts: int) -> timedelta:
        """Exponential backoff with full jitter: never less than a second, so that it is one."""
        maximum = min(FIRST_WAIT * float(2 ** min(attempts, 20)), LONGEST_WAIT)
        return max(timedelta(seconds=1), maximum * self.jitter.random())

    def _give_up(self, row: Notification, error: str) -> DeliveryCounts:
        self.on_dead_letter(row.channel, error, self.clock())
        self.outbox.dead(row.id, row.fence, error)
        return DeliveryCounts(dead=1)

    def _bury(self, over: float) -> DeliveryCounts:
        """Give up what is for a channel that has left the settings, a day after it was made."""
        done = DeliveryCounts()
        for channel in self.outbox.channels():
            if channel in self.channels:
                continue
            while monotonic() < over:
                rows = self.outbox.claim(self.clock(), self.owner, LEASE, channels=[channel])
                if not rows:
                    break
                gone = DeliveryFailed("the channel is not in the settings any more")
                done += self._failed(rows[0], gone)
        return done
