"""What a person's baseline changes of the reference, from when on, and what it leaves alone."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from perf_alerts_dagster.judging.judge import data_hash
from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS
from perf_alerts_dagster.projections.issue import ProjectionIssuer
from perf_alerts_dagster.projections.ports import MemoryProjections, StoredProjection
from perf_alerts_dagster.projections.projection import (
    InForce,
    Outlook,
    first_counted,
    propose,
)
from perf_alerts_dagster.records.desk import Baseline, Kept
from perf_alerts_dagster.records.model import Floats, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_tests.builders import MARKET, a_record, noise, own_days, weekdays
from perf_alerts_tests.fakes import FakeRecordsSource

BACKTEST, ROWS = 400, 700
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def day(place: int) -> date:
    found: date = weekdays(place + 1)[-1].astype(object)
    return found


def a_baseline(place: int = 500, haircut: float = 0.4, number: int = 1) -> Baseline:
    return Baseline(
        strategy="trend", since=day(place), haircut=haircut, reason="gap", by="ann", at=NOON,
        number=number,
    )  # fmt: skip


def strategy(*baselines: Baseline, rows: int = ROWS, name: str = "trend") -> StrategyRecord:
    made = a_record(
        noise(ROWS - BACKTEST, seed=2), backtest=noise(BACKTEST, mean=0.002), strategy=name
    )
    return replace(made, baselines=baselines).rows(0, rows)


def reading_of(*records: StrategyRecord, kept: Mapping[str, tuple[Baseline, ...]]) -> Reading:
    source = TrackRecords(source="test", strategies={one.strategy: one for one in records})
    now = datetime.combine(day(ROWS), datetime.min.time(), tzinfo=UTC)
    zone = ZoneInfo("UTC")
    return read(
        FakeRecordsSource(source), MARKET, as_of=None, now=now, timezone=zone,
        kept=Kept(baselines=kept),
    )  # fmt: skip


class Issued:
    """A store of projections that are issued and looked up as baselines come and go."""

    def __init__(self, haircut: float = 0.0, *, lives: int = 50) -> None:
        self.issuer = ProjectionIssuer(
            store=MemoryProjections(),
            paths=100,
            haircut=haircut,
            settings_version="test",
            limits=lambda name: DOCUMENTED_LIMITS,
            lives=lives,
        )

    def on(self, place: int, *baselines: Baseline, issue: bool = True) -> Outlook:
        """What is in force on the day of a row, where these baselines are kept."""
        reading = reading_of(strategy(), kept={"trend": baselines} if baselines else {})
        if issue:
            self.issuer.issue_launch(reading, day(place), run_id="run")
        return self.issuer.outlook(day(place), {}, reading.baselines)


def launch(outlook: Outlook) -> InForce:
    found = outlook.in_force["trend"].launch
    assert found is not None
    return found


def means(outlook: Outlook) -> tuple[float, float]:
    """Of the launch projection and of what decay is measured against."""
    decay = outlook.calibrations["trend"].decay
    assert decay is not None
    return launch(outlook).mean, decay.mean


def test_a_baseline_issues_the_launch_and_its_lives_anew_with_its_haircut() -> None:
    issued = Issued()
    before, after = issued.on(600), issued.on(600, a_baseline(500, 0.4))
    found = launch(after)

    assert (launch(before).name, launch(before).haircut) == (f"launch:{day(BACKTEST - 1)}", 0.0)
    assert (found.name, found.kind) == (f"launch-1:{day(499)}", "launch")
    assert (found.haircut, found.baseline_from, found.baseline_by) == (0.4, day(500), "ann")
    assert means(after) == pytest.approx([0.6 * mean for mean in means(before)], rel=0.05)
    assert found.parts == {
        "haircut": 0.4, "baseline_from": day(500).isoformat(), "baseline_by": "ann",
    }  # fmt: skip


@pytest.mark.parametrize("haircut", [0.0, 0.125], ids=["none", "of the settings"])
def test_without_a_baseline_the_haircut_of_the_settings_counts(haircut: float) -> None:
    found = launch(Issued(haircut).on(600))

    assert (found.haircut, found.parts) == (haircut, {"haircut": haircut})


def test_a_baseline_replaces_the_haircut_of_the_settings_also_by_none() -> None:
    issued = Issued(0.5)
    restored = issued.on(600, a_baseline(BACKTEST, 0.0))

    assert launch(restored).haircut == 0.0
    assert launch(restored).issued_on == day(BACKTEST - 1)
    assert means(restored) == means(Issued().on(600))


def test_of_two_baselines_from_one_day_the_later_one_counts() -> None:
    issued = Issued()
    first, second = a_baseline(500, 0.4), a_baseline(500, 0.7, number=2)
    by_first, by_second = issued.on(600, first), issued.on(600, first, second)

    assert [launch(one).name for one in (by_first, by_second)] == [
        f"launch-{number}:{day(499)}" for number in (1, 2)
    ]
    ratio = np.array(means(by_second)) / np.array(means(by_first))
    assert ratio == pytest.approx([0.5, 0.5], rel=0.05)


def test_a_later_baseline_from_an_earlier_day_counts_from_that_day_on() -> None:
    issued = Issued()
    first, second = a_baseline(600, 0.4), a_baseline(500, 0.7, number=2)
    issued.on(650, first)

    assert [launch(issued.on(place, first, second)).haircut for place in (499, 550, 650)] == [
        0.0, 0.7, 0.7,
    ]  # fmt: skip


def test_sessions_before_the_day_keep_the_projection_that_judged_them() -> None:
    issued = Issued()
    before = issued.on(499)
    issued.on(600, a_baseline(500))
    again = issued.on(499, a_baseline(500))

    assert launch(again).name == launch(before).name == f"launch:{day(BACKTEST - 1)}"
    assert means(again) == means(before)


def test_until_the_first_one_is_issued_the_one_before_goes_on() -> None:
    issued = Issued()
    issued.on(600)
    first, second = a_baseline(500), a_baseline(500, 0.7, number=2)
    assert launch(issued.on(600, first, issue=False)).number == 0
    issued.on(600, first)

    assert launch(issued.on(600, first, second, issue=False)).number == 1
    assert launch(issued.on(600, first, second)).number == 2


def test_it_is_issued_again_every_year_after_the_day() -> None:
    issued = Issued()

    assert launch(issued.on(409 + 252, a_baseline(410))).issued_on == day(409 + 252)
    assert launch(issued.on(408 + 252, a_baseline(410))).issued_on == day(409)


def test_a_day_that_has_no_row_yet_begins_after_the_newest_one() -> None:
    issued = Issued()
    found = launch(issued.on(ROWS, a_baseline(ROWS)))

    assert (found.issued_on, found.baseline_from) == (day(ROWS - 1), day(ROWS))


def test_a_member_of_a_group_and_the_group_have_baselines_of_their_own() -> None:
    other = strategy(name="other")
    of_group = replace(a_baseline(), strategy="ALL")
    kept = {"trend": (a_baseline(),), "ALL": (of_group,), "gone": (a_baseline(),)}
    known = reading_of(strategy(), other, kept=kept).records.strategies

    assert {name: one.baselines for name, one in known.items()} == {
        "trend": (a_baseline(),), "ALL": (of_group,), "other": (),
    }  # fmt: skip


def test_the_hash_of_the_data_tells_which_baseline_counted() -> None:
    first, second = a_baseline(500), a_baseline(500, number=2)
    calendars = {"trend": own_days(strategy().dates)}
    hashes = [
        data_hash({"trend": strategy(*known).until(day(place))}, calendars)
        for place, known in [
            (600, ()), (600, (first,)), (600, (first, second)), (600, (second,)),
            (499, ()), (499, (first, second)),
        ]
    ]  # fmt: skip

    assert len(set(hashes[:3])) == 3
    assert hashes[2] == hashes[3]
    assert hashes[4] == hashes[5]


def test_a_record_without_trades_is_not_copied_where_nothing_is_left_out() -> None:
    record = strategy(a_baseline(500))

    assert record.until(day(ROWS)) is record
    assert record.until(day(499)).baselines == ()
    assert record.baseline_on(day(499)) is None
    assert record.baseline_on(day(500)) == a_baseline(500)


LIVE_FIRST = noise(800, seed=4)


@pytest.mark.parametrize(
    ("record", "since", "first"),
    [
        (a_record(noise(50), backtest=noise(300)), None, 300),
        (a_record(noise(50), backtest=noise(300)), 320, 320),
        (a_record(noise(50), backtest=noise(300)), 10, 300),
        (a_record(noise(50), backtest=noise(300)), 900, 350),
        (a_record(LIVE_FIRST), None, 756),
        (a_record(LIVE_FIRST[:700]), None, 700),
        (a_record([], backtest=noise(300)), None, 300),
    ],
)
def test_rows_count_from_live_on_and_without_a_backtest_after_the_reference(
    record: StrategyRecord, since: int | None, first: int
) -> None:
    assert first_counted(record, None if since is None else day(since)) == first


def spread(mean: float, rows: int) -> Floats:
    """Returns whose logs have exactly this mean."""
    logs = noise(rows, seed=rows, mean=0.0)
    found: Floats = np.expm1(logs - logs.mean() + mean)
    return found


@pytest.mark.parametrize(
    ("live", "haircut"), [(0.0012, 0.4), (0.002, 0.0), (0.003, 0.0), (-0.001, 1.0)]
)
def test_the_haircut_that_is_proposed_gives_the_reference_the_live_mean(
    live: float, haircut: float
) -> None:
    later = np.full(30, 0.5)
    record = a_record(np.concatenate([spread(live, 400), later]), backtest=spread(0.002, 1600))
    found = propose(record, day(2000))

    assert found is not None
    assert (found.haircut, found.rows) == (haircut, 400)
    assert (found.live_mean, found.reference_mean) == pytest.approx((live, 0.002))
    # The error of a mean of 400 rows of 1 % is a quarter of the reference's mean.
    assert found.standard_error == pytest.approx(0.25, rel=0.35)


@pytest.mark.parametrize(
    ("record", "place"),
    [
        (a_record(spread(0.001, 50), backtest=spread(0.002, 300)), 301),
        (a_record(spread(0.001, 50), backtest=spread(-0.002, 300)), 340),
        (a_record([0.01, -1.0, 0.0], backtest=spread(0.002, 300)), 303),
        (a_record(spread(0.001, 50), backtest=[-1.0]), 40),
    ],
    ids=["one live row", "a reference that loses", "a wipe-out", "no reference"],
)
def test_there_is_not_always_a_haircut_to_propose(record: StrategyRecord, place: int) -> None:
    assert propose(record, day(place)) is None


def test_a_launch_of_the_version_before_has_no_baseline() -> None:
    issued = Issued()
    issued.on(600)
    (stored,) = issued.issuer.store.projections(kind="launch", on_or_before=day(600)).values()

    assert isinstance(stored, StoredProjection)
    assert not {"baseline_from", "baseline_by"} & stored.facts.keys()
    assert launch(issued.on(600)).baseline_from is None
