import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest

from perf_alerts_dagster.core.errors import RecordsUnavailable
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.records.sources.sample import SampleSource

# A Wednesday.
FIRST = date(2026, 1, 7)


def newest(records: TrackRecords) -> date:
    found: date = records.dates[-1].astype(object)
    return found


def test_sixteen_strategies_with_backtest_and_live_rows(tmp_path: Path) -> None:
    records = SampleSource(tmp_path).load(FIRST)

    assert records.is_sample
    assert len(records.strategies) == 16
    assert not records.faults
    for record in records.strategies.values():
        assert record.live.any()
        assert not record.live.all()
        # The last three years are live.
        assert 400 < int(record.live.sum()) < 756


def test_the_first_start_is_about_a_year_before_the_samples_end(tmp_path: Path) -> None:
    SampleSource(tmp_path).load(FIRST)
    weeks = json.loads((tmp_path / "sample-anchor.json").read_text())["shift_weeks"]

    assert timedelta(days=357) <= date(2022, 12, 28) + timedelta(weeks=weeks) - FIRST
    assert date(2022, 12, 28) + timedelta(weeks=weeks) - FIRST <= timedelta(days=371)


def test_weekdays_stay_weekdays(tmp_path: Path) -> None:
    records = SampleSource(tmp_path).load(FIRST)

    assert all(day.weekday() < 5 for day in records.dates.astype(object).tolist())


def test_each_new_weekday_reveals_the_next_session(tmp_path: Path) -> None:
    source = SampleSource(tmp_path)
    seen = [newest(source.load(FIRST + timedelta(days=days))) for days in range(21)]

    assert seen == sorted(seen)
    assert len(set(seen)) >= 13
    assert all(shown <= FIRST + timedelta(days=days) for days, shown in enumerate(seen))


def test_a_restart_sees_the_same_record(tmp_path: Path) -> None:
    first = SampleSource(tmp_path).load(FIRST)
    later = SampleSource(tmp_path).load(FIRST + timedelta(days=10))

    for name, record in first.strategies.items():
        again = later.strategies[name].until(newest(first))
        assert again.content_hash() == record.content_hash()


def test_at_its_end_it_says_so_and_stops(tmp_path: Path) -> None:
    source = SampleSource(tmp_path)
    source.load(FIRST)
    far = source.load(FIRST + timedelta(days=500))
    farther = source.load(FIRST + timedelta(days=600))

    assert newest(far) == newest(farther)
    assert any("the sample ended on" in note for note in far.notes)


def test_a_note_says_that_it_is_a_sample(tmp_path: Path) -> None:
    (note,) = SampleSource(tmp_path).load(FIRST).notes

    assert "bundled sample" in note


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '{"shift_weeks": "many"}',
        "[1]",
        '{"shift_weeks": 1e400}',
        '{"shift_weeks": 1000000000000}',
        '{"shift_weeks": -110000}',
    ],
)
def test_a_broken_anchor_is_named_with_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "sample-anchor.json").write_text(content)

    with pytest.raises(RecordsUnavailable, match="delete it to start the replay anew"):
        SampleSource(tmp_path).load(FIRST)


def test_an_anchor_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the state folder should be")

    with pytest.raises(RecordsUnavailable, match="cannot be read or written"):
        SampleSource(tmp_path / "state").load(FIRST)


def test_of_two_first_readers_one_sets_the_anchor_for_both(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        loads = [
            pool.submit(SampleSource(tmp_path).load, FIRST + timedelta(weeks=weeks))
            for weeks in (0, 1, 2, 3)
        ]
        starts = {load.result().dates[0] for load in loads}

    assert len(starts) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["sample-anchor.json"]


def test_the_samples_licence_notice_lies_beside_it() -> None:
    from perf_alerts_dagster.records.sources import sample

    notice = Path(sample.__file__).parent / "sample_data" / "NOTICE"

    assert "licen" in notice.read_text(encoding="utf-8").lower()


def test_five_strategies_bring_trades(tmp_path: Path) -> None:
    records = SampleSource(tmp_path).load(FIRST)

    assert sum(one.trades is not None for one in records.strategies.values()) == 5
