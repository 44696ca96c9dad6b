"""The projections of one evaluation that stores nothing, in memory."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from perf_alerts_dagster.projections.ports import ProjectionStore, StoredProjection


class MemoryProjections(ProjectionStore):
    """Projections in a dictionary."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, date], StoredProjection] = {}

    def save_projections(self, projections: Sequence[StoredProjection]) -> None:
        """A projection that is there already stays as it was."""
        for projection in projections:
            self._kept.setdefault(
                (projection.strategy, projection.kind, projection.issued_on), projection
            )

    def projections(
        self, *, kind: str, on_or_before: date, strategies: Collection[str] | None = None
    ) -> Mapping[str, StoredProjection]:
        """The newest of each strategy, sorted by the strategies' names."""
        newest = {
            projection.strategy: projection
            for projection in sorted(
                self._kept.values(), key=lambda projection: projection.issued_on
            )
            if projection.kind == kind
            and projection.issued_on <= on_or_before
            and (strategies is None or projection.strategy in strategies)
        }
        return dict(sorted(newest.items()))
