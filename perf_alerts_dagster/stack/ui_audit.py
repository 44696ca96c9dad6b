"""Audit of the web UI: the intent before each change, its outcome after it, and refusals."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus

from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import JSONResponse

from perf_alerts_dagster.control.audit import AuditOutcome
from perf_alerts_dagster.control.audit import Change as Row
from perf_alerts_dagster.control.principal import Principal
from perf_alerts_dagster.control.sql import SqlAudit, add
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.stack.browser_guard import Refusal, problem
from perf_alerts_dagster.stack.ui_mutations import Change
from perf_alerts_dagster.storage.engine import writing

LOG = logging.getLogger(__name__)

# Seconds in which a refusal of the same thing to the same person is recorded once.
_REFUSALS = 60.0


class AuditedChanges:
    """Makes the changes that people ask for in the web UI, where they may, and audits them."""

    def __init__(self, engine: Engine, name_of: Callable[[str], str]) -> None:
        """Audit in the alert store; `name_of` gives the name of a schedule or sensor by its id."""
        self._engine = engine
        self._name_of = name_of
        self._refused: dict[tuple[str, str], float] = {}

    async def make(
        self,
        request: Request,
        request_id: str,
        changes: Sequence[Change],
        work: Callable[[], Awaitable[JSONResponse]],
    ) -> JSONResponse:
        """The answer of `work`, which makes the changes; 403 or 503 where nothing was done."""
        person: Principal = request.state.person

        def row(change: Change) -> Row:
            return Row(
                at=datetime.now(UTC),
                actor=person.user_id,
                key_id=person.key_id,
                address=request.client.host if request.client else "",
                action=f"ui:{change.name}",
                target=change.target(self._name_of),
                request_id=request_id,
                server_request_id=request_id,
            )

        for change in changes:
            if change.permission not in person.permissions:
                await asyncio.to_thread(self._record_refusal, change, row)
                text = f"{change.permission.value} is needed, and the role does not have it"
                return problem(Refusal(HTTPStatus.FORBIDDEN, text))
        audited = [change for change in changes if not change.is_harmless]
        try:
            ids = await asyncio.to_thread(self._record_intents, audited, row) if audited else ()
        except StoreUnavailable as error:
            LOG.warning("a change in the web UI was refused: %s", error)
            text = "nothing was changed: the alert store, which audits it, cannot be used now"
            return problem(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text))
        answer: JSONResponse | None = None
        try:
            answer = await work()
        finally:
            await asyncio.to_thread(self._record_outcomes, audited, ids, answer)
        return answer

    def _record_refusal(self, change: Change, row: Callable[[Change], Row]) -> None:
        wanted = row(change)
        kind, now = (wanted.actor, wanted.action), time.monotonic()
        if now < self._refused.get(kind, now - _REFUSALS) + _REFUSALS:
            return
        self._refused[kind] = now
        LOG.warning("refused to %s: %s of %s", *kind, wanted.target)
        try:
            with writing(self._engine) as connection:
                add(connection, wanted, AuditOutcome.FAILED)
        except StoreUnavailable as error:
            # It is refused all the same.
            LOG.warning("a refusal is not in the audit: %s", error)

    def _record_intents(
        self, changes: Sequence[Change], row: Callable[[Change], Row]
    ) -> Sequence[int]:
        with writing(self._engine) as connection:
            return [add(connection, row(change), AuditOutcome.OPEN) for change in changes]

    def _record_outcomes(
        self, changes: Sequence[Change], ids: Sequence[int], answer: JSONResponse | None
    ) -> None:
        status = HTTPStatus.INTERNAL_SERVER_ERROR if answer is None else answer.status_code
        data = json.loads(bytes(answer.body)).get("data") if answer and answer.body else None
        try:
            for change, row_id in zip(changes, ids, strict=True):
                outcome, details = change.result(status, data)
                SqlAudit(self._engine).outcome(row_id, outcome, details or None)
        except StoreUnavailable as error:
            # The sweep of the audit calls it unknown.
            LOG.warning("the outcome of a change in the web UI is not in the audit: %s", error)
