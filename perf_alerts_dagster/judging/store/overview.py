"""What pages show of judgements, as aggregates: outcomes of sessions, and what rules are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.judging.evaluation import UNMEASURED, Outcome
from perf_alerts_dagster.judging.standings.model import STRIP, Cell
from perf_alerts_dagster.storage.engine import reading
from perf_alerts_dagster.storage.tables import evaluations, judgements


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOutcome:
    """The last judgement of a session by one alert; `cells` counts its strategies and groups.

    It is empty where none was there to judge.
    """

    session: date
    judged_at: datetime
    provisional: bool
    cells: Mapping[Cell, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleWorth:
    """What a rule is worth over the strategies that it judged last: medians, None without any.

    `strategies` were judged by it, `lacking` of them had too little data, `unmeasured` no data or
    an error. `measured` have a worth.
    """

    strategies: int = 0
    lacking: int = 0
    unmeasured: int = 0
    measured: int = 0
    medians: Mapping[str, float] = field(default_factory=dict)


# The numbers of a worth that are shown as medians.
MEDIANS = ("false_alarm_rate", "power_126", "power_252", "share_of_limit")


class SqlOverview:
    """Aggregates over the alert store; the schema must be current.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def sessions(self, alert: str, limit: int = STRIP) -> Sequence[SessionOutcome]:
        """The last `limit` sessions that an alert judged, oldest first, by an index alone."""
        row = judgements.c
        last = (
            select(func.max(row.id))
            .where(row.alert == alert)
            .group_by(row.as_of)
            .order_by(row.as_of.desc())
            .limit(limit)
        )
        query = (
            select(row.as_of, row.judged_at, row.provisional, row.cells)
            .where(row.id.in_(last))
            .order_by(row.as_of)
        )
        with reading(self.engine) as connection:
            return [
                SessionOutcome(
                    session=day,
                    judged_at=at,
                    provisional=provisional,
                    cells={Cell(name): count for name, count in cells.items()},
                )
                for day, at, provisional, cells in connection.execute(query)
            ]

    def strategies(self) -> frozenset[str]:
        """The strategies and groups of the newest judgement of each alert."""
        with reading(self.engine) as connection:
            query = select(evaluations.c.strategy).where(_is_newest(connection)).distinct()
            return frozenset(connection.scalars(query))

    def worth(self) -> Mapping[str, RuleWorth]:
        """What each rule is worth, by its id, from the newest judgement of each alert.

        Of a strategy that several alerts judge by the rule, the last stored counts.
        """
        row = evaluations.c
        found: dict[str, dict[str, tuple[Any, ...]]] = {}
        with reading(self.engine) as connection:
            # Numbers only: the messages and parts of 25,000 evaluations are not read.
            query = (
                select(row.rule, row.strategy, row.outcome, *(row[name] for name in MEDIANS))
                .where(_is_newest(connection))
                .order_by(row.judgement_id)
            )
            for rule, strategy, *numbers in connection.execute(query):
                found.setdefault(rule, {})[strategy] = tuple(numbers)
        return {rule: _worth(list(rows.values())) for rule, rows in found.items()}


def _worth(rows: Sequence[tuple[Any, ...]]) -> RuleWorth:
    """The worth of a rule by the outcome and the numbers of each strategy."""
    outcomes = [row[0] for row in rows]
    known = [
        [value for value in column if value is not None]
        for column in zip(*(row[1:] for row in rows), strict=True)
    ]
    return RuleWorth(
        strategies=len(rows),
        lacking=outcomes.count(Outcome.INSUFFICIENT_DATA),
        unmeasured=sum(outcome in UNMEASURED for outcome in outcomes),
        measured=max(map(len, known)),
        medians={
            name: median(values) for name, values in zip(MEDIANS, known, strict=True) if values
        },
    )


def _is_newest(connection: Connection) -> ColumnElement[bool]:
    """Whether an evaluation is of the last judgement of the newest date of its alert."""
    row = judgements.c
    newest = [
        connection.scalar(
            select(row.id)
            .where(row.alert == alert.name)
            .order_by(row.as_of.desc(), row.judged_at.desc(), row.id.desc())
            .limit(1)
        )
        for alert in ALERTS
    ]
    return evaluations.c.judgement_id.in_([each for each in newest if each is not None])
