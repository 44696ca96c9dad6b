"""All pages for people, and what they load."""

from importlib.resources import files

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from perf_alerts_dagster.pages import alerts, incidents, login, rules, silences, strategies, system
from perf_alerts_dagster.pages.desk import routes as desk
from perf_alerts_dagster.pages.rendering import PACKAGE, PageRoute, stylesheet

assets = APIRouter(include_in_schema=False, route_class=PageRoute)


@assets.get("/assets/pages.css")
async def style() -> Response:
    """The stylesheet, which needs no login."""
    return Response(stylesheet(), media_type="text/css", headers={"Cache-Control": "max-age=3600"})


@assets.get("/strategies")
async def strategies_root() -> Response:
    """The strategies are on the desk."""
    return RedirectResponse("/", 303)


@assets.get("/favicon.ico")
async def icon() -> Response:
    """The icon of browsers' tabs, which ask for it at this path by themselves."""
    image = files(PACKAGE).joinpath("icon.svg").read_bytes()
    return Response(image, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})


# Each by itself, as those of the API.
ROUTERS = (
    assets,
    login.router,
    desk.router,
    strategies.router,
    incidents.router,
    alerts.router,
    rules.router,
    silences.router,
    system.router,
)
