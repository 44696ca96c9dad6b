from typing import Any

import pytest

from perf_alerts_dagster.http.paths import BASE, OPEN
from perf_alerts_tests.server.apps import Proxy, serving

ENDPOINTS = {
    ("post", "/auth/login"),
    ("post", "/auth/logout"),
    ("get", "/auth/me"),
    ("get", "/schedule/status"),
    ("get", "/schedule/summary/{hours}"),
    ("get", "/schedule/executions"),
    ("post", "/schedule/trigger/{alert}"),
    ("post", "/schedule/enable/{alert}"),
    ("post", "/schedule/disable/{alert}"),
    ("get", "/strategies"),
    ("get", "/strategies/{name}/projection"),
    ("get", "/config/thresholds"),
    ("put", "/config/thresholds"),
    ("get", "/admin/audit"),
    ("post", "/admin/reload"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
    ("get", "/metrics"),
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return Proxy().app.openapi()


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path.removeprefix(BASE)): operation
        for path, found in document["paths"].items()
        for method, operation in found.items()
    }


def test_every_documented_endpoint_is_described(document: dict[str, Any]) -> None:
    assert set(operations(document)) >= ENDPOINTS


def test_both_credentials_are_described_and_only_the_open_endpoints_need_none(
    document: dict[str, Any],
) -> None:
    schemes = document["components"]["securitySchemes"]
    without = {
        (method.upper(), BASE + path)
        for (method, path), operation in operations(document).items()
        if operation.get("security") == []
    }

    assert schemes["apiKey"]["name"] == "X-Alert-API-Key"
    assert schemes["token"]["scheme"] == "bearer"
    assert document["security"] == [{"apiKey": []}, {"token": []}]
    assert without == {one for one in OPEN if one[1].startswith(BASE)}


def test_every_operation_describes_itself_and_its_errors_as_problems(
    document: dict[str, Any],
) -> None:
    for operation in operations(document).values():
        assert operation["description"]
        assert {"401", "403", "422", "503", "504"} <= set(operation["responses"])
        assert "application/problem+json" in operation["responses"]["401"]["content"]
    assert "HTTPValidationError" not in str(document)


def test_the_header_is_the_one_of_the_settings() -> None:
    document = Proxy(ALERT_API_KEY_HEADER="X-Desk-Key").app.openapi()

    assert document["components"]["securitySchemes"]["apiKey"]["name"] == "X-Desk-Key"


async def test_the_document_and_its_page_are_for_authenticated_callers() -> None:
    async with serving(Proxy()) as client:
        answers = [
            (await client.get(path, headers={"X-Role": role})).status_code
            for path in ("/openapi.json", "/docs")
            for role in ("nobody", "viewer")
        ]
        page = (await client.get("/docs")).text

    assert answers == [401, 200, 401, 200]
    assert "/schedule/trigger/{alert}" in page
    assert "://" not in page
