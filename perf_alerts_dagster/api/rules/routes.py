"""The endpoint of the rules."""

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from perf_alerts_dagster.api.admin.routes import limits_in_force
from perf_alerts_dagster.api.budget.routes import ledger_now
from perf_alerts_dagster.api.budget.schemas import notifies
from perf_alerts_dagster.api.resources import api_of, control_of
from perf_alerts_dagster.api.rules import schemas
from perf_alerts_dagster.bootstrap.ledger import is_gated
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.wording import counted
from perf_alerts_dagster.http.requests import json_answer
from perf_alerts_dagster.identity.permissions import StatusViewer
from perf_alerts_dagster.incidents.store.overview import DAYS
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.judging.rule import LimitBook, Rule
from perf_alerts_dagster.judging.rules.catalogue import RULES
from perf_alerts_dagster.judging.store.overview import MEDIANS, RuleWorth
from perf_alerts_dagster.proxy.schemas import FalseAlarms

router = APIRouter(prefix="/rules", tags=["rules"])

_VERSIONS = 10
_NONE = RuleWorth()


@router.get("", response_model=schemas.RulesAnswer)
async def rules(request: Request, who: StatusViewer) -> Response:
    """The rules: limits in force, what each is worth, its budget and openings."""
    data = await rules_now(request)
    return json_answer(
        schemas.RulesAnswer(success=True, data=data, timestamp=timestamp(api_of(request).now()))
    )


async def rules_now(request: Request) -> schemas.RulesData:
    """The rules as the store has them now.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    resources, control = api_of(request), control_of(request)
    parts = resources.parts
    versions, worth, opened, (ledger, _) = await asyncio.gather(
        asyncio.to_thread(control.thresholds.history, _VERSIONS),
        asyncio.to_thread(parts.overview.worth),
        asyncio.to_thread(parts.deliveries.openings, resources.now()),
        ledger_now(request),
    )
    current = versions[0] if versions else None
    content = limits_in_force(current, control)
    book = limit_book(content["thresholds"], content["policy_limits"])
    return schemas.RulesData(
        version=current.version if current else 0,
        versions=[schemas.LimitsVersion.model_validate(each) for each in versions],
        mandates={"default": {}, "strategies": {}} | content["policy_limits"],
        holds=is_gated(resources.settings),
        days=DAYS,
        rules=[
            _rule(rule, book, worth.get(rule.id, _NONE), opened, ledger.by_rule) for rule in RULES
        ],
    )


def _rule(
    rule: Rule,
    book: LimitBook,
    worth: RuleWorth,
    opened: Mapping[str, int],
    accounts: Mapping[str, object],
) -> schemas.RuleData:
    own = accounts.get(rule.id)
    return schemas.RuleData(
        rule=rule.id,
        title=rule.title,
        family=rule.family,
        unit=rule.unit,
        kind=rule.kind,
        plot=rule.plot,
        hint=rule.hint,
        gated=rule.gated,
        notifies=notifies(rule.id),
        weight=rule.weight,
        accepts=rule.accepts,
        limits=[
            schemas.Limit(
                name=name,
                documented=documented,
                default=book.limits[name],
                strategies={
                    strategy: limits[name]
                    for strategy, limits in book.limits_of.items()
                    if limits[name] != book.limits[name]
                },
            )
            for name, documented in rule.limits.items()
        ],
        worth=schemas.Worth(
            strategies=worth.strategies,
            lacking=worth.lacking,
            unmeasured=worth.unmeasured,
            measured=worth.measured,
            **{name: worth.medians.get(name) for name in MEDIANS},
        ),
        false_alarms=None if own is None else FalseAlarms.model_validate(own),
        opened=opened.get(rule.id, 0),
        cannot_see=_cannot_see(rule, worth),
    )


def _cannot_see(rule: Rule, worth: RuleWorth) -> str:
    """What a rule cannot see, by what was judged last."""
    if not worth.strategies:
        return "It has judged no strategy yet."
    said, all_of_them = [], counted(worth.strategies, "strategy")
    said.append(rule.unseen(worth.medians.get("power_252")))
    if worth.lacking:
        has = "has" if worth.lacking == 1 else "have"
        said.append(f"{worth.lacking} of {all_of_them} {has} too little data")
    if worth.unmeasured:
        said.append(f"{worth.unmeasured} of {all_of_them} could not be measured")
    words = "; ".join(said)
    return f"{words[0].upper()}{words[1:]}."
