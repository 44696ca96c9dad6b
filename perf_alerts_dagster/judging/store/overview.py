"""What pages show of judgements, as aggregates: outcomes of sessions, and what rules are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.judging.evaluation import Outcome
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
            query = select(evaluations.c.strategy.distinct()).where(_is_newest(connection))
            return frozenset(connection.scalars(query))

    def worth(self) -> Mapping[str, RuleWorth]:
        """What each rule is worth, by its id, from the newest judgement of each alert."""
        row = evaluations.c
        with reading(self.engine) as connection:
            is_newest = _is_newest(connection)
            counted = (
                select(row.rule, row.outcome, func.count(row.strategy.distinct()))
                .where(is_newest)
                .group_by(row.rule, row.outcome)
            )
            counts: dict[str, dict[str, int]] = {}
            for rule, outcome, count in connection.execute(counted):
                counts.setdefault(rule, {})[outcome] = count
            measured: dict[str, int] = {}
            medians: dict[str, dict[str, float]] = {}
            for name in MEDIANS:
                value = row[name]
                position = func.row_number().over(partition_by=row.rule, order_by=value)
                total = func.count().over(partition_by=row.rule)
                ranked = (
                    select(
                        row.rule, value.label("value"), position.label("n"), total.label("total")
                    )
                    .where(is_newest, value.is_not(None))
                    .subquery()
                )
                middle = 2 * ranked.c.n
                query = (
                    select(ranked.c.rule, func.avg(ranked.c.value), func.max(ranked.c.total))
                    .where(middle.between(ranked.c.total, ranked.c.total + 2))
                    .group_by(ranked.c.rule)
                )
                for rule, median, number in connection.execute(query):
                    medians.setdefault(rule, {})[name] = float(median)
                    measured[rule] = max(measured.get(rule, 0), int(number))
        return {
            rule: RuleWorth(
                strategies=sum(found.values()),
                lacking=found.get(Outcome.INSUFFICIENT_DATA, 0),
                unmeasured=found.get(Outcome.NO_DATA, 0) + found.get(Outcome.ERROR, 0),
                measured=measured.get(rule, 0),
                medians=medians.get(rule, {}),
            )
            for rule, found in counts.items()
        }


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
