"""What a desk's false-alarm budget costs a year, and which changes it sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perf_alerts_dagster.core.wording import first_few, rounded
from perf_alerts_dagster.judging.budget import Budgets, Stated
from perf_alerts_dagster.judging.shares import Share
from perf_alerts_dagster.projections.calibration import WARNING, Calibration

# Lost annual Sharpe ratios whose detection is stated, and the one that is named.
LOST = (1, 2, 3)
_NAMED = 2
# A change is not visible where it is notified in fewer years than this beyond those in which
# nothing changed.
VISIBLE = 0.2
# What differs by less from what is stated is the error of interpolation.
_NEAR = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The chance that a lost annual Sharpe ratio is notified within a year of its loss.

    In the mean over strategies: `shared` at the levels of the desk, `alone` at those of a strategy
    without others; `unchanged` is the chance at the desk's levels where nothing is lost.
    """

    lost: int
    shared: float
    alone: float
    unchanged: float

    @property
    def is_visible(self) -> bool:
        """Whether the loss is notified noticeably more often than nothing is."""
        return self.shared - self.unchanged >= VISIBLE


def detections(
    calibrations: Mapping[str, Calibration], budgets: Budgets, strategies: int
) -> list[Detection]:
    """What is seen of each of `LOST`; nothing without healthy years."""
    if not calibrations:
        return []
    found = []
    for lost in LOST:
        chances = [
            _chances(
                each, lost, [budgets.factors_of(name, each, size)[0] for size in (strategies, 1)]
            )
            for name, each in calibrations.items()
        ]
        shared, alone, unchanged = np.mean(chances, axis=0).tolist()
        found.append(Detection(lost=lost, shared=shared, alone=alone, unchanged=unchanged))
    return found


def _chances(calibration: Calibration, lost: int, factors: Sequence[float]) -> tuple[float, ...]:
    seen = [calibration.seen(lost, WARNING, factor) for factor in factors]
    return (*seen, calibration.seen(0, WARNING, factors[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the budget of a desk of `strategies`, groups among them, costs a year, and what it sees.

    `shares` are of those that were looked at: of all, or of some of them.
    """

    strategies: int
    shares: Sequence[Share]
    seen: Sequence[Detection]
    stated: Stated


def cost_lines(cost: Cost) -> list[str]:
    """The cost in a few lines for people."""
    rated = [share.expected for share in cost.shares if share.expected is not None]
    looked = len(cost.shares)
    lines = []
    if looked < cost.strategies:
        lines.append(
            f"counted on {looked} of {cost.strategies} strategies and groups, evenly by name, and "
            "scaled to all"
        )
    if len(rated) < looked:
        lines.append(
            f"{looked - len(rated)} of {looked} have no rate yet: what needs evidence is not "
            "notified of them, and their limits are not counted here"
        )
    if not rated:
        return lines
    scale = cost.strategies / looked
    warnings = scale * sum(each.warnings for each in rated)
    criticals = scale * sum(each.criticals for each in rated)
    by_line = scale * sum(each.line for each in rated)
    limits = scale * sum(value or 0.0 for share in cost.shares for value in share.limits.values())
    lines.append(
        f"expect {rounded(warnings)} warnings, {rounded(criticals)} criticals, "
        f"{rounded(limits)} limit messages a year{_seen(cost.seen)}"
    )
    lines.append(
        "that is the mean over years in which nothing changes; criticals are among the warnings, "
        f"{rounded(by_line)} of them emergencies by a strategy's own drawdown line"
    )
    stated = scale * len(rated) * cost.stated.warning
    if warnings < (1.0 - _NEAR) * stated:
        lines.append(
            f"less than the {rounded(stated)} warnings that are stated: "
            "ALERT_FALSE_ALARM_WARNING or ALERT_FALSE_ALARM_RULES bounds rules"
        )
    if warnings > (1.0 + _NEAR) * stated:
        above = [
            share.strategy
            for share in cost.shares
            if share.expected and share.expected.warnings > (1.0 + _NEAR) * cost.stated.warning
        ]
        lines.append(
            f"more than the {rounded(stated)} warnings that are stated: healthy drawdowns of "
            f"{first_few(above)} pass own lines more often than the budget allows for"
        )
    if cost.stated.is_least:
        lines.append(
            "the least share that a strategy or group is given is more than the desk has for each "
            f"of {cost.strategies}: its figure is above ALERT_FALSE_ALARMS_PER_YEAR or "
            "ALERT_FALSE_CRITICALS_PER_YEAR"
        )
    return lines


def _seen(seen: Sequence[Detection]) -> str:
    found = "".join(
        f"; a lost Sharpe of {each.lost} is seen within a year with {_share(each.shared)} "
        f"(alone: {_share(each.alone)}; where nothing is lost: {_share(each.unchanged)})"
        for each in seen
        if each.lost == _NAMED
    )
    faint = [str(each.lost) for each in seen if not each.is_visible]
    names = f"; not visible here: a Sharpe of {' or '.join(faint)} that fades" if faint else ""
    return found + names


def _share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")
