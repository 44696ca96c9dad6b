"""The description of the API for authenticated callers: OpenAPI, and as a page."""

import asyncio
import json
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response

from perf_alerts_dagster.identity.permissions import StatusViewer

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def openapi(request: Request, who: StatusViewer) -> Response:
    """The OpenAPI document."""
    state = request.app.state
    if not hasattr(state, "rendered"):
        # To make it takes a second: once, and no other request waits for it.
        state.rendered = asyncio.create_task(asyncio.to_thread(_rendered, request.app))
    content = await asyncio.shield(state.rendered)
    return Response(content, media_type="application/json")


def _rendered(app: FastAPI) -> bytes:
    return json.dumps(app.openapi()).encode()


@router.get("/docs")
async def docs(request: Request, who: StatusViewer) -> Response:
    """The endpoints as one page that loads nothing from elsewhere."""
    document = await asyncio.to_thread(request.app.openapi)
    return Response(page(document), media_type="text/html; charset=utf-8")


def endpoints_of(document: dict[str, Any]) -> list[dict[str, str]]:
    """The endpoints of an OpenAPI document: method, path, description and answers."""
    return [
        {
            "method": method.upper(),
            "path": path,
            "description": operation.get("description", ""),
            "answers": ", ".join(sorted(operation.get("responses", {}))),
        }
        for path, operations in sorted(document["paths"].items())
        for method, operation in operations.items()
    ]


def page(document: dict[str, Any]) -> str:
    """The endpoints of an OpenAPI document as plain HTML."""
    rows = [
        "<tr>"
        f"<td><code>{escape(each['method'])}</code></td>"
        f"<td><code>{escape(each['path'])}</code></td>"
        f"<td>{escape(each['description'])}</td>"
        f"<td>{escape(each['answers'])}</td>"
        "</tr>"
        for each in endpoints_of(document)
    ]
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f'<body><h1>{title}</h1><p>The whole document: <a href="openapi.json">openapi.json</a>'
        "</p><table><thead><tr><th>Method</th><th>Path</th><th>What it does</th><th>Answers</th>"
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></body></html>"
    )
