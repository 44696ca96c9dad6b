"""The endpoint of the false-alarm budget."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from fastapi import APIRouter, Request, Response

from perf_alerts_dagster.api.admin.routes import limits_in_force
from perf_alerts_dagster.api.budget.schemas import BudgetAnswer, answer_of
from perf_alerts_dagster.api.resources import api_of, control_of
from perf_alerts_dagster.bootstrap.ledger import is_gated
from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.http.requests import json_answer
from perf_alerts_dagster.identity.permissions import StatusViewer
from perf_alerts_dagster.incidents.ledger import Ledger
from perf_alerts_dagster.records.model import StrategyRecord

router = APIRouter(tags=["budget"])


@router.get("/false-alarm-budget", response_model=BudgetAnswer)
async def false_alarm_budget(request: Request, who: StatusViewer) -> Response:
    """What the settings state a year, what was opened in the last 365 days, and what is left."""
    ledger, now = await ledger_now(request)
    return json_answer(answer_of(ledger, now, holds=is_gated(api_of(request).settings)))


async def ledger_now(request: Request) -> tuple[Ledger, datetime]:
    """The ledger of the last 365 days, and the time that it is of."""
    resources, control = api_of(request), control_of(request)
    now = resources.now()
    records: Mapping[str, StrategyRecord] = {}
    current = await asyncio.to_thread(control.thresholds.current)
    if limits_in_force(current, control)["policy_limits"]:
        # Without the source the limits of losses have no expected number; the rest has.
        with suppress(RecordsUnavailable, RecordsInvalid):
            records = (await resources.parts.records.reading(now)).records.strategies
    ledger = await asyncio.to_thread(resources.parts.ledger, now, records)
    return ledger, now
