"""The macro by which every page shows a plot."""

import re
from dataclasses import replace

from perf_alerts_dagster.pages.rendering import _environment, minus
from perf_alerts_dagster.plots.plot import Plot
from perf_alerts_tests.plots.test_plot import a_plot
from perf_alerts_tests.plots.test_svg import HOSTILE


def shown(plot: Plot, arguments: str = "") -> str:
    text = f'{{% from "plot.html" import figure %}}{{{{ figure(plot{arguments}) }}}}'
    return _environment().from_string(text).render(plot=plot)


def test_a_plot_is_drawn_in_both_sizes_with_its_sentence_and_its_numbers() -> None:
    text = shown(a_plot())

    assert re.findall(r'viewBox="0 0 (\d+)', text) == ["640", "340"]
    assert f"<figcaption>{minus(a_plot().text)}" in text
    assert text.count("<tr>") == 1 + 25
    assert "<summary>Numbers" in text


def test_a_small_plot_is_drawn_once_under_its_title() -> None:
    text = shown(a_plot(note="value 3"), ", small=true, rows=4")

    assert re.findall(r'viewBox="0 0 (\d+)', text) == ["340"]
    assert f"<h3>{minus(a_plot().title)}</h3>" in text
    assert "value 3." in text
    assert text.count("<tr>") == 1 + 5


def test_what_comes_from_data_is_escaped() -> None:
    text = shown(replace(a_plot(), title=HOSTILE, text=HOSTILE, note=HOSTILE))

    assert "<script" not in text
    assert "style=" not in text
