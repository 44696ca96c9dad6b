from dataclasses import replace
from datetime import date

from perf_alerts_dagster.plots.plot import FLAGGED, NO_ROW, ROW, Kind, Limit, Series
from perf_alerts_dagster.plots.table import columns, rows
from perf_alerts_tests.plots.test_plot import a_plot
from perf_alerts_tests.plots.test_svg import cells


def test_a_table_has_what_is_drawn_and_its_limits() -> None:
    plot = a_plot(4, limits=(Limit(value=-0.2, label="mandate"),))
    found = rows(plot)

    assert columns(plot) == ("band", "expected", "live", "mandate")
    assert len(found) == 4
    assert found[0].day == "2 Jan 2023"
    assert found[0].cells == (
        "\u221210.0 % to 10.0 %",
        "0 %",
        "0 %",
        "\u221220.0 %",
    )


def test_a_long_table_keeps_its_ends_and_the_first_date_of_what_broke() -> None:
    plot = a_plot(2_000)
    found = [each.day for each in rows(plot, 12)]

    assert len(found) == 13
    for day in (plot.dates[0], plot.dates[-1], plot.since):
        assert day is not None
        assert any(
            each.startswith(f"{day.day} ") and each.endswith(str(day.year)) for each in found
        )


def test_bands_one_after_another_share_a_column() -> None:
    halves = [
        Series(name="band", kind=Kind.AREA, values=(0.1, None), lower=(0.0, None)),
        Series(name="band", kind=Kind.AREA, values=(None, 0.3), lower=(None, 0.2)),
    ]
    plot = a_plot(2, series=tuple(halves), limits=())

    assert columns(plot) == ("band",)
    assert [each.cells for each in rows(plot)] == [("0 % to 10.0 %",), ("20.0 % to 30.0 %",)]


def test_ticks_and_cells_are_said_in_words() -> None:
    ticks = Series(name="hits", kind=Kind.TICKS, values=(None, 1.0))
    assert [each.cells for each in rows(a_plot(2, series=(ticks,), limits=()))] == [("",), ("yes",)]

    plot = cells(ROW, NO_ROW, FLAGGED, None, first=date(2024, 1, 1))
    said = [each.cells[0] for each in rows(plot)]
    assert said == ["a row", "no row", "no P&L", ""]


def test_a_plot_without_dates_has_no_rows() -> None:
    empty = a_plot(0, since=None, limits=())
    assert rows(empty) == []
    area = Series(name="band", kind=Kind.AREA, values=(1.0,), lower=(None,))
    assert rows(replace(a_plot(1), series=(area,), limits=()))[0].cells == ("",)
