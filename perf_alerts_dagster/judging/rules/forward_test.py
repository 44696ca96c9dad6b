"""Forward test change: how far the expected monthly P&L fell since last month's projection."""

from datetime import date

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Ladder, Severity
from perf_alerts_dagster.core.wording import day_words, percent
from perf_alerts_dagster.judging.evaluation import (
    Evaluation,
    Kind,
    Outcome,
    evidence_of,
    headed,
    notified_as,
)
from perf_alerts_dagster.judging.rule import Rule, Unit
from perf_alerts_dagster.projections.projection import Expectation

_FALL = 0.25
RULE = Rule(
    id="forward_test_change",
    title="forward test change",
    family=Family.FORWARD,
    unit=Unit.PERCENT,
    hint="see which month made the expectation change; the band watches the same rows.",
    plot="expectations",
    kind=Kind.EVENT,
    gated=True,
    ladder=Ladder(breach="at or below", warning=-_FALL, critical=-0.50),
)
_MONTHS = 12


def forward_test_change(
    strategy: str,
    *,
    before: Expectation | None,
    now: Expectation | None,
    month_share: float | None = None,
    levels: tuple[float, float] = (0.05, 0.01),
) -> Evaluation:
    """Judge the relative change `(now - before) / |before|` of the expected monthly return.

    `month_share` is the share of the earlier projection's paths that fell as far as the live
    month; its yearly form, 1 - (1 - share)^12, is the evidence, against `levels` at warning and
    at critical. 10,000 paths give no rate of a year below one in 800, and the band watches the
    same month with more: the rule has no weight and is only shown.

    A fall of 25 % is a warning, of 50 % critical; a rise of as much is info. Without an earlier
    projection, or where the earlier expectation is smaller than its own standard error, the
    outcome is insufficient data.
    """
    parts: dict[str, Json] = {
        "expected_monthly_return": now.monthly if now else None,
        "expected_monthly_return_before": before.monthly if before else None,
        "standard_error_before": before.standard_error if before else None,
        "issued_before": before.issued_on if before else None,
    }
    if now is None or before is None or abs(before.monthly) <= before.standard_error:
        why = "needs a projection of an earlier month"
        if now and before:
            why = "the earlier expectation is smaller than its standard error, so none is measured"
        return Evaluation(
            strategy=strategy,
            rule=RULE.id,
            kind=RULE.kind,
            outcome=Outcome.INSUFFICIENT_DATA,
            limit=RULE.ladder.warning,
            message=why,
            parts=parts,
        )
    change = (now.monthly - before.monthly) / abs(before.monthly)
    severity, limit = RULE.step(change)
    if severity is None and change >= _FALL:
        # A rise of as much is shown.
        severity = Severity.INFO
    session, earlier = (date.fromisoformat(each.issued_on) for each in (now, before))
    monthly, was = (percent(each.monthly, signed=True) for each in (now, before))
    day = day_words(earlier, beside=session)
    p_year = None if month_share is None else 1.0 - (1.0 - month_share) ** _MONTHS
    return Evaluation(
        strategy=strategy,
        rule=RULE.id,
        kind=RULE.kind,
        session=session,
        outcome=Outcome.OK if severity is None else Outcome.BREACH,
        severity=severity,
        value=change,
        limit=limit,
        evidence=evidence_of(severity, p_year, levels),
        p_year=p_year,
        message=f"expects {monthly} a month, {was} on {day} ({percent(change, signed=True)})",
        parts=parts
        | notified_as(severity, p_year, levels)
        | headed(f"expects {monthly} a month, {was} on {day}" if severity else ""),
    )
