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
        for one in projections:
            self._kept.setdefault((one.strategy, one.kind, one.issued_on), one)

    def projections(
        self, *, kind: str, on_or_before: date, strategies: Collection[str] | None = None
    ) -> Mapping[str, StoredProjection]:
        """The newest of each strategy, sorted by the strategies' names."""
        newest = {
            one.strategy: one
            for one in sorted(self._kept.values(), key=lambda one: one.issued_on)
            if one.kind == kind
            and one.issued_on <= on_or_before
            and (strategies is None or one.strategy in strategies)
        }
        return dict(sorted(newest.items()))
