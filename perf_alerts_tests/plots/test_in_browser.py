"""Drawings in a real browser: no text is cut at an edge."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from perf_alerts_dagster.plots.plot import Limit, Role, Series
from perf_alerts_dagster.plots.scales import LARGE, SMALL, Frame
from perf_alerts_dagster.plots.svg import svg
from perf_alerts_tests.pages.browsing import chromium, needs_chromium
from perf_alerts_tests.plots.test_plot import a_plot

pytestmark = [pytest.mark.e2e, needs_chromium]
LABELS = (
    "documented limit",
    "limit at its age",
    "97.5 % band",
    "the lowest of 1,000 healthy paths of its projection",
    "MWMWMWMWMWMWMWMWMWMWMWMW",
    "limit",
)
_BOXES = """() => [...document.querySelectorAll('svg text')].map(each => {
  const box = each.getBBox();
  return [each.textContent, box.x, box.y, box.x + box.width, box.y + box.height];
})"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        yield browser.new_page()


@pytest.mark.parametrize("frame", [LARGE, SMALL], ids=["large", "small"])
@pytest.mark.parametrize("font", ["system-ui, sans-serif", "DejaVu Sans"])
@pytest.mark.parametrize("label", LABELS)
def test_no_text_of_a_drawing_is_cut_at_an_edge(
    page: Page, frame: Frame, font: str, label: str
) -> None:
    plot = a_plot(
        title=f"short_vol: {label} " * 4,
        note=f"{label}, " * 9,
        limits=(Limit(value=-0.1, label=label), Limit(value=-1.5, label=label)),
        series=(
            Series(name=label, values=(0.0,) * 30),
            Series(name=label * 2, values=(-0.2,) * 30, role=Role.EXPECTED),
        ),
    )
    drawn = svg(plot, frame=frame)
    page.set_content(f"<style>body {{ font-family: {font} }}</style>{drawn}")
    found = page.evaluate(_BOXES)

    assert [each for each in found if each[1] < 0 or each[3] > frame.width] == []
    assert [each for each in found if each[2] < 0 or each[4] > frame.height] == []
