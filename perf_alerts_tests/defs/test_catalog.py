"""Dagster's catalog: what it holds, and that no name, group or owner takes the location down."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perf_alerts_dagster.core.alerts import ALERTS, Family
from perf_alerts_dagster.defs.build import build_definitions
from perf_alerts_dagster.defs.catalog import (
    FAMILIES,
    RECORD,
    build_assets,
    build_checks,
    strategy_asset,
)
from perf_alerts_dagster.executions.catalog import Catalog, Listed, catalog_file
from perf_alerts_dagster.settings import load_settings

SETTINGS = load_settings({"ALERT_PUBLIC_URL": "https://alerts.example"}, None)
DESK = Catalog(
    strategies=(
        Listed(name="group:vol", group="vol", is_group=True),
        Listed(name="carry-eu", group="vol", owner="ann@desk.example"),
        Listed(name="trend 2", owner="Vol Desk"),
    ),
    left_out=7,
)


def definitions(catalog: Catalog, **environ: str) -> dg.Definitions:
    chosen = load_settings({"ALERT_PUBLIC_URL": "https://alerts.example", **environ}, None)
    return dg.Definitions(
        assets=build_assets(chosen, catalog),
        asset_checks=build_checks(chosen, catalog, lambda keys: ()),
    )


def specs(catalog: Catalog) -> dict[str, dg.AssetSpec]:
    return {each.key.path[-1]: each for each in build_assets(SETTINGS, catalog)}


def shown(spec: dg.AssetSpec) -> dict[str, Any]:
    return {
        name: getattr(value, "value", value)
        for name, value in spec.metadata.items()
        if not name.startswith("dagster/")
    }


def test_the_assets_of_the_alerts_keep_their_keys_and_have_the_judged_sessions_as_partitions() -> (
    None
):
    found = {"/".join(spec.key.path): spec for spec in build_assets(SETTINGS, Catalog())}

    assert list(found) == [
        "performance_alerts/record",
        "performance_alerts/daily_pnl_check",
        "performance_alerts/weekly_stability_check",
        "performance_alerts/monthly_forward_test_update",
        "performance_alerts/performance_threshold_check",
        "performance_alerts/evening_performance_check",
    ]
    for alert in ALERTS:
        spec = found[f"performance_alerts/{alert.name}"]
        assert spec.partitions_def == dg.DynamicPartitionsDefinition(name=f"{alert.name}_sessions")
        assert spec.group_name == "performance_alerts"
        assert [dep.asset_key for dep in spec.deps] == [RECORD]


def test_each_strategy_and_group_is_an_asset_with_its_own_words_and_its_page() -> None:
    found = [
        (
            "/".join(spec.key.path[1:]),
            spec.group_name,
            list(spec.owners),
            set(spec.kinds),
            shown(spec),
        )
        for spec in build_assets(SETTINGS, DESK)[6:]
    ]

    pages = "https://alerts.example/strategies"
    assert found == [
        (
            "strategy/group:vol",
            "vol",
            [],
            {"group"},
            {"strategy": "group:vol", "group": "vol", "page": f"{pages}/group%3Avol"},
        ),
        (
            "strategy/carry-eu",
            "vol",
            ["ann@desk.example"],
            {"strategy"},
            {
                "strategy": "carry-eu",
                "group": "vol",
                "owner": "ann@desk.example",
                "page": f"{pages}/carry-eu",
            },
        ),
        (
            "strategy/trend_2_eb7363257b01",
            "strategies",
            ["team:Vol_Desk"],
            {"strategy"},
            {"strategy": "trend 2", "owner": "Vol Desk", "page": f"{pages}/trend%202"},
        ),
    ]


@pytest.mark.parametrize(
    ("calendar", "days"), [("record", 2), ("24/7", 2), ("weekdays", 6), ("XNYS", 6)]
)
def test_the_record_is_stale_once_no_execution_has_read_it_up_to_date(
    calendar: str, days: int
) -> None:
    environ = {"ALERT_CALENDAR": calendar, "ALERT_RECORDS_URL": "postgresql://me:secret@host/db"}
    spec = build_assets(load_settings(environ, None), DESK)[0]

    assert spec.freshness_policy == dg.FreshnessPolicy.time_window(timedelta(days=days))
    assert (shown(spec)["strategies"], shown(spec)["strategies_left_out"]) == (3, 7)
    assert "secret" not in str(spec)


def test_a_strategy_has_one_check_for_each_family_of_rules() -> None:
    (checks,) = build_checks(SETTINGS, DESK, lambda keys: ())

    assert set(FAMILIES) == set(Family)
    assert {(key.asset_key, key.name) for key in checks.check_keys} == {
        (strategy_asset(each.name), family.value) for each in DESK.strategies for family in Family
    }


def test_there_are_no_checks_where_none_may_be_written_or_no_strategy_is_known() -> None:
    off = load_settings({"ALERT_CATALOG_EVENTS": "0"}, None)

    assert build_checks(off, DESK, lambda keys: ()) == []
    assert build_checks(SETTINGS, Catalog(), lambda keys: ()) == []
    assert len(build_assets(off, DESK)) == 9


def test_groups_that_would_share_a_name_in_dagster_are_told_apart() -> None:
    groups = ["vol desk", "vol_desk", "rates", "performance_alerts", "strategies", None]
    catalog = Catalog(
        strategies=tuple(Listed(name=f"s{at}", group=each) for at, each in enumerate(groups))
    )
    found = [specs(catalog)[f"s{at}"].group_name for at in range(len(groups))]

    assert len(set(found)) == len(groups)
    assert (found[2], found[5]) == ("rates", "strategies")
    assert "performance_alerts" not in found


def test_the_key_of_a_strategy_depends_on_its_own_name_alone() -> None:
    alone = Catalog(strategies=(Listed(name="a/b"),))
    beside = Catalog(strategies=(Listed(name="a b"), Listed(name="a_b"), Listed(name="a/b")))

    assert set(specs(alone)) <= set(specs(beside))
    assert len(specs(beside)) == 9


def test_a_name_that_looks_like_a_mapped_one_takes_no_other_ones_key() -> None:
    mapped = strategy_asset("a b").path[-1]

    assert strategy_asset(mapped) != strategy_asset("a b")


TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="ab_-./:@ \"'\\<>[]()*é🦄\x00\n\u202e\ud800", max_size=12),
    st.text(alphabet="ab.@-", min_size=3, max_size=12),
    st.sampled_from(["", " ", "x" * 500, "a@b.de", "a@b", ".a@b.de", "team:", "..", "None", "🦄"]),
)
LISTED = st.builds(
    Listed,
    name=TEXTS,
    group=st.none() | TEXTS,
    owner=st.none() | TEXTS,
    is_group=st.booleans(),
)


@given(st.lists(LISTED, max_size=8))
@example([Listed(name="a/b"), Listed(name="a/b", group="other")])
@example([Listed(name="a.b"), Listed(name="a-b"), Listed(name="a_b"), Listed(name="A_b")])
@example([Listed(name="\ud800", group="\ud800", owner="\ud800")])
@settings(max_examples=80, deadline=None)
def test_no_name_group_or_owner_takes_the_location_down(listed: list[Listed]) -> None:
    catalog = Catalog(strategies=tuple(listed))
    defs = definitions(catalog)

    dg.Definitions.validate_loadable(defs)
    repository = defs.get_repository_def()
    # As the code server sends them to web UI and daemon.
    dg.serialize_value(RepositorySnap.from_def(repository)).encode()
    names = {each.name for each in listed}
    assert len(repository.asset_graph.get_all_asset_keys()) == 6 + len(names)
    for key in map(strategy_asset, names):
        assert dg.AssetKey.from_user_string(key.to_user_string()) == key


@pytest.mark.parametrize("text", ["{", '{"left_out": 0, "strategies": [{"name": 1}]}'])
def test_a_damaged_catalog_leaves_the_location_as_without_one(tmp_path: Path, text: str) -> None:
    catalog_file(tmp_path).write_text(text)
    defs = build_definitions(load_settings({"ALERT_STATE_DIR": str(tmp_path)}, None))

    dg.Definitions.validate_loadable(defs)
    assert len(defs.get_repository_def().asset_graph.get_all_asset_keys()) == 6
