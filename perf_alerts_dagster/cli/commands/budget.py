"""`perf-alerts budget`: the ledger of false alarms of the alert store."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from perf_alerts_dagster.cli import options, output
from perf_alerts_dagster.core.wording import rounded

if TYPE_CHECKING:
    from perf_alerts_dagster.api.budget.schemas import BudgetData
    from perf_alerts_dagster.proxy.schemas import Account, FalseAlarms

_KINDS = {
    "warnings": "from warning on",
    "criticals": "of them critical",
    "limit_messages": "limit passed",
}


@click.command()
@click.option("--strategy", metavar="NAME", help="Of one strategy or group alone.")
@options.json_option
def budget(strategy: str | None, *, as_json: bool) -> None:
    """Show how many openings a year are stated, how many there were, and how many are left.

    An opening is an incident of a strategy that people are notified of, rightly or not; those of
    data and of the system are not counted. Over a desk's years the stated number holds in the
    mean. A limit passed is a mandate's or a documented one's message, beside the budget.
    """
    from perf_alerts_dagster.api.budget.schemas import answer_of
    from perf_alerts_dagster.bootstrap.desk import kept_of
    from perf_alerts_dagster.bootstrap.ledger import is_gated, read_ledger
    from perf_alerts_dagster.bootstrap.records import read_records, store_url
    from perf_alerts_dagster.judging.store.sql import open_store
    from perf_alerts_dagster.settings import load_settings

    settings = load_settings()
    now = datetime.now(UTC)
    records = {}
    if settings.policy_limits:
        with output.working(f"reading {settings.records_shown}"):
            reading = read_records(settings, now=now, kept=kept_of(settings))
            records = dict(reading.records.strategies)
    store = open_store(store_url(settings))
    try:
        ledger = read_ledger(settings, store.engine, now, records, strategy)
    finally:
        store.close()
    data = answer_of(ledger, now, holds=is_gated(settings)).data
    if as_json:
        output.print_json(data.model_dump())
        return
    _print(data, strategy)


def _print(data: "BudgetData", strategy: str | None) -> None:
    whose = strategy or f"the whole desk ({data.strategies} strategies and groups)"
    if data.holds:
        output.say(
            "Stated for each strategy in which nothing changes: a warning in "
            f"{100 * data.stated.warning:.3g} % of its years, a critical in "
            f"{100 * data.stated.critical:.3g} %."
        )
    for note in data.notes:
        output.say(note)
    if data.holds and data.without_rate:
        count = len(data.without_rate)
        names = ", ".join(data.without_rate)
        output.say(f"{count} of {data.strategies} have no rate yet, and nothing is stated: {names}")
    total = output.table(
        escape(f"{whose}, last {data.days} days"), "openings", *_HEADINGS, numeric=_HEADINGS
    )
    for name, words in _KINDS.items():
        total.add_row(words, *_cells(getattr(data.desk, name)))
    output.print_table(total)
    kinds = tuple(_KINDS.values())
    rules = output.table("opened of stated, by rule", "rule", *kinds, numeric=kinds)
    for each in data.by_rule:
        rules.add_row(escape(each.rule), *_short(each, notifies=each.notifies))
    output.print_table(rules)
    if strategy is None:
        spent = [
            each for each in data.by_strategy if any(getattr(each, kind).spent for kind in _KINDS)
        ]
        table = output.table("opened of stated, by strategy", "strategy", *kinds, numeric=kinds)
        for strategy_accounts in spent:
            table.add_row(escape(strategy_accounts.strategy), *_short(strategy_accounts))
        if spent:
            output.print_table(table)


_HEADINGS = ("stated a year", "opened", "left")


def _cells(account: "Account") -> tuple[str, str, str]:
    if account.set is None or account.left is None:
        return "-", str(account.spent), "-"
    over = f"over by {rounded(-account.left)}"
    left = rounded(account.left) if account.left >= 0.0 else over
    return rounded(account.set), str(account.spent), left


def _short(accounts: "FalseAlarms", *, notifies: bool = True) -> list[str]:
    if not notifies:
        return ["only shown", "-", "-"]
    return [
        f"{spent} of {given}"
        for given, spent, _ in (_cells(getattr(accounts, kind)) for kind in _KINDS)
    ]
