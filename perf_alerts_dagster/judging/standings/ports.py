"""The store of standings, which the desk's pages are read from."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from perf_alerts_dagster.judging.standings.model import Cell, Standing


class Sort(StrEnum):
    """What standings are sorted by; `worst` is by cell, then by rarity."""

    WORST = "worst"
    STRATEGY = "strategy"
    GROUP = "group"
    OWNER = "owner"
    LAST = "last"
    MONTH = "month"
    LIVE = "live"
    DRAWDOWN = "drawdown"
    BAND = "band"
    RARITY = "rarity"
    PNL = "pnl"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingFilter:
    """Which standings are wanted; None for all.

    `cells`: any of them. `names`: of these strategies and groups, at most some hundred.
    `text` is looked for in names, groups and owners, whatever the case of ASCII letters.
    `is_group`: only groups, or only strategies. By default the worst, the smallest or the first
    by name come first; `descending` turns that round. What has no value comes last either way.
    `unresolved`: by the cell of their severity, who has an incident that is not over: for `worst`
    they are at least as bad as that.
    """

    group: str | None = None
    owner: str | None = None
    cells: Collection[Cell] | None = None
    names: Collection[str] | None = None
    text: str | None = None
    is_group: bool | None = None
    sort: Sort = Sort.WORST
    descending: bool = False
    unresolved: Mapping[Cell, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingPage:
    """Some of the standings that a filter finds, and how many there are of them."""

    rows: Sequence[Standing]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingTotals:
    """All standings counted: strategies without groups by cell, and the groups' and owners' names.

    `session` is the newest that any strategy was judged for, `judged_at` when it was last judged;
    None before the first. `judged` are the strategies that were judged for it, if in part, `late`
    those of them whose newest row is behind; it is `provisional` where it was still open for any.
    """

    cells: Mapping[Cell, int] = field(default_factory=dict)
    groups: Sequence[str] = ()
    owners: Sequence[str] = ()
    session: date | None = None
    judged_at: datetime | None = None
    provisional: bool = False
    judged: int = 0
    late: int = 0

    @property
    def strategies(self) -> int:
        """How many strategies there are, without groups."""
        return sum(self.cells.values())


class StandingStore(ABC):
    """Reads standings, which the store of judgements writes with each judgement.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read.
    """

    @abstractmethod
    def standings(
        self, wanted: StandingFilter | None = None, *, offset: int = 0, limit: int = 100
    ) -> StandingPage:
        """The standings of a filter, sorted, from the `offset`-th on."""

    @abstractmethod
    def one(self, strategy: str) -> Standing | None:
        """One strategy's or group's standing; None where it is not judged."""

    @abstractmethod
    def totals(self) -> StandingTotals:
        """All of them, counted."""
