"""What a reading of a source lacks against the last accepted one: strategies, and rows.

One strategy that is gone has vanished. Where many strategies or rows are gone the source shrank:
nothing is judged by it until it is whole again, a person accepts it, or it stays so.
"""

import hashlib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np

from perf_alerts_dagster.core.wording import first_few
from perf_alerts_dagster.records.desk import Kept, Pending, Seen, SourceReading
from perf_alerts_dagster.records.groups import is_group
from perf_alerts_dagster.records.model import Dates, StrategyRecord, TrackRecords

# So many, and at least one in ten, are no matter of a single strategy or day any more.
_MINIMUM_GONE = 2
_ONE_IN = 10
_DAYS_ALIKE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A reading against the last accepted one.

    `shrunk` says what is gone where the source shrank, else it is empty; `pending` is then to be
    kept. `accepted` is to be kept where it did not shrink, or where a person accepts it.
    `ended` are absent strategies that a person ended: by whom, and why. `note` is for the run.
    """

    accepted: SourceReading
    shrunk: str = ""
    pending: Pending | None = None
    ended: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    note: str = ""


def compare(
    before: SourceReading | None, records: TrackRecords, *, kept: Kept, today: date
) -> Comparison:
    """Compare the source's present content with its last accepted reading.

    Args:
        before: The last accepted reading; None at the first one, which is accepted.
        records: The records; groups are left out.
        kept: The retirements: a retired strategy does not vanish.
        today: The day of this reading.
    """
    before = before or SourceReading()
    known = {**before.vanished, **before.accepted}
    # A strategy with faults is there; what was seen of it stays.
    present = {name: known.get(name) for name in records.faults} | {
        name: seen(record) if record.is_judged_on(today) else None
        for name, record in records.strategies.items()
        if not is_group(name)
    }
    absent = {name: each for name, each in known.items() if name not in present}
    ended = _ended(records, kept, today)
    missing = {name: each for name, each in absent.items() if name not in ended}
    there = {name: each for name, each in sorted(present.items()) if each is not None}
    accepted = SourceReading(accepted=there, vanished=dict(sorted(missing.items())))
    known_ends = {name: ended[name] for name in absent if name in ended}
    found = Comparison(accepted=accepted, ended=known_ends)
    gone = sorted(missing.keys() & before.accepted.keys())
    losses = _losses(before, records, gone)
    if not losses:
        return found
    shrunk = f"{records.source} shrank: {first_few(losses, between='; ')}"
    pending = _pending(before.pending, "\n".join([*losses, *gone]), today)
    if len(pending.days) < _DAYS_ALIKE:
        return replace(found, shrunk=shrunk, pending=pending)
    return replace(found, note=f"{shrunk}; it was alike on three days and is accepted as it is")


def seen(record: StrategyRecord) -> Seen:
    """What is kept of a strategy's rows."""
    days = record.dates.astype("datetime64[D]")
    flags = np.zeros(int((days[-1] - days[0]).astype(int)) + 1, dtype=bool)
    flags[(days - days[0]).astype(int)] = True
    return Seen(
        rows=len(record),
        first=days[0].astype(object),
        last=days[-1].astype(object),
        capital=1.0 if record.capital is None else float(record.capital[-1]),
        group=record.group,
        currency=record.currency,
        # Days repeat by weeks, so that ten years of them take about a hundred bytes.
        days=b64encode(zlib.compress(np.packbits(flags).tobytes())).decode(),
    )


def days_of(each: Seen) -> Dates:
    """The days of the rows that were seen, rising; none where they are not known."""
    if not each.days:
        return np.empty(0, dtype="datetime64[D]")
    flags = np.unpackbits(np.frombuffer(zlib.decompress(b64decode(each.days)), dtype=np.uint8))
    days: Dates = np.datetime64(each.first, "D") + np.flatnonzero(flags)
    return days


def with_retirements(records: TrackRecords, kept: Kept) -> TrackRecords:
    """The records, with retired strategies judged until the day before their retirement."""
    strategies = dict(records.strategies)
    for name in strategies.keys() & kept.retired.keys():
        last = kept.retired[name].since - timedelta(days=1)
        until = strategies[name].judged_until
        strategies[name] = replace(strategies[name], judged_until=min(last, until or last))
    return replace(records, strategies=strategies)


def _ended(records: TrackRecords, kept: Kept, today: date) -> dict[str, tuple[str, str]]:
    ended = {
        name: ("the strategies table", f"judged until {last}" if last > date.min else "")
        for name, last in records.ended.items()
        if last < today
    }
    return ended | {name: (word.by, word.reason) for name, word in kept.retired.items()}


def _losses(before: SourceReading, records: TrackRecords, gone: list[str]) -> list[str]:
    """What makes it a source that shrank, in words; empty where it did not."""
    losses = []
    if _is_much(len(gone), len(before.accepted)):
        of = f"{len(gone)} of {len(before.accepted)}"
        losses.append(f"{of} strategies are gone: {first_few(gone)}")
    for name, each in sorted(before.accepted.items()):
        record = records.strategies.get(name)
        if record is None:
            continue
        days = days_of(each)
        days = days[days >= record.dates[0]]
        # Both rise, so that this takes a tenth of the time of isin.
        places = np.searchsorted(record.dates[:-1], days)
        lost = days[record.dates[places] != days]
        if _is_much(len(lost), len(days)):
            of = f"{len(lost)} of {len(days)}"
            losses.append(f"{of} rows of {name} are gone, from {lost[0]} to {lost[-1]}")
    if losses and gone and not _is_much(len(gone), len(before.accepted)):
        losses.append(f"also gone: {first_few(gone)}")
    return losses


def _is_much(gone: int, of: int) -> bool:
    return gone >= _MINIMUM_GONE and gone * _ONE_IN >= of


def _pending(before: Pending | None, lacks: str, today: date) -> Pending:
    fingerprint = hashlib.sha256(lacks.encode()).hexdigest()
    days = before.days if before is not None and before.fingerprint == fingerprint else ()
    return Pending(fingerprint=fingerprint, days=tuple(sorted({*days, today})))
