"""The endpoint of the false-alarm budget."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from fastapi import APIRouter, Request, Response

from perf_alerts_dagster.api.budget.schemas import BudgetAnswer, answer_of
from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.bootstrap.ledger import is_gated
from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.http.requests import json_answer
from perf_alerts_dagster.identity.permissions import StatusViewer
from perf_alerts_dagster.records.model import StrategyRecord

router = APIRouter(tags=["budget"])


@router.get("/false-alarm-budget", response_model=BudgetAnswer)
async def false_alarm_budget(request: Request, who: StatusViewer) -> Response:
    """What the settings state a year, what was opened in the last 365 days, and what is left."""
    resources = api_of(request)
    now = resources.now()
    records: Mapping[str, StrategyRecord] = {}
    if resources.settings.policy_limits:
        # Without the source the limits of losses have no expected number; the rest has.
        with suppress(RecordsUnavailable, RecordsInvalid):
            records = await resources.parts.records.all(now)
    ledger = await asyncio.to_thread(resources.parts.ledger, now, records)
    return json_answer(answer_of(ledger, now, holds=is_gated(resources.settings)))
