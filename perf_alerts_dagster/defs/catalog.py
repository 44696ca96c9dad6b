"""Dagster's catalog: the record, a strategy each with its checks, and the sessions of each alert.

Names, groups and owners are any text, and Dagster refuses all definitions for one that it does
not take: each is mapped to one that it does, and its own text is in the metadata.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from hashlib import sha256
from urllib.parse import quote

import dagster as dg

from perf_alerts_dagster.core.alerts import ALERTS, Family
from perf_alerts_dagster.core.wording import printable
from perf_alerts_dagster.executions.catalog import Catalog, Listed
from perf_alerts_dagster.settings import Settings

# Gives the newest stored result of each of these checks.
OpenNewest = Callable[[Collection[dg.AssetCheckKey]], Iterable[dg.AssetCheckResult]]

ROOM = "performance_alerts"
RECORD = dg.AssetKey([ROOM, "record"])
# The group of strategies that have none.
_UNGROUPED = "strategies"
# The checks of each strategy, by their names.
FAMILIES: Mapping[Family, str] = {
    Family.PROJECTION: "Live P&L against the strategy's own projection",
    Family.THRESHOLD: "Documented limits, and the desk's own",
    Family.DATA: "Rows that are missing, late or wrong",
    Family.SCORE: "Stability, out-of-sample validity and overfitting; judged weekly",
    Family.FORWARD: "Last month's P&L against what was expected; judged monthly",
}
# A name of these is its own key, unless it looks like a mapped one.
_PLAIN = re.compile(r"(?!.*_[0-9a-f]{12}$)[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}", re.ASCII)
_MAIL = re.compile(r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9-]+(\.[A-Za-z]{2,9})+", re.ASCII)
_LONGEST = 60
_LONGEST_TEXT = 500


def judged_asset(alert: str) -> dg.AssetKey:
    """The asset whose partitions are the sessions that `alert` has judged."""
    return dg.AssetKey([ROOM, alert])


def sessions_of(alert: str) -> dg.DynamicPartitionsDefinition:
    """The sessions that an alert has judged, which its executions add."""
    return dg.DynamicPartitionsDefinition(name=f"{alert}_sessions")


def strategy_asset(name: str) -> dg.AssetKey:
    """The asset of a strategy or group: under its own name, where Dagster takes it as a key."""
    safe = name if _PLAIN.fullmatch(name) else f"{_slug(name, ':.-')}_{_digest(name)}"
    return dg.AssetKey([ROOM, "strategy", safe])


def pages_of(settings: Settings) -> str:
    """The address of the pages: Dagster's reader is on this machine where none is public."""
    return settings.public_url or f"http://127.0.0.1:{settings.proxy_port}"


def strategy_page(name: str, pages: str) -> str:
    """The address of a strategy's page."""
    return f"{pages}/strategies/{quote(name, safe='', errors='replace')}"


def build_assets(settings: Settings, catalog: Catalog) -> list[dg.AssetSpec]:
    """The record, an asset per alert, and one per strategy and group.

    Args:
        settings: Where the record and the pages are.
        catalog: The strategies of any name.
    """
    # Its schedules leave out days that are no session of such a calendar, at most four at a time.
    days = 2 if settings.calendar in ("record", "24/7") else 6
    record = dg.AssetSpec(
        RECORD,
        description=(
            "The record of P&L, which every alert reads. Materialised by each execution that "
            "reads it up to date by its own calendars; while it is late it is only observed."
        ),
        group_name=ROOM,
        kinds={"record"},
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=days)),
        metadata={
            "source": _text(settings.records_shown),
            "strategies": len(catalog.strategies),
            "strategies_left_out": catalog.left_out,
        },
    )
    alerts = [
        dg.AssetSpec(
            judged_asset(alert.name),
            deps=[RECORD],
            description=f"Sessions judged by {alert.name}. {alert.description}",
            partitions_def=sessions_of(alert.name),
            group_name=ROOM,
            kinds={"python"},
        )
        for alert in ALERTS
    ]
    groups = _group_names(each.group for each in catalog.strategies)
    pages = pages_of(settings)
    return [record, *alerts, *(_strategy(each, groups, pages) for each in _unique(catalog))]


def build_checks(
    settings: Settings, catalog: Catalog, open_newest: OpenNewest
) -> list[dg.AssetChecksDefinition]:
    """A check per strategy and family of rules; none where ALERT_CATALOG_EVENTS is 0.

    To execute one in Dagster judges nothing: it shows what was judged last.

    Args:
        settings: The maximum number of their events.
        catalog: The strategies of any name.
        open_newest: Called when they are executed: gives the newest stored result of each check.
    """
    specs = {
        f"check_{number}": dg.AssetCheckSpec(
            family.value, asset=strategy_asset(each.name), description=description
        )
        for number, (each, (family, description)) in enumerate(
            (each, item) for each in _unique(catalog) for item in FAMILIES.items()
        )
    }
    if not specs or not settings.catalog_events:
        return []

    @dg.op(
        name="show_newest_judgement",
        description="Shows the newest stored judgement at each of the checks; judges nothing.",
        out={name: dg.Out(dg.Nothing, is_required=False) for name in specs},
    )
    def show(context: dg.OpExecutionContext) -> Iterator[dg.AssetCheckResult]:
        yield from open_newest(context.selected_asset_check_keys)

    return [
        dg.AssetChecksDefinition.create(
            keys_by_input_name={}, node_def=show, check_specs_by_output_name=specs, can_subset=True
        )
    ]


def _unique(catalog: Catalog) -> list[Listed]:
    """The strategies by their keys: of two with one key, if that ever is, the first."""
    found: dict[dg.AssetKey, Listed] = {}
    for each in catalog.strategies:
        found.setdefault(strategy_asset(each.name), each)
    return list(found.values())


def _strategy(each: Listed, groups: Mapping[str, str], pages: str) -> dg.AssetSpec:
    own = {"strategy": each.name, "group": each.group, "owner": each.owner}
    return dg.AssetSpec(
        strategy_asset(each.name),
        deps=[RECORD],
        description=(
            "Strategies that are judged as one; each check is a family of rules."
            if each.is_group
            else "A strategy of the record; each check is a family of rules."
        ),
        group_name=_UNGROUPED if each.group is None else groups[each.group],
        owners=_owners(each.owner),
        kinds={"group" if each.is_group else "strategy"},
        metadata={
            **{name: _text(text) for name, text in own.items() if text is not None},
            "page": dg.MetadataValue.url(strategy_page(each.name, pages)),
        },
    )


def _group_names(groups: Iterable[str | None]) -> dict[str, str]:
    """By group a name that Dagster takes; where two would share one, each gets its own."""
    slugs = {group: _slug(group) for group in groups if group is not None}
    taken = Counter([*slugs.values(), _UNGROUPED, ROOM])
    return {
        group: slug if taken[slug] == 1 else f"{slug}_{_digest(group)}"
        for group, slug in slugs.items()
    }


def _owners(owner: str | None) -> list[str]:
    """A mail address as it is, else a team."""
    if owner is None or not owner.strip():
        return []
    is_mail = len(owner) <= _LONGEST and _MAIL.fullmatch(owner)
    return [owner if is_mail else f"team:{_slug(owner, '.-')}"]


def _slug(text: str, also: str = "") -> str:
    """Its letters and digits of ASCII, and `also`; the rest is one `_` each."""
    allowed = re.sub(rf"[^A-Za-z0-9{re.escape(also)}]+", "_", text)
    return allowed.strip("_.:-")[:_LONGEST] or "unnamed"


def _digest(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]


def _text(text: str) -> dg.TextMetadataValue:
    return dg.MetadataValue.text(printable(text[:_LONGEST_TEXT]))
