"""The description of the API for authenticated callers: OpenAPI, and as a page."""

import json
from html import escape
from typing import Any

from fastapi import APIRouter, Request, Response

from perf_alerts_dagster.identity.permissions import StatusViewer

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def openapi(request: Request, who: StatusViewer) -> Response:
    """The OpenAPI document."""
    return Response(json.dumps(request.app.openapi()), media_type="application/json")


@router.get("/docs")
async def docs(request: Request, who: StatusViewer) -> Response:
    """The endpoints as one page that loads nothing from elsewhere."""
    return Response(page(request.app.openapi()), media_type="text/html; charset=utf-8")


def page(document: dict[str, Any]) -> str:
    """The endpoints of an OpenAPI document as plain HTML."""
    rows = [
        "<tr>"
        f"<td><code>{escape(method.upper())}</code></td>"
        f"<td><code>{escape(path)}</code></td>"
        f"<td>{escape(operation.get('description', ''))}</td>"
        f"<td>{escape(', '.join(sorted(operation.get('responses', {}))))}</td>"
        "</tr>"
        for path, operations in sorted(document["paths"].items())
        for method, operation in operations.items()
    ]
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f'<body><h1>{title}</h1><p>The whole document: <a href="openapi.json">openapi.json</a>'
        "</p><table><thead><tr><th>Method</th><th>Path</th><th>What it does</th><th>Answers</th>"
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></body></html>"
    )
