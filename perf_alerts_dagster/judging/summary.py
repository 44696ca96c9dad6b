"""A strategy's outcome over all of its rules, and what too little data leaves unwatched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.context import LACKING
from perf_alerts_dagster.judging.evaluation import (
    ABSENT,
    LACKS,
    UNMEASURED,
    Evaluation,
    Judgement,
    Outcome,
)
from perf_alerts_dagster.judging.rules import hedged, mandates
from perf_alerts_dagster.judging.rules.catalogue import BY_ID, OF_SHADOWS, RULES
from perf_alerts_dagster.judging.rules.thresholds import WIPE_OUT

# The worst first.
WORST_FIRST = (
    Outcome.ERROR,
    Outcome.NO_DATA,
    Outcome.BREACH,
    Outcome.INSUFFICIENT_DATA,
    Outcome.PARTIAL,
    Outcome.OK,
)
_LACKING = Outcome.INSUFFICIENT_DATA
_JUDGED = frozenset({Outcome.OK, Outcome.PARTIAL, Outcome.BREACH})
# The rules that make a strategy judged; optional ones have no evaluation where they do not apply.
# What cannot be hedged is judged as it is.
_COUNTED = frozenset(
    rule.id
    for rule in RULES
    if rule.family in (Family.PROJECTION, Family.THRESHOLD)
    and rule not in (*mandates.RULES, hedged.RULE)
    and not rule.of_shadow
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLittle:
    """`observations` of the `required` rows (or `unit`) of the longest rule that lacks data.

    `watched` names the rules that have an outcome all the same. `why` says what is lacking where
    it is not the number of rows.
    """

    observations: int = 0
    required: int = 0
    unit: str = "rows"
    watched: tuple[str, ...] = ()
    why: str = ""

    def __str__(self) -> str:
        """`40 of 252 rows; watched only for data and drawdown`."""
        rows = self.why or f"{self.observations} of {self.required} {self.unit}"
        watched = f"watched only for {listed(self.watched)}" if self.watched else "not judged"
        return f"{rows}; {watched}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A strategy's outcome in one word; `too_little` where most of its rules lack data.

    `note` says why it was not judged, or not in full; empty where it was. `so` says what its
    missing rows mean for its groups. `is_explained`: that is all that a group lacks.
    """

    outcome: Outcome
    too_little: TooLittle | None = None
    note: str = ""
    so: str = ""
    is_explained: bool = False


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def watched_for(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """What has an outcome: "data" for the data rules, then the titles of the others.

    A wipe-out is the deepest drawdown, and not named beside it.
    """
    judged = {each.rule for each in evaluations if each.outcome in _JUDGED} - {WIPE_OUT.id}
    rules = [rule for rule in RULES if rule.id in judged]
    data = ["data" for rule in rules if rule.family is Family.DATA]
    return (*data[:1], *(rule.title for rule in rules if rule.family is not Family.DATA))


def summary_of(evaluations: Sequence[Evaluation]) -> Summary:
    """A strategy's worst outcome: error, no data, breach, too little data, partial, ok.

    Too little data: more than half of the projection and threshold rules that apply (mandates
    and data rules not counted) are insufficient and none of them breaches, or nothing was
    measured at all. Then an info of another rule, such as a late row, is no breach.
    A shadow that cannot be read or has stopped takes away the good news and nothing else.
    """
    blind = [e for e in evaluations if e.rule in OF_SHADOWS and e.outcome in UNMEASURED]
    if blind and len(blind) < len(evaluations):
        rest = summary_of([each for each in evaluations if each not in blind])
        is_ok = rest.outcome is Outcome.OK
        return replace(rest, outcome=Outcome.PARTIAL, note=blind[0].message) if is_ok else rest
    too_little = _too_little(evaluations)
    seen = {each.outcome for each in evaluations} - {_LACKING}
    if too_little is not None:
        notable = (each.outcome for each in evaluations if each.severity is not Severity.INFO)
        seen = {*notable, _LACKING}
    outcome = min(seen, key=WORST_FIRST.index)
    note = str(too_little or "")
    if outcome in (Outcome.ERROR, Outcome.NO_DATA, Outcome.PARTIAL):
        first = next(each for each in evaluations if each.outcome is outcome)
        # What is within its limits on the rows that are there is no reason.
        note = str(first.parts.get(LACKS) or first.message)
    return Summary(outcome=outcome, too_little=too_little, note=note)


def by_strategy(judgement: Judgement) -> dict[str, list[Evaluation]]:
    """The evaluations of each strategy, by its name."""
    found: dict[str, list[Evaluation]] = {}
    for evaluation in sorted(judgement.evaluations, key=lambda each: each.strategy):
        found.setdefault(evaluation.strategy, []).append(evaluation)
    return found


def summaries(judgement: Judgement) -> dict[str, Summary]:
    """The summary of each strategy, by its name; what is missing is said once, by its cause."""
    evaluations = by_strategy(judgement)
    found = {name: summary_of(each) for name, each in evaluations.items()}
    blind = {name for name, summary in found.items() if summary.outcome in UNMEASURED}
    without: dict[str, list[str]] = {}
    for name, own in evaluations.items():
        parts = next((each.parts for each in own if ABSENT in each.parts), None)
        if parts is None:
            continue
        absent = parts[ABSENT]
        missing = {str(each) for each in absent} if isinstance(absent, list) else set()
        for member in missing & blind:
            without.setdefault(member, []).append(name)
        is_lacking = found[name].outcome in (Outcome.NO_DATA, Outcome.PARTIAL)
        found[name] = replace(found[name], is_explained=is_lacking and missing <= blind)
    for member, groups in without.items():
        shares = {name: _present(evaluations[name]) for name in groups}
        so = _consequence(shares, [name for name in groups if found[name].outcome in UNMEASURED])
        note = f"{found[member].note}; {so}"
        found[member] = replace(found[member], so=so, note=note)
    return found


def _present(evaluations: Sequence[Evaluation]) -> str:
    """The members of a group that are there, such as `39 of 40, 98 % of capital`."""
    lacks = next(str(each.parts[LACKS]) for each in evaluations if ABSENT in each.parts)
    return lacks.partition(";")[0]


def _consequence(shares: Mapping[str, str], blind: Sequence[str]) -> str:
    """What a missing member means for its groups: `so ALL (2 of 3) is judged without it`."""
    rest = [name for name in shares if name not in blind]
    said = []
    for names, how in ((blind, "not judged"), (rest, "judged without it")):
        if names:
            groups = listed([f"{name} ({shares[name]})" for name in names])
            said.append(f"{groups} {'is' if len(names) == 1 else 'are'} {how}")
    return f"so {listed(said)}"


def outcomes(judgement: Judgement) -> dict[str, Outcome]:
    """The outcome of each strategy, by its name."""
    return {name: summary.outcome for name, summary in summaries(judgement).items()}


def too_little_notes(judgement: Judgement) -> dict[str, str]:
    """How much is there of what, and what is watched, of each strategy with too little data."""
    seen = summaries(judgement)
    return {name: str(each.too_little) for name, each in seen.items() if each.too_little}


def _too_little(evaluations: Sequence[Evaluation]) -> TooLittle | None:
    is_nothing_judged = all(each.outcome is _LACKING for each in evaluations)
    lacking = evaluations if is_nothing_judged else _lacking(evaluations)
    if not lacking:
        return TooLittle() if is_nothing_judged else None
    longest = max(lacking, key=lambda each: (each.required or 0, -(each.observations or 0)))
    observations, required = longest.observations or 0, longest.required or 0
    return TooLittle(
        observations=observations,
        required=required,
        unit=str(longest.parts.get(LACKING, "rows")),
        watched=watched_for(evaluations),
        why=longest.message if observations >= required else "",
    )


def _lacking(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The evaluations that lack data, where they are those of most of the rules that count."""
    seen: dict[str, set[Outcome]] = {}
    for each in evaluations:
        if each.rule in _COUNTED:
            seen.setdefault(each.rule, set()).add(each.outcome)
    lacking = {rule for rule, outcomes in seen.items() if outcomes == {_LACKING}}
    # Another alert's threshold rules by themselves do not say what the projection rules see.
    is_projected = any(BY_ID[rule].family is Family.PROJECTION for rule in seen)
    is_breach = any(Outcome.BREACH in outcomes for outcomes in seen.values())
    if is_breach or not is_projected or 2 * len(lacking) <= len(seen):
        return []
    return [each for each in evaluations if each.rule in lacking]
