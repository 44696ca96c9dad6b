from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from perf_alerts_dagster.records.desk import Seen
from perf_alerts_dagster.records.groups import groups_of, is_group, notes_of, with_groups
from perf_alerts_dagster.records.members import Group
from perf_alerts_dagster.records.model import (
    Dates,
    FxRates,
    RecordFault,
    Status,
    StrategyRecord,
    TrackRecords,
)
from perf_alerts_dagster.records.sources.open import TableNames, open_records
from perf_alerts_tests.builders import a_record, weekdays


def book(name: str, pnl: list[float], capital: float = 100.0, **changes: object) -> StrategyRecord:
    money = np.asarray(pnl, float)
    values: dict[str, object] = {
        "strategy": name,
        "pnl": money,
        "capital": np.full(len(pnl), capital),
        "currency": "USD",
    }
    return a_record(money / capital, **(values | changes))  # type: ignore[arg-type] # as named


def grouped(*records: StrategyRecord, **changes: object) -> dict[str, StrategyRecord]:
    given = TrackRecords(
        source="test",
        strategies={one.strategy: one for one in records},
        **changes,  # type: ignore[arg-type] # as named
    )
    return dict(with_groups(given).strategies)


def test_a_groups_return_is_its_members_pnl_over_their_capital() -> None:
    found = grouped(book("a", [10.0, 0.0]), book("b", [-20.0, 30.0], capital=300.0))

    assert found["ALL"].returns.tolist() == [-10.0 / 400.0, 30.0 / 400.0]


def test_groups_are_made_by_name() -> None:
    found = grouped(
        book("a", [1.0], group="fast"), book("b", [2.0], group="fast"), book("c", [3.0])
    )

    assert found["group:fast"].returns.tolist() == [3.0 / 200.0]
    assert found["ALL"].returns.tolist() == [6.0 / 300.0]


def test_a_group_of_one_is_none() -> None:
    found = grouped(book("a", [1.0], group="alone"), book("b", [2.0]))

    assert "group:alone" not in found


def test_each_currency_has_an_all_of_its_own() -> None:
    found = grouped(
        book("a", [1.0]),
        book("b", [2.0]),
        book("c", [3.0], currency="EUR"),
        book("d", [4.0], currency="EUR"),
    )

    assert found["ALL:USD"].returns.tolist() == [3.0 / 200.0]
    assert found["ALL:EUR"].returns.tolist() == [7.0 / 200.0]
    assert "ALL" not in found


def test_those_without_a_currency_have_an_all_of_their_own_beside_the_others() -> None:
    found = grouped(
        book("a", [1.0]),
        book("b", [2.0]),
        book("c", [3.0], currency=None),
        book("d", [4.0], currency=None),
    )

    assert {name for name in found if is_group(name)} == {"ALL:USD", "ALL:unknown"}
    assert found["ALL:unknown"].returns.tolist() == [7.0 / 200.0]
    assert found["ALL:unknown"].currency is None


def test_on_a_day_with_some_members_only_those_count() -> None:
    short = book("b", [50.0]).rows(0, 1)
    found = grouped(book("a", [10.0, 20.0]), short)

    assert found["ALL"].returns.tolist() == [60.0 / 200.0, 20.0 / 100.0]


def test_returns_without_capital_are_averaged() -> None:
    found = grouped(a_record([0.01], strategy="a"), a_record([0.03], strategy="b"))

    assert found["ALL"].returns == pytest.approx([0.02])


def test_a_strategy_that_is_called_all_stays_itself() -> None:
    mine = book("ALL", [5.0])
    found = grouped(mine, book("b", [1.0]), book("c", [1.0]))

    assert found["ALL"] is mine


def test_the_order_of_the_members_changes_no_bit() -> None:
    members = [book(name, [0.1 * place, 0.3]) for place, name in enumerate("abcdef")]

    forth, back = grouped(*members), grouped(*reversed(members))

    assert forth["ALL"].content_hash() == back["ALL"].content_hash()


@pytest.mark.parametrize(
    ("name", "group"),
    [("ALL", True), ("ALL:USD", True), ("group:x", True), ("ALLY", False), ("x", False)],
)
def test_groups_are_known_by_their_names(name: str, group: bool) -> None:
    assert is_group(name) is group


CASES = Path(__file__).parent / "cases"


def case(name: str) -> TrackRecords:
    path = str(CASES / name)
    source = open_records(path, shown=path, tables=TableNames(), columns={})
    return with_groups(source.load(date(2026, 12, 1)))


def days(count: int, first: str = "2026-01-05") -> Dates:
    return np.datetime64(first, "D") + np.arange(count)


def groups(
    *records: StrategyRecord,
    sessions: dict[str, Dates] | None = None,
    vanished: dict[str, Seen] | None = None,
    **changes: object,
) -> dict[str, Group]:
    given = TrackRecords(
        source="test",
        strategies={one.strategy: one for one in records},
        **changes,  # type: ignore[arg-type] # as named
    )
    own = None if sessions is None else sessions.__getitem__
    return groups_of(given, own, vanished)


@pytest.mark.parametrize("name", ["ALL", "group:g"])
def test_live_rows_of_a_group_are_made_of_live_rows_only(name: str) -> None:
    found = case("group_with_backtest.csv").strategies[name]
    live = found.returns[found.live]

    assert len(live) == 420
    assert np.prod(1 + live) - 1 == pytest.approx(-0.288231401, abs=1e-9)
    # Judged from the newcomer's first live day on; its later backtest rows are no reference.
    assert found.judged_from == date(2026, 8, 24)
    assert found.dates[~found.live][-1] == np.datetime64("2025-02-21")


def test_currencies_are_not_added_up() -> None:
    found = case("mixed_ccy_group.csv.gz").strategies

    assert {name for name in found if is_group(name)} == {"ALL:EUR", "group:fx"}
    assert found["ALL:EUR"].currency == "EUR"
    pair = [found[name].pnl for name in ("eur_book", "eur2")]
    assert found["group:fx"].pnl == pytest.approx(pair[0] + pair[1])  # type: ignore[operator] # given


def test_a_group_of_several_currencies_has_a_record_for_each() -> None:
    found = grouped(
        *(
            book(f"{currency}{place}", [1.0], currency=currency, group="g")
            for currency in ("USD", "EUR")
            for place in range(2)
        )
    )

    assert {name for name in found if is_group(name)} == {
        "ALL:USD", "ALL:EUR", "group:g:USD", "group:g:EUR",
    }  # fmt: skip


def test_with_rates_the_desk_is_one_record_in_the_base_currency() -> None:
    euro = FxRates(dates=days(1), rates=np.array([1.25]))
    found = groups(
        book("a", [10.0] * 8, dates=days(8)),
        book("b", [8.0] * 8, dates=days(8), currency="EUR"),
        base_currency="USD",
        fx={"EUR": euro},
    )
    record = found["ALL"].record

    # The rate is at most 5 days old; after that the member in euros is missing.
    assert record.returns == pytest.approx([20 / 225] * 6 + [0.1] * 2)
    assert record.currency == "USD"
    assert found["ALL"].at(date(2026, 1, 10)).weights == {"a": 100 / 225, "b": 125 / 225}
    late = found["ALL"].at(date(2026, 1, 11))
    assert (late.missing, late.share) == ({"b": (date(2026, 1, 11), None, " (no rate)")}, 0.5)


def test_a_table_without_a_good_rate_leaves_the_desk_one_record() -> None:
    euros = book("c", [8.0], currency="EUR")
    found = groups(book("a", [10.0]), book("b", [8.0]), euros, base_currency="USD")

    assert found.keys() == {"ALL"}
    assert found["ALL"].at(date(2023, 1, 2)).missing.keys() == {"c"}


def test_days_without_a_rate_are_gaps_of_the_member() -> None:
    euro = FxRates(dates=days(10)[[0, 9]], rates=np.array([1.25, 1.25]))
    found = groups(
        book("a", [10.0] * 10, dates=days(10)),
        book("b", [8.0] * 10, dates=days(10), currency="EUR"),
        base_currency="USD",
        fx={"EUR": euro},
    )["ALL"]

    without = tuple(date(2026, 1, number) for number in (11, 12, 13))
    assert found.at(date(2026, 1, 14)).gaps == {"b (no rate)": without}
    assert found.at(date(2026, 1, 10)).gaps == {}


def test_without_any_rate_a_currency_is_missing_on_every_day() -> None:
    found = groups(
        book("a", [10.0]),
        book("b", [8.0], currency="EUR"),
        book("c", [8.0], currency="JPY"),
        base_currency="USD",
        fx={"JPY": FxRates(dates=weekdays(1), rates=np.array([0.01]))},
    )

    assert found["ALL"].record.pnl == pytest.approx([10.08])
    assert found["ALL"].at(date(2023, 1, 2)).missing.keys() == {"b"}


@pytest.mark.parametrize("money", [True, False])
def test_a_day_that_is_no_session_of_a_member_counts_with_its_last_capital(money: bool) -> None:
    coin = book("coin", [5.0] * 4, dates=days(4, "2026-01-02"))
    stock = book("stock", [30.0, 60.0], capital=300.0, dates=days(4, "2026-01-02")[[0, 3]])
    if not money:
        coin, stock = (replace(one, pnl=None, capital=None) for one in (coin, stock))
    found = groups(coin, stock, sessions={"coin": coin.dates, "stock": stock.dates})

    total = 400.0 if money else 2.0
    share = 5.0 if money else 0.05
    stocks = (30.0, 60.0) if money else (0.1, 0.2)
    assert found["ALL"].record.returns == pytest.approx(
        [(share + stocks[0]) / total, share / total, share / total, (share + stocks[1]) / total]
    )


def test_a_member_is_missing_on_its_own_sessions_without_a_row() -> None:
    a = book("a", [1.0] * 5, dates=days(5))
    gap = book("gap", [2.0] * 4, dates=days(5)[[0, 1, 3, 4]])
    late = book("late", [3.0] * 3, dates=days(3), capital=200.0)
    found = groups(a, gap, late, sessions=dict.fromkeys(["a", "gap", "late"], days(5)))["ALL"]

    assert found.record.returns == pytest.approx([6 / 400, 6 / 400, 4 / 300, 3 / 200, 3 / 200])
    last = found.at(date(2026, 1, 9))
    assert last.weights == {"a": 0.5, "gap": 0.5}
    assert last.missing == {"late": (date(2026, 1, 8), 200.0, "")}
    assert (last.share, last.gaps) == (0.5, {"gap": (date(2026, 1, 7),)})
    assert found.at(date(2026, 1, 9), due=date(2026, 1, 7)).missing == {}
    # Members are the same, whether they have a row or not.
    assert last.membership == found.at(date(2026, 1, 6)).membership


def test_a_late_member_counts_again_on_no_day_that_follows_its_first_missing_session() -> None:
    a = book("a", [1.0] * 4, dates=days(4))
    b = book("b", [1.0], dates=days(1))
    own = {"a": days(4), "b": days(4)[[0, 2]]}

    record = groups(a, b, sessions=own)["ALL"].record

    assert record.capital == pytest.approx([200.0, 200.0, 100.0, 100.0])


def test_who_is_missing_on_more_than_20_sessions_has_left_the_group_from_its_last_row_on() -> None:
    a, b = book("a", [1.0] * 30, dates=days(30)), book("b", [1.0] * 5, dates=days(5))
    found = groups(a, b, sessions={"a": days(30), "b": days(30)})

    at_20, at_21 = (found["ALL"].at(days(30)[place].astype(object)) for place in (24, 25))
    assert set(at_20.missing) == {"b"}
    assert at_20.left == {}
    assert (at_21.missing, at_21.left) == ({}, {"b": date(2026, 1, 9)})
    assert at_21.membership != at_20.membership
    assert notes_of(found, days(30)[24].astype(object)) == []
    assert notes_of(found, days(30)[25].astype(object)) == [
        "b has left its groups: more than 20 of its sessions after 2026-01-09 have no row"
    ]


@pytest.mark.parametrize(
    ("changes", "counted"),
    [
        ({"status": Status.PAUSED}, 3),
        ({"status": Status.RETIRED, "judged_until": date(2026, 1, 6)}, 2),
        ({"judged_until": date(2026, 1, 6)}, 2),
        ({"pnl": np.array([1.0, 1.0, -100.0]), "returns": np.array([0.01, 0.01, -1.0])}, 3),
    ],
)
def test_who_ended_keeps_its_rows_up_to_that_day_and_is_missed_by_nobody(
    changes: dict[str, object], counted: int
) -> None:
    others = [book(name, [1.0] * 5, dates=days(5)) for name in ("a", "b")]
    ended = replace(book("c", [1.0] * 3, dates=days(3)), **changes)  # type: ignore[arg-type]
    found = groups(*others, ended, sessions=dict.fromkeys("abc", days(5)))["ALL"]

    assert found.record.capital == pytest.approx([300.0] * counted + [200.0] * (5 - counted))
    assert found.at(date(2026, 1, 9)).missing == {}
    assert found.record.judged_until is None


def test_a_group_is_judged_while_two_members_have_begun_and_not_ended() -> None:
    a = book("a", [1.0] * 5, dates=days(5))
    b = book("b", [1.0] * 2, dates=days(5)[1:3], status=Status.RETIRED)

    record = groups(a, b)["ALL"].record

    assert (record.judged_from, record.judged_until) == (date(2026, 1, 6), date(2026, 1, 7))


def test_a_later_member_changes_no_row_before_its_first_live_day() -> None:
    first, second, third = (
        replace(
            book(name, [1.0 * place] * 40, dates=days(40)), live=np.arange(40) >= 10 + 5 * place
        )
        for place, name in enumerate("abc", start=1)
    )
    before, after = (
        groups(*some)["ALL"].record.until(date(2026, 1, 29))
        for some in ((first, second), (first, second, third))
    )

    assert third.dates[third.live][0] == np.datetime64("2026-01-30")
    assert after.content_hash() == before.content_hash()
    # The reference ends where the live rows begin, and is of those who were live at the beginning.
    assert before.pnl == pytest.approx([3.0] * 15 + [1.0] * 5 + [3.0] * 5)


def test_without_live_members_a_group_has_the_backtest_rows_of_all() -> None:
    none = np.zeros(2, dtype=bool)
    two = [replace(book(name, [1.0, 2.0]), live=none) for name in "ab"]
    record = grouped(*two)["ALL"]

    assert record.pnl is not None
    assert record.pnl.tolist() == [2.0, 4.0]
    assert not record.live.any()


FAULT = (RecordFault(where="daily.csv", rule="is bad"),)
SEEN = Seen(
    rows=9, first=date(2026, 1, 1), last=date(2026, 1, 8), capital=300.0, group="g", currency="USD"
)


def test_faulty_and_vanished_members_are_missing_from_their_groups() -> None:
    found = groups(
        book("a", [1.0], group="g"),
        book("b", [1.0], group="h"),
        faults={"bad": FAULT, "foreign": FAULT, "unknown": FAULT},
        faulty={"bad": ("h", "USD"), "foreign": ("h", "EUR")},
        vanished={"gone": SEEN},
    )
    missing = {name: set(group.at(date(2023, 1, 2)).missing) for name, group in found.items()}

    assert missing == {
        "ALL:USD": {"bad", "gone", "unknown"},
        "group:g": {"gone", "unknown"},
        "group:h:USD": {"bad", "unknown"},
    }


def test_a_faulty_strategy_that_the_strategies_table_ended_is_not_missing() -> None:
    faults = {"paused": FAULT, "going_on": FAULT}
    two = [book(name, [1.0]) for name in "ab"]
    ended = {"paused": date.min, "going_on": date(2030, 1, 1)}
    found = groups(*two, faults=faults, ended=ended)["ALL"]

    assert set(found.at(date(2023, 1, 2)).missing) == {"going_on"}


def test_a_share_is_of_capital_where_that_of_all_is_known_else_of_their_number() -> None:
    two = [book(name, [1.0]) for name in "ab"]
    known = groups(*two, vanished={"gone": SEEN})["ALL"].at(date(2023, 1, 2))
    unknown = groups(*two, faults={"bad": FAULT}, faulty={"bad": (None, "USD")})["ALL"]

    assert (known.share, known.is_by_capital) == (200.0 / 500.0, True)
    at = unknown.at(date(2023, 1, 2))
    assert at.share == pytest.approx(2 / 3)
    assert not at.is_by_capital


def test_the_losers_of_a_session_are_sorted_by_what_they_add_to_the_groups_return() -> None:
    records = [book("a", [1.0, -2.0]), book("b", [1.0, -6.0], capital=300.0), book("c", [1.0, 3.0])]
    group = groups_of(
        TrackRecords(source="test", strategies={one.strategy: one for one in records})
    )["ALL"]
    last = records[0].dates[-1].astype(object)

    assert group.losses(last) == ([("b", -6.0, -6.0 / 500.0), ("a", -2.0, -2.0 / 500.0)], -5.0)
    assert group.losses(records[0].dates[0].astype(object)) == ([], 3.0)


def test_losers_without_capital_add_nothing_to_a_return() -> None:
    records = [book(name, [1.0, -2.0]) for name in "ab"]
    (group,) = groups_of(
        TrackRecords(source="test", strategies={one.strategy: one for one in records})
    ).values()
    broke = replace(group, members=[replace(one, capital=np.zeros(2)) for one in group.members])

    losers, total = broke.losses(records[0].dates[-1].astype(object))
    assert (losers, total) == ([("a", -2.0, 0.0), ("b", -2.0, 0.0)], -4.0)
