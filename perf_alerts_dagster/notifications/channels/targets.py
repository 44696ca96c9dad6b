"""The targets of an Apprise URL: one plugin for each, so that none gets a message twice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apprise import NotifyBase

# The order in which targets were numbered before others were found; stored messages name them.
_ORDER = ("targets", "channels", "topics", "rooms", "groups", "users", "devices", "phone")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a plugin keeps targets: an attribute, or a list in one that is a dict."""

    name: str
    key: object = None

    def read(self, plugin: "NotifyBase") -> list[object] | set[object]:
        value = vars(plugin)[self.name]
        found: list[object] | set[object] = value[self.key] if isinstance(value, dict) else value
        return found

    def write(self, plugin: "NotifyBase", targets: list[object]) -> None:
        new = set(targets) if isinstance(self.read(plugin), set) else targets
        whole = vars(plugin)[self.name]
        setattr(plugin, self.name, {**whole, self.key: new} if isinstance(whole, dict) else new)

    def targets(self, plugin: "NotifyBase") -> list[object]:
        value = self.read(plugin)
        # Numbered: in the same order in each process.
        return sorted(value, key=str) if isinstance(value, set) else list(value)


def split_targets(make: Callable[[], "NotifyBase"]) -> list["NotifyBase"]:
    """One plugin per target of a URL, so that a target that took a message never gets it again.

    `make` makes the URL's plugin. Services that send to all targets in one request stay whole.
    """
    plugin = make()
    places = {place: place.targets(plugin) for place in _places(make())}
    copies = sorted({*getattr(plugin, "cc", ()), *getattr(plugin, "bcc", ())}, key=str)
    if copies and (known := places.get(_Place(name="targets"))):
        # Who gets a copy becomes a target, in the form of the others.
        names = {str(each[1] if isinstance(each, tuple) else each) for each in known}
        is_pair = isinstance(known[0], tuple)
        known += [(False, copy) if is_pair else copy for copy in copies if copy not in names]
    if sum(map(len, places.values())) < 2:
        return [plugin]
    plugins = []
    for place, targets in places.items():
        for target in targets:
            single = make()
            for other in places:
                other.write(single, [target] if other == place else [])
            if copies:
                single.cc, single.bcc = set(), set()  # type: ignore[attr-defined]
            plugins.append(single)
    return plugins


def _places(plugin: "NotifyBase") -> list[_Place]:
    """Where a plugin keeps targets that get a message each: with one less, it counts one less.

    Empty where it counts otherwise, as those do that send to all targets in one request.
    """
    found = []
    for place in _lists(plugin):
        targets, count = place.targets(plugin), len(plugin)
        place.write(plugin, targets[1:])
        # A service without any target may count as one.
        is_only = place.name == "targets" and len(targets) == count == 1
        is_counted = is_only or len(plugin) == count - 1
        place.write(plugin, targets)
        if is_counted:
            found.append(place)
    if sum(len(place.targets(plugin)) for place in found) != len(plugin):
        return []
    order = {name: position for position, name in enumerate(_ORDER)}
    return sorted(found, key=lambda place: (order.get(place.name, len(order)), place.name))


def _lists(plugin: "NotifyBase") -> Iterator[_Place]:
    for name, value in list(vars(plugin).items()):
        if isinstance(value, dict):
            yield from (_Place(name=name, key=key) for key in value if _is_filled(value[key]))
        elif _is_filled(value) and name not in ("cc", "bcc"):
            yield _Place(name=name)


def _is_filled(value: object) -> bool:
    return isinstance(value, list | set) and bool(value)
