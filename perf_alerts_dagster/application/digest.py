"""The digest: once a day, what was judged and what is open; it also says when all is well."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from perf_alerts_dagster.application import wording
from perf_alerts_dagster.application.judgement import Judgement
from perf_alerts_dagster.domain.evaluation import Evaluation, Json, Outcome
from perf_alerts_dagster.domain.incidents.outbox import Line, shown, worst_first
from perf_alerts_dagster.domain.incidents.state import Incident, Reason
from perf_alerts_dagster.domain.severity import Severity

# A longer list is counted.
_MOST = 20
_UNMEASURED = (Outcome.NO_DATA, Outcome.ERROR)

Found = Mapping[str, Json]


def digest_of(
    judgement: Judgement, incidents: Sequence[Incident], *, gate: bool
) -> dict[str, Json]:
    """What the digest of a judged session tells, JSON-ready.

    `incidents` are those that are not over. Breaches that are not told for want of evidence are
    its weak ones.
    """
    evaluations = judgement.evaluations
    lines = [Line(incident=one, reason=Reason.OPENED, number=0) for one in incidents]
    open_: list[Json] = [shown(one) for one in worst_first(lines)]
    return {
        "alert": judgement.alert,
        "as_of": judgement.as_of.isoformat(),
        "strategies": len({one.strategy for one in evaluations}),
        "evaluations": len(evaluations),
        "incidents": open_,
        "weak": _named(
            one
            for one in evaluations
            if one.outcome is Outcome.BREACH and not one.is_told(gate=gate)
        ),
        "unmeasured": _named(one for one in evaluations if one.outcome in _UNMEASURED),
    }


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
        lines += [f"- {wording.badge(one)} {wording.headline(one)}" for one in incidents[:_MOST]]
        lines += _rest(incidents)
    else:
        lines.append("No incident is open.")
    for name, said in _PARTS[1:]:
        found = _list(payload, name)
        if found:
            lines.append(f"{len(found)} {said}:")
            lines += [
                f"- {wording.clean(one['strategy'])}: {wording.clean(one['rule'])}"
                for one in found[:_MOST]
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
    return [f"- and {len(found) - _MOST} more"] if len(found) > _MOST else []


def _named(evaluations: Iterable[Evaluation]) -> list[Json]:
    return [{"strategy": one.strategy, "rule": one.rule} for one in evaluations]
