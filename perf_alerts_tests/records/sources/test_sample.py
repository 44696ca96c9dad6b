import hashlib
import json
import runpy
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from perf_alerts_dagster.core.errors import RecordsUnavailable
from perf_alerts_dagster.records.model import Floats, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.sources import sample
from perf_alerts_dagster.records.sources.sample import SampleSource

# A Wednesday.
FIRST = date(2026, 1, 7)
FOLDER = Path(sample.__file__).parent / "sample_data"
SCRIPT = Path(__file__).parents[3] / "deploy" / "build_made_up.py"
# Of the real strategies, as first bundled.
SHA256 = {
    "daily.parquet": "bb2fbd3a98f8ad5623c53e169ecbdf5a5075740a88792a1b7cd584845ed2a06d",
    "trades.parquet": "738a62d73125e6a2848877c9a890a07303535f15460828332047aa3fd545b729",
    "strategies.csv": "6cf514aa1978747e04d92e01160bb57fcb136088744833ba67c8c80f240f5c23",
}


def newest(records: TrackRecords) -> date:
    found: date = records.dates[-1].astype(object)
    return found


def whole(folder: Path) -> dict[str, StrategyRecord]:
    """The made-up strategies to the sample's end, which is `FIRST` and about a year."""
    SampleSource(folder).load(FIRST)
    strategies = SampleSource(folder).load(FIRST + timedelta(days=400)).strategies
    return {name: one for name, one in strategies.items() if one.owner == "made up"}


def against_model(record: StrategyRecord) -> tuple[Floats, Floats]:
    """Live returns before the expected cost, and the model's of the same sessions."""
    shadow = record.shadow
    assert shadow is not None
    assert np.array_equal(shadow.dates, record.dates[record.live])
    return record.returns[record.live] + shadow.costs, shadow.returns


def test_sixteen_real_and_two_made_up_strategies_with_backtest_and_live_rows(
    tmp_path: Path,
) -> None:
    records = SampleSource(tmp_path).load(FIRST)

    assert (records.source, records.is_sample) == ("bundled sample", True)
    assert list(records.strategies) == sorted(records.strategies)
    assert not records.faults
    made_up = [name for name, one in records.strategies.items() if one.owner == "made up"]
    assert made_up == ["made_up_steady", "made_up_undersized"]
    assert len(records.strategies) == 16 + 2
    for name, record in records.strategies.items():
        assert int((~record.live).sum()) >= 1_500
        # The last three years are live; of the made-up ones little more than two.
        fewest, most = (300, 330) if name in made_up else (400, 756)
        assert fewest < int(record.live.sum()) < most


def test_the_real_strategies_stay_as_they_were_first_bundled() -> None:
    found = {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in SHA256}

    assert found == SHA256


def test_the_made_up_rows_are_those_that_their_script_makes() -> None:
    sessions = pl.read_parquet(FOLDER / "daily.parquet")["date"].unique().sort()

    for name, table in runpy.run_path(str(SCRIPT))["made_up"](sessions)._asdict().items():
        assert pl.read_parquet(FOLDER / "made_up" / f"{name}.parquet").equals(table), name


def test_the_steady_one_trades_what_its_model_says(tmp_path: Path) -> None:
    live, model = against_model(whole(tmp_path)["made_up_steady"])

    assert np.polyfit(model, live, 1)[0] == pytest.approx(1.0, abs=0.02)
    assert (live - model).std() == pytest.approx(0.1 * model.std(), rel=0.1)


def test_the_undersized_one_trades_four_fifths_from_sixty_sessions_before_the_replay_on(
    tmp_path: Path,
) -> None:
    record = whole(tmp_path)["made_up_undersized"]
    first = SampleSource(tmp_path).load(FIRST).strategies["made_up_undersized"]
    live, model = against_model(record)
    begin = int(first.live.sum()) - 1 - 60

    before, after = slice(0, begin), slice(begin, None)
    assert np.polyfit(model[before], live[before], 1)[0] == pytest.approx(1.0, abs=0.02)
    assert np.polyfit(model[after], live[after], 1)[0] == pytest.approx(0.8, abs=0.02)


def test_shadows_are_revealed_with_the_rows(tmp_path: Path) -> None:
    records = SampleSource(tmp_path).load(FIRST)

    for name, record in records.strategies.items():
        if record.owner != "made up":
            assert (record.shadow, record.benchmark) == (None, None), name
            continue
        assert record.shadow is not None
        assert record.benchmark is not None
        assert record.shadow.dates[-1] == record.dates[-1]
        assert np.isfinite(record.benchmark).all()


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
    notice = FOLDER / "NOTICE"

    assert "licen" in notice.read_text(encoding="utf-8").lower()


def test_five_strategies_bring_trades(tmp_path: Path) -> None:
    records = SampleSource(tmp_path).load(FIRST)

    assert sum(one.trades is not None for one in records.strategies.values()) == 5
