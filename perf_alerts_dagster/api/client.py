"""A typed asynchronous client of the REST API.

```python
async with AlertsClient("http://127.0.0.1:8089", api_key=key) as client:
    status = await client.status()
    answer = await client.trigger("daily_pnl_check", wait=30)
```
"""

from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from perf_alerts_dagster.api.desk.schemas import DeskAnswer, DeskRow
from perf_alerts_dagster.api.operations.schemas import ReadyAnswer
from perf_alerts_dagster.api.strategies.schemas import (
    ProjectionAnswer,
    RuleEvaluation,
    StrategiesAnswer,
    StrategyState,
)
from perf_alerts_dagster.api.strategies.stored_schemas import (
    CalibrationsAnswer,
    EvaluationsAnswer,
    IssuesAnswer,
    PathRow,
    SeriesAnswer,
    StrategyAnswer,
)
from perf_alerts_dagster.core.clock import optional_time
from perf_alerts_dagster.http.paths import BASE
from perf_alerts_dagster.http.schemas import Page
from perf_alerts_dagster.proxy import schemas

_SECONDS = 15.0

P = TypeVar("P", bound=Page)


class ApiError(Exception):
    """The API answered with an error; the fields are those of the problem document."""

    def __init__(
        self,
        status: int,
        *,
        code: str,
        detail: str,
        request_id: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.retry_after = retry_after


class AlertsClient:
    """Calls one proxy with an API key or a token."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        token: str | None = None,
        header: str = "X-Alert-API-Key",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare calls; nothing is connected yet.

        Args:
            url: Scheme, host and port of the proxy.
            api_key: Sent with every call.
            token: Sent instead of the key; `login` sets it.
            header: The header of the key, ALERT_API_KEY_HEADER.
            transport: Replaces the network in tests.
        """
        self._api_key = api_key
        self._token = token
        self._header = header
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/") + BASE,
            timeout=_SECONDS,
            transport=transport,
            headers={"Accept": "application/json"},
        )

    async def __aenter__(self) -> Self:
        """Use as a context: the connections end with it."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def login(self) -> Mapping[str, Any]:
        """Exchange the API key for a token, which later calls use."""
        key = {"api_key": self._api_key}
        content = await self._send("POST", "/auth/login", json=key, bare=True)
        self._token = content["access_token"]
        return content

    async def logout(self) -> None:
        """Revoke the token; later calls use the API key again."""
        await self._send("POST", "/auth/logout")
        self._token = None

    async def me(self) -> Mapping[str, Any]:
        """The caller's name, roles and permissions."""
        return await self._send("GET", "/auth/me")

    async def status(self) -> schemas.StatusAnswer:
        """The scheduler and its alerts."""
        return schemas.StatusAnswer.model_validate(await self._send("GET", "/schedule/status"))

    async def summary(self, hours: int) -> schemas.SummaryAnswer:
        """Counts of runs, evaluations and incidents over the last 1 to 168 hours."""
        return schemas.SummaryAnswer.model_validate(
            await self._send("GET", f"/schedule/summary/{hours}")
        )

    async def trigger(
        self,
        alert: str,
        *,
        as_of: date | None = None,
        wait: int | None = None,
        idempotency_key: str | None = None,
    ) -> schemas.TriggerAnswer:
        """Start an alert's run, or get the run of the same idempotency key.

        Args:
            alert: Its name.
            as_of: The session to judge; the newest where None.
            wait: Seconds to wait for its end, at most 60.
            idempotency_key: The same key gives the same run, for a day.
        """
        return schemas.TriggerAnswer.model_validate(
            await self._send(
                "POST",
                f"/schedule/trigger/{quote(alert, safe='')}",
                json=None if as_of is None else {"as_of": as_of.isoformat()},
                params={} if wait is None else {"wait": str(wait)},
                headers={} if idempotency_key is None else {"Idempotency-Key": idempotency_key},
                seconds=_SECONDS + (wait or 0),
            )
        )

    async def enable(self, alert: str) -> schemas.ToggleAnswer:
        """Turn an alert's schedule on."""
        path = f"/schedule/enable/{quote(alert, safe='')}"
        return schemas.ToggleAnswer.model_validate(await self._send("POST", path))

    async def disable(
        self, alert: str, *, reason: str | None = None, until: datetime | None = None
    ) -> schemas.ToggleAnswer:
        """Turn an alert's schedule off, for good or `until` an aware time."""
        members = {"reason": reason, "until": optional_time(until)}
        body = {name: value for name, value in members.items() if value is not None}
        path = f"/schedule/disable/{quote(alert, safe='')}"
        return schemas.ToggleAnswer.model_validate(
            await self._send("POST", path, json=body or None)
        )

    async def executions(
        self,
        *,
        alert: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[schemas.Execution]:
        """All runs that match the filters, newest first, over all pages."""
        filters = {"alert": alert, "status": status, "since": optional_time(since)}
        async for page in self._pages(schemas.ExecutionsAnswer, "/schedule/executions", filters):
            for run in page.data:
                yield run

    async def strategies(self) -> AsyncIterator[StrategyState]:
        """All strategies with their newest evaluations, by name, over all pages."""
        async for page in self._pages(StrategiesAnswer, "/strategies", {}):
            for strategy in page.data:
                yield strategy

    async def strategy(self, strategy: str, *, as_of: date | None = None) -> StrategyAnswer:
        """How a strategy or group stands, and what its rows are like."""
        return StrategyAnswer.model_validate(await self._of(strategy, "", as_of))

    async def series(
        self, strategy: str, *, first: date | None = None, last: date | None = None
    ) -> AsyncIterator[PathRow]:
        """The rows of a strategy with their path, oldest first, over all pages."""
        filters = {**_span(first, last), "limit": "500"}
        async for page in self._pages(SeriesAnswer, f"{_path(strategy)}/series", filters):
            for row in page.data.rows:
                yield row

    async def evaluations(
        self,
        strategy: str,
        *,
        rule: str | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> AsyncIterator[RuleEvaluation]:
        """The evaluations of a strategy, the newest session first, over all pages."""
        filters = {**_span(first, last), "rule": rule}
        async for page in self._pages(EvaluationsAnswer, f"{_path(strategy)}/evaluations", filters):
            for evaluation in page.data:
                yield evaluation

    async def calibrations(self, strategy: str, *, as_of: date | None = None) -> CalibrationsAnswer:
        """What the limits of a strategy's rules stand for."""
        return CalibrationsAnswer.model_validate(await self._of(strategy, "/calibrations", as_of))

    async def projections(self, strategy: str) -> IssuesAnswer:
        """All projections that were issued for a strategy and judge it, the newest first."""
        return IssuesAnswer.model_validate(await self._of(strategy, "/projections", None))

    async def desk(self, **filters: str) -> AsyncIterator[DeskRow]:
        """How every strategy and group stands, over all pages; `filters` are those of GET /desk."""
        async for page in self._pages(DeskAnswer, "/desk", filters):
            for row in page.data.rows:
                yield row

    async def projection(self, strategy: str, *, as_of: date | None = None) -> ProjectionAnswer:
        """The projections in force for a strategy, with the realised path since."""
        return ProjectionAnswer.model_validate(await self._of(strategy, "/projection", as_of))

    async def _of(self, strategy: str, word: str, as_of: date | None) -> dict[str, Any]:
        params = {} if as_of is None else {"as_of": as_of.isoformat()}
        return await self._send("GET", _path(strategy) + word, params=params)

    async def ready(self) -> ReadyAnswer:
        """The checks of readiness; a proxy that is not ready raises no error."""
        answer = await self._http.get("/health/ready")
        return ReadyAnswer.model_validate(answer.json())

    async def reload(self) -> schemas.DoneAnswer:
        """Have Dagster load the definitions again."""
        return schemas.DoneAnswer.model_validate(await self._send("POST", "/admin/reload"))

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The JSON of any other endpoint; `path` is below the base path."""
        return await self._send(method, path, json=json, params=params)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = _SECONDS,
        bare: bool = False,
    ) -> dict[str, Any]:
        """The JSON of the answer to one request; `bare` sends no credentials.

        Raises:
            ApiError: the API refused it.
            httpx.HTTPError: there was no answer.
        """
        answer = await self._http.request(
            method,
            path,
            json=json,
            params=params,
            headers={**(headers or {}), **({} if bare else self._credentials())},
            timeout=seconds,
        )
        if answer.is_error:
            raise _problem(answer)
        content: dict[str, Any] = answer.json()
        return content

    async def _pages(
        self, model: type[P], path: str, filters: Mapping[str, str | None]
    ) -> AsyncIterator[P]:
        """All pages of a list; filters that are None are left out."""
        params = {name: value for name, value in filters.items() if value is not None}
        while True:
            page = model.model_validate(await self._send("GET", path, params=params))
            yield page
            if page.next_cursor is None:
                return
            params["cursor"] = page.next_cursor

    def _credentials(self) -> dict[str, str]:
        if self._token is not None:
            return {"Authorization": f"Bearer {self._token}"}
        return {} if self._api_key is None else {self._header: self._api_key}


def _path(strategy: str) -> str:
    return f"/strategies/{quote(strategy, safe='')}"


def _span(first: date | None, last: date | None) -> dict[str, str | None]:
    days = {"from": first, "to": last}
    return {name: None if day is None else day.isoformat() for name, day in days.items()}


def _problem(answer: httpx.Response) -> ApiError:
    try:
        content = answer.json()
    except ValueError:
        content = None
    problem: dict[str, Any] = content if isinstance(content, dict) else {}
    after = answer.headers.get("Retry-After", "")
    return ApiError(
        answer.status_code,
        code=str(problem.get("code", "unknown")),
        detail=str(problem.get("detail", answer.reason_phrase)),
        request_id=problem.get("request_id"),
        retry_after=int(after) if after.isdecimal() else None,
    )
