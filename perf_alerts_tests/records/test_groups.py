import numpy as np
import pytest

from perf_alerts_dagster.records.groups import is_group, with_groups
from perf_alerts_dagster.records.model import RecordFault, Status, StrategyRecord, TrackRecords
from perf_alerts_tests.builders import a_record


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


def test_paused_and_faulty_members_are_left_out() -> None:
    found = grouped(
        book("a", [1.0]),
        book("b", [2.0]),
        book("c", [99.0], status=Status.PAUSED),
        faults={"d": (RecordFault(where="daily.csv", rule="is bad"),)},
    )

    assert found["ALL"].returns.tolist() == [3.0 / 200.0]


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
