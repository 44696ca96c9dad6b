"""The thresholds: what counts, who may change it, and two that change it at once."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from perf_alerts_dagster.bootstrap.executions import with_thresholds
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS
from perf_alerts_tests.server.gated import Gated, code, gated, key, settings_of

PATH = "/config/thresholds"
ADMIN = key("admin")
NO_MANDATES: dict[str, Any] = {"mandates": {"default": {}, "strategies": {}}}
BODY: dict[str, Any] = {
    "default": {"drawdown_warning": 0.07},
    "strategies": {"trend é": {"rolling_sharpe_critical": -0.5}},
}


async def put(gate: Gated, body: object, **headers: str) -> Any:
    return await gate.http.put(PATH, json=body, headers=ADMIN | headers)


async def test_at_first_the_settings_count_as_version_0(
    control_engine: Engine, tmp_path: Path
) -> None:
    text = json.dumps({"default": {"volatility_low": 0.4}})
    async with gated(settings_of(tmp_path, ALERT_THRESHOLDS=text), control_engine) as gate:
        answer = await gate.http.get(PATH, headers=ADMIN)

    found = answer.json()
    assert found["data"] == {
        "version": 0,
        "default": {"volatility_low": 0.4},
        "strategies": {},
        **NO_MANDATES,
    }
    assert found["effective"]["default"]["volatility_low"] == 0.4
    assert found["effective"]["default"]["drawdown_critical"] == 0.12
    assert (found["updated_at"], found["updated_by"], found["success"]) == (None, None, True)
    assert answer.headers["etag"] == '"0"'


async def test_what_is_put_counts_from_then_on(gate: Gated) -> None:
    put_answer = await put(gate, BODY)
    got = await gate.http.get(PATH, headers=ADMIN)

    assert put_answer.status_code == 200
    assert put_answer.json() == got.json()
    found = got.json()
    assert found["data"] == {"version": 1, **BODY, **NO_MANDATES}
    assert found["effective"]["strategies"]["trend é"]["drawdown_warning"] == 0.07
    assert found["effective"]["strategies"]["trend é"]["rolling_sharpe_critical"] == -0.5
    assert (found["updated_at"], found["updated_by"]) == ("2026-01-30T12:00:00Z", "admin")
    current = gate.thresholds.current()
    assert current is not None
    assert limit_book(current.content, {}).limits_for("trend é")["drawdown_warning"] == 0.07


async def test_what_was_got_can_be_put_back_as_it_is(gate: Gated) -> None:
    await put(gate, BODY)
    data = (await gate.http.get(PATH, headers=ADMIN)).json()["data"]

    answer = await put(gate, data)

    assert answer.json()["data"] == data | {"version": 2}


async def test_an_empty_put_goes_back_to_the_documented_thresholds(gate: Gated) -> None:
    await put(gate, BODY)

    found = (await gate.http.put(PATH, headers=ADMIN)).json()

    assert found["data"] == {"version": 2, "default": {}, "strategies": {}, **NO_MANDATES}
    assert (
        found["effective"]["default"]["drawdown_warning"] == DOCUMENTED_LIMITS["drawdown_warning"]
    )


async def test_every_change_is_in_the_audit_with_before_and_after(gate: Gated) -> None:
    await put(gate, BODY)
    await put(gate, {})

    newest, oldest = gate.stores.audit.entries().rows
    assert (oldest.actor, oldest.action, oldest.target) == (
        "admin",
        "thresholds",
        "config/thresholds",
    )
    assert oldest.after == newest.before == {"version": 1, "content": BODY}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"version": 0}, {}),
        ({"version": 2}, {}),
        ({}, {"If-Match": '"0"'}),
        ({}, {"If-Match": '"99"'}),
        ({"version": 0}, {"If-Match": '"0"'}),
    ],
)
async def test_who_saw_another_version_changes_nothing(
    gate: Gated, body: dict[str, object], headers: dict[str, str]
) -> None:
    await put(gate, BODY)

    answer = await put(gate, body, **headers)

    assert code(answer) == (412, "version_conflict")
    assert answer.headers["etag"] == '"1"'
    assert (await gate.http.get(PATH, headers=ADMIN)).json()["data"] == {
        "version": 1,
        **BODY,
        **NO_MANDATES,
    }


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"version": 1}, {}),
        ({}, {"If-Match": '"1"'}),
        ({"version": 1}, {"If-Match": '"1"'}),
        ({}, {"If-Match": "*"}),
        ({}, {}),
    ],
)
async def test_who_saw_this_version_or_names_none_may_change_it(
    gate: Gated, body: dict[str, object], headers: dict[str, str]
) -> None:
    await put(gate, BODY)

    assert (await put(gate, body, **headers)).json()["data"]["version"] == 2


async def test_of_many_that_saw_the_same_version_one_wins(gate: Gated) -> None:
    answers = await asyncio.gather(*(put(gate, {"version": 0}) for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9


BAD: list[object] = [
    [],
    "x",
    {"limits": {}},
    {"default": None},
    {"default": []},
    {"strategies": []},
    {"strategies": {"a": None}},
    {"strategies": {"": {}}},
    {"strategies": {"a\n": {}}},
    {"strategies": {"x" * 201: {}}},
    {"default": {"canary-name": 1}},
    {"strategies": {"a": {"canary-name": 1}}},
    {"default": {"drawdown_warning": "canary"}},
    {"default": {"drawdown_warning": True}},
    {"default": {"drawdown_warning": None}},
    {"default": {"drawdown_warning": [0.1]}},
    {"default": {"drawdown_warning": 0}},
    {"default": {"drawdown_warning": -0.1}},
    {"default": {"drawdown_warning": 1.5}},
    {"default": {"drawdown_warning": 0.5}},
    {"default": {"volatility_low": 3}},
    {"strategies": {"a": {"drawdown_critical": 0.01}}},
    {"version": -1},
    {"version": 1.0},
    {"version": True},
    {"version": "1"},
    {"version": None},
]


@pytest.mark.parametrize("body", BAD)
async def test_what_is_no_book_of_limits_is_refused_without_repeating_it(
    gate: Gated, body: object
) -> None:
    answer = await put(gate, body)

    assert code(answer) == (422, "validation")
    assert "canary" not in answer.text
    assert gate.thresholds.current() is None


@pytest.mark.parametrize("etag", ["1", 'W/"1"', '"x"', '"01"', '"1", "2"', ""])
async def test_an_etag_that_is_none_of_ours_is_refused(gate: Gated, etag: str) -> None:
    assert code(await put(gate, {}, **{"If-Match": etag})) == (422, "validation")


async def test_version_and_if_match_must_agree(gate: Gated) -> None:
    answer = await put(gate, {"version": 0}, **{"If-Match": '"1"'})

    assert code(answer) == (422, "validation")


@pytest.mark.parametrize("role", ["viewer", "operator"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_only_those_who_configure_see_or_set_them(
    gate: Gated, role: str, method: str
) -> None:
    answer = await gate.http.request(method, PATH, headers=key(role), content=b"{")

    assert code(answer) == (403, "insufficient_permission")


async def test_another_method_is_refused_with_those_that_are_known(gate: Gated) -> None:
    answer = await gate.http.delete(PATH, headers=ADMIN)

    assert code(answer) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) <= {"GET", "PUT"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
members = st.sampled_from(["default", "strategies", "version", "x", *DOCUMENTED_LIMITS])
bodies = st.dictionaries(members, json_values | st.dictionaries(members, json_values))


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=bodies)
async def test_no_body_breaks_it_and_what_it_takes_is_a_book(
    gate: Gated, body: dict[str, object]
) -> None:
    content = json.dumps(body).encode()
    headers = ADMIN | {"Content-Type": "application/json"}
    answer = await gate.http.put(PATH, content=content, headers=headers)

    assert answer.status_code in (200, 400, 412, 422)
    if answer.status_code == 200:
        data = answer.json()["data"]
        limit_book({name: data[name] for name in ("default", "strategies")}, {})


MANDATES: dict[str, Any] = {
    "default": {"drawdown": 0.2, "severity": "warning"},
    "strategies": {
        "trend é": {"drawdown": None, "columns": {"leverage": {"max": 4.0}}},
    },
}


async def test_mandates_are_set_with_the_limits_and_stay_where_they_are_not_sent(
    gate: Gated, control_engine: Engine, tmp_path: Path
) -> None:
    await put(gate, BODY | {"mandates": MANDATES})
    kept = await put(gate, {"default": {"volatility_low": 0.4}})
    after = with_thresholds(settings_of(tmp_path), control_engine)

    assert kept.json()["data"]["mandates"] == MANDATES
    assert (after.thresholds["default"], after.policy_limits) == ({"volatility_low": 0.4}, MANDATES)
    book = limit_book(after.thresholds, after.policy_limits)
    assert book.mandate_for("other").drawdown == 0.2
    assert book.mandate_for("trend é").columns == {"leverage": (None, 4.0)}
    assert book.mandate_for("trend é").drawdown is None
    newest = gate.stores.audit.entries().rows[0]
    assert isinstance(newest.after, dict)
    assert newest.after["content"]["mandates"] == MANDATES  # type: ignore[index,call-overload]


async def test_the_mandates_of_the_settings_count_until_others_are_set(
    control_engine: Engine, tmp_path: Path
) -> None:
    text = json.dumps({"default": {"daily_loss": 0.03}})
    async with gated(settings_of(tmp_path, ALERT_POLICY_LIMITS=text), control_engine) as gate:
        first = (await gate.http.get(PATH, headers=ADMIN)).json()["data"]
        await put(gate, {"mandates": {}})
        then = (await gate.http.get(PATH, headers=ADMIN)).json()["data"]

    assert first["mandates"] == {"default": {"daily_loss": 0.03}, "strategies": {}}
    assert then["mandates"] == {"default": {}, "strategies": {}}


@pytest.mark.parametrize(
    ("mandates", "field"),
    [
        ({"default": {"drawdown": 1.5}}, "'drawdown'"),
        ({"default": {"drawdown": "0.1"}}, "mandates.default.drawdown"),
        ({"default": {"severity": "info"}}, "mandates.default.severity"),
        ({"default": {"columns": {"secret": {}}}}, "columns"),
        ({"default": {"columns": {"secret": {"min": 2, "max": 1}}}}, "columns"),
        ({"strategies": {"x": {"weekly": 0.1}}}, "mandates.strategies"),
        ({"more": {}}, "mandates"),
    ],
)
async def test_a_mandate_that_is_none_is_refused_by_its_field(
    gate: Gated, mandates: dict[str, Any], field: str
) -> None:
    answer = await put(gate, {"mandates": mandates})

    assert code(answer) == (422, "validation")
    assert field in answer.json()["detail"]
    assert "secret" not in answer.text
    assert gate.thresholds.current() is None
