"""One connection to the API: credentials, errors, pages."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

import httpx

from perf_alerts_dagster.http.paths import BASE
from perf_alerts_dagster.http.schemas import Model, Page

SECONDS = 15.0

M = TypeVar("M", bound=Model)
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


class Calls:
    """Sends requests with the caller's credentials; `token` goes before `api_key`."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None,
        token: str | None,
        header: str,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self.api_key = api_key
        self.token = token
        self._header = header
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/") + BASE,
            timeout=SECONDS,
            transport=transport,
            headers={"Accept": "application/json"},
        )

    async def close(self) -> None:
        """Let go of all connections."""
        await self._http.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
        bare: bool = False,
    ) -> httpx.Response:
        """The answer to one request; `bare` sends no credentials.

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
        return answer

    async def whatever(self, path: str) -> httpx.Response:
        """The answer to an open GET, also where it is an error."""
        return await self._http.get(path)

    async def get(self, model: type[M], path: str, params: Mapping[str, str] | None = None) -> M:
        """The answer to a GET, checked."""
        answer = await self.send("GET", path, params=params)
        return model.model_validate(answer.json())

    async def pages(
        self, model: type[P], path: str, given: Mapping[str, str | None]
    ) -> AsyncIterator[P]:
        """All pages of a list; what is None is left out."""
        params = {name: value for name, value in given.items() if value is not None}
        while True:
            page = await self.get(model, path, params)
            yield page
            if page.next_cursor is None:
                return
            params["cursor"] = page.next_cursor

    def _credentials(self) -> dict[str, str]:
        if self.token is not None:
            return {"Authorization": f"Bearer {self.token}"}
        return {} if self.api_key is None else {self._header: self.api_key}


def _problem(answer: httpx.Response) -> ApiError:
    try:
        found = answer.json()
    except ValueError:
        found = None
    known: dict[str, Any] = found if isinstance(found, dict) else {}
    after = answer.headers.get("Retry-After", "")
    return ApiError(
        answer.status_code,
        code=str(known.get("code", "unknown")),
        detail=str(known.get("detail", answer.reason_phrase)),
        request_id=known.get("request_id"),
        retry_after=int(after) if after.isdecimal() else None,
    )
