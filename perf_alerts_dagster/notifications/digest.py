"""The digest: once a day, what was judged and what is open; it also says when all is well."""

from collections import Counter
from collections.abc import Mapping, Sequence

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications import text as wording

# A longer list is counted.
_MAXIMUM = 20

Found = Mapping[str, Json]


def listed(payload: Found, longest: int) -> dict[str, Json]:
    """The digest with its lists cut to what a program is told, and how long each was."""
    cut: dict[str, Json] = {name: [*_list(payload, name)[:longest]] for name, _ in _PARTS}
    totals: dict[str, Json] = {name: len(_list(payload, name)) for name, _ in _PARTS}
    return {**payload, **cut, "totals": totals}


def subject(payload: Found) -> str:
    """The digest in a line."""
    words = [f"{len(_list(payload, name))} {said}" for name, said in _PARTS if _list(payload, name)]
    return f"[DIGEST] {payload['as_of']}: {', '.join(words) or 'all is well'}"


def text(payload: Found, public_url: str | None) -> str:
    """The digest in full."""
    lines = [
        f"{payload['strategies']} strategies and groups were judged for {payload['as_of']}, "
        f"by {payload['evaluations']} evaluations."
    ]
    incidents = _list(payload, "incidents")
    counts = Counter(Severity(str(one["severity"])) for one in incidents)
    if incidents:
        worst = sorted(counts, key=lambda one: -one.rank)
        lines.append("Open: " + ", ".join(f"{counts[one]} {one.value}" for one in worst) + ".")
        lines += [f"- {wording.badge(one)} {wording.headline(one)}" for one in incidents[:_MAXIMUM]]
        lines += _rest(incidents)
    else:
        lines.append("No incident is open.")
    for name, said in _PARTS[1:]:
        found = _list(payload, name)
        if found:
            lines.append(f"{len(found)} {said}:")
            lines += [
                f"- {wording.clean(one['strategy'])}: {wording.clean(one['rule'])}"
                for one in found[:_MAXIMUM]
            ]
            lines += _rest(found)
    if public_url:
        lines.append(f"{public_url}/incidents")
    return "\n".join(lines)


_PARTS = (
    ("incidents", "open"),
    ("weak", "weak breaches"),
    ("unmeasured", "not judged for want of data"),
)


def _list(payload: Found, name: str) -> list[dict[str, Json]]:
    found = payload[name]
    if not isinstance(found, list):
        raise TypeError(f"{name} is no list")
    return [one for one in found if isinstance(one, dict)]


def _rest(found: Sequence[object]) -> list[str]:
    return [f"- and {len(found) - _MAXIMUM} more"] if len(found) > _MAXIMUM else []
