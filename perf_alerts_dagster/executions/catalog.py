"""The strategies of the record in one small file, from which Dagster's definitions learn them.

An execution writes it where a strategy, its group or its owner has changed. Only the standard
library is imported here, since the definitions read the file whenever they are loaded.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perf_alerts_dagster.core.files import replace_file

if TYPE_CHECKING:
    from perf_alerts_dagster.records.reading import Reading

# Definitions of 1,000 strategies load in about a second, in every run too.
MAXIMUM_STRATEGIES = 1_000
_MAXIMUM_BYTES = 4_000_000
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A strategy, or a group of them that is judged as one, in which `group` is its own."""

    name: str
    group: str | None = None
    owner: str | None = None
    is_group: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The strategies, groups first, and how many more there are than are listed.

    What an execution adds is not in the file: the number of `rows`, the day of the `newest` one,
    and the number of sessions that the source is `late` by the calendars of its strategies.
    """

    strategies: tuple[Listed, ...] = ()
    left_out: int = 0
    rows: int = field(default=0, compare=False)
    newest: date | None = field(default=None, compare=False)
    late: int = field(default=0, compare=False)


def catalog_file(state_dir: Path) -> Path:
    """Where the catalog of a state folder is."""
    return state_dir / "catalog.json"


def read_catalog(state_dir: Path) -> Catalog:
    """The catalog of a state folder; without strategies where the file is missing or damaged."""
    path = catalog_file(state_dir)
    try:
        with path.open("rb") as file:
            # Cut, it is no JSON.
            return _parsed(json.loads(file.read(_MAXIMUM_BYTES)))
    except FileNotFoundError:
        return Catalog()
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        _LOG.warning("%s is damaged, so that Dagster's catalog is empty: %s", path, error)
        return Catalog()


def _parsed(content: Any) -> Catalog:  # noqa: ANN401 - JSON of any shape
    left_out = content["left_out"]
    if not isinstance(left_out, int) or not 0 <= left_out < 2**31:
        raise ValueError("left_out is no number of strategies")
    found: dict[str, Listed] = {}
    for entry in content["strategies"][:MAXIMUM_STRATEGIES]:
        name, group, owner = entry["name"], entry["group"], entry["owner"]
        if not isinstance(name, str) or not all(isinstance(x, str | None) for x in (group, owner)):
            raise TypeError("a name, group or owner is no text")
        is_group = entry["is_group"] is True
        found[name] = Listed(name=name, group=group, owner=owner, is_group=is_group)
    return Catalog(strategies=tuple(found.values()), left_out=left_out)


def keep_catalog(state_dir: Path, reading: "Reading") -> Catalog:
    """The catalog of a reading; its file is written where it is another one than before.

    A strategy whose rows or entry cannot be read keeps the group and owner that it had. The file
    is a courtesy: one that cannot be written is a warning in the log.
    """
    before = read_catalog(state_dir)
    known = {each.name: each for each in before.strategies}
    catalog = _catalog_of(reading, known)
    if catalog != before or not catalog_file(state_dir).exists():
        content = {
            "left_out": catalog.left_out,
            "strategies": [
                {name: getattr(each, name) for name in ("name", "group", "owner", "is_group")}
                for each in catalog.strategies
            ],
        }
        try:
            replace_file(catalog_file(state_dir), json.dumps(content, separators=(",", ":")))
        except OSError as error:
            _LOG.warning("%s is not written: %s", catalog_file(state_dir), error)
    return catalog


def _catalog_of(reading: "Reading", known: Mapping[str, Listed]) -> Catalog:
    records, groups = reading.records.strategies, reading.groups
    listed = {}
    for name in {*records, *reading.records.faults, *reading.vanished}:
        if name in groups:
            _, _, base = groups[name].base.partition(":")
            listed[name] = Listed(name=name, group=base or None, is_group=True)
        elif name in records:
            record = records[name]
            listed[name] = Listed(name=name, group=record.group, owner=record.owner)
        else:
            listed[name] = known.get(name, Listed(name=name))
    order = sorted(listed.values(), key=lambda each: (not each.is_group, each.name))
    singles = {name: record for name, record in records.items() if name not in groups}
    newest = {name: record.dates[-1].astype(object) for name, record in singles.items()}
    return Catalog(
        strategies=tuple(order[:MAXIMUM_STRATEGIES]),
        left_out=max(0, len(order) - MAXIMUM_STRATEGIES),
        rows=sum(map(len, singles.values())),
        newest=max(newest.values(), default=None),
        late=min(
            (reading.late(name, day, reading.as_of) for name, day in newest.items()), default=0
        ),
    )
