"""The rules: limits in force, what each is worth and has spent; forms for limits and mandates."""

import asyncio
import math
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from perf_alerts_dagster.api.admin.routes import limits_in_force, set_limits
from perf_alerts_dagster.api.admin.schemas import MandateValues, ThresholdsBody
from perf_alerts_dagster.api.resources import control_of
from perf_alerts_dagster.api.rules.routes import rules_now
from perf_alerts_dagster.api.rules.schemas import RuleData, RulesData
from perf_alerts_dagster.api.strategies.report import best_words
from perf_alerts_dagster.control.principal import Permission
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.wording import percent
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.requests import checked
from perf_alerts_dagster.identity.permissions import check
from perf_alerts_dagster.judging.limits import MANDATES
from perf_alerts_dagster.judging.rule import shown
from perf_alerts_dagster.judging.rules.catalogue import BY_ID
from perf_alerts_dagster.pages.forms import owners_of, refusal
from perf_alerts_dagster.pages.rendering import PageRoute, clock_of, rendered
from perf_alerts_dagster.pages.session import Session, form_of, session_of

router = APIRouter(include_in_schema=False, route_class=PageRoute)

# The mandates that the form has; bounds of columns are set over REST.
_LINES = tuple(name for name in MandateValues.model_fields if name not in ("columns", "severity"))
_SCOPES = ("default", "strategies")


@router.get("/rules")
async def rules(request: Request) -> Response:
    """The catalogue."""
    session = await session_of(request)
    data = await rules_now(request)
    return rendered("rules.html", session=session, **await _shown(request, data))


@router.get("/rules/mandates")
async def mandates(request: Request) -> Response:
    """The desk's own limits, with a form for those who may set them."""
    return await _mandates_page(request, await session_of(request))


@router.get("/rules/{rule}")
async def rule(request: Request, rule: str) -> Response:
    """One rule, with a form for its limits for those who may set them."""
    return await _rule_page(request, await session_of(request), rule)


@router.post("/rules/mandates/set")
async def set_mandates(request: Request) -> Response:
    """Set the mandates of a strategy, or those of all that have no own."""
    session, form = await _configuring(request)
    try:
        version, content = await _content(request, form)
        values: dict[str, Json] = dict(_scope(content[MANDATES], form.get("strategy", "")))
        for name in _LINES:
            _take(values, name, form.get(name, ""))
        if form.get("severity"):
            values["severity"] = form["severity"]
        else:
            values.pop("severity", None)
        _put(content[MANDATES], form.get("strategy", ""), values)
        await _set(request, session, version, content)
    except (inputs.InputError, Problem) as error:
        return await _mandates_page(request, session, error=error)
    return RedirectResponse("/rules/mandates", 303)


@router.post("/rules/{rule}/limits")
async def set_rule(request: Request, rule: str) -> Response:
    """Set the limits of a rule, of a strategy or of all that have no own."""
    session, form = await _configuring(request)
    known = _known(rule)
    try:
        version, content = await _content(request, form)
        values: dict[str, Json] = dict(_scope(content, form.get("strategy", "")))
        for name in BY_ID[known].limits:
            _take(values, name, form.get(name, ""))
        _put(content, form.get("strategy", ""), values)
        # Mandates that are not sent stay as they are.
        del content[MANDATES]
        await _set(request, session, version, content)
    except (inputs.InputError, Problem) as error:
        return await _rule_page(request, session, rule, error=error)
    return RedirectResponse(f"/rules/{rule}", 303)


async def _configuring(request: Request) -> tuple[Session, dict[str, str]]:
    session = await session_of(request)
    check(request, session.who, Permission.CONFIGURE)
    return session, await form_of(request, session)


def _known(rule: str) -> str:
    if rule not in BY_ID:
        raise Problem(404, "unknown_rule", "there is no rule of this id")
    return rule


async def _content(request: Request, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """The version that a form was made from, and what is set now, as the body of a PUT."""
    version = inputs.whole(form.get("version", ""), "version", minimum=0, maximum=999_999_999)
    control = control_of(request)
    current = await asyncio.to_thread(control.thresholds.current)
    found = limits_in_force(current, control)
    return version, {
        **_copied(found["thresholds"]),
        MANDATES: _copied(found["policy_limits"]),
    }


def _copied(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: dict(content.get(name, {})) for name in _SCOPES}


def _scope(content: Mapping[str, Any], strategy: str) -> Mapping[str, Json]:
    """What is set for a strategy, or by default."""
    found: Mapping[str, Json] = (
        content["strategies"].get(strategy, {}) if strategy else content["default"]
    )
    return found


def _put(content: dict[str, Any], strategy: str, values: dict[str, Json]) -> None:
    if not strategy:
        content["default"] = values
        return
    inputs.strategy_name(strategy, "strategy")
    content["strategies"].pop(strategy, None)
    if values:
        content["strategies"][strategy] = values


def _take(values: dict[str, Json], name: str, text: str) -> None:
    """Take a number from an input; an empty one sets nothing of its own."""
    values.pop(name, None)
    if not text.strip():
        return
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise inputs.InputError(name, "a number such as 0.08, or nothing")
    values[name] = number


async def _set(
    request: Request, session: Session, version: int, content: Mapping[str, Json]
) -> None:
    body = checked(ThresholdsBody, content)
    await set_limits(request, session.who, body, version)


async def _rule_page(
    request: Request,
    session: Session,
    rule: str,
    *,
    error: inputs.InputError | Problem | None = None,
) -> Response:
    data = await rules_now(request)
    one = next(each for each in data.rules if each.rule == _known(rule))
    said, status = refusal(error) if error else ("", 200)
    control = control_of(request)
    current = await asyncio.to_thread(control.thresholds.current)
    wanted = session.kept["strategy"] or request.query_params.get("strategy", "")
    content = _copied(limits_in_force(current, control)["thresholds"])
    return rendered(
        "rule.html",
        session=session,
        status=status,
        one=one,
        strategy=wanted,
        own=_scope(content, wanted),
        strategies=sorted({name for limit in one.limits for name in limit.strategies}),
        error=said,
        may_set=Permission.CONFIGURE in session.who.permissions,
        **await _shown(request, data),
    )


async def _mandates_page(
    request: Request, session: Session, *, error: inputs.InputError | Problem | None = None
) -> Response:
    data = await rules_now(request)
    said, status = refusal(error) if error else ("", 200)
    wanted = session.kept["strategy"] or request.query_params.get("strategy", "")
    content = _copied(data.mandates)
    return rendered(
        "mandates.html",
        session=session,
        status=status,
        mandates=content,
        lines=_LINES,
        strategy=wanted,
        own=_scope(content, wanted),
        error=said,
        may_set=Permission.CONFIGURE in session.who.permissions,
        **await _shown(request, data),
    )


async def _shown(request: Request, data: RulesData) -> dict[str, Any]:
    names = {name for each in data.rules for limit in each.limits for name in limit.strategies}
    return {
        "data": data,
        "clock": clock_of(request),
        "owners": await owners_of(request, {*names, *data.mandates.get("strategies", {})}),
        "percent": _percent,
        "number": _number,
        "in_unit": _limit,
        "best": lambda share: best_words(share) or "not known",
    }


def _percent(share: float | None) -> str:
    if share is None:
        return "not known"
    # Of so few simulated years no smaller share is known.
    return "under 0.01 %" if 0.0 < share < 1e-4 else percent(share)


def _limit(rule: RuleData, value: float) -> str:
    """A limit with its unit: one that is a share, such as a chance, in per cent."""
    return percent(value) if rule.accepts == "fraction" else shown(value, rule.unit)


def _number(value: float | None) -> str:
    """A number of a setting, as it is typed: `0.08`."""
    return "" if value is None else f"{value:g}"
