import logging
import struct
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from unittest.mock import patch

import pytest
import resvg_py

from perf_alerts_dagster.plots.png import png
from perf_alerts_tests.plots.test_plot import a_plot
from perf_alerts_tests.plots.test_svg import MANY


def size(picture: bytes | None) -> tuple[int, int]:
    assert picture is not None
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


@pytest.mark.parametrize("name", MANY)
def test_every_plot_is_a_picture_for_the_screens_of_phones(name: str) -> None:
    assert size(png(MANY[name])) == (1280, 520)


def test_a_picture_is_small_enough_for_a_mail() -> None:
    assert len(png(a_plot()) or b"") < 100_000


def test_text_is_drawn_with_the_bundled_font_and_no_other() -> None:
    title = a_plot(title="AgÖ −15.0 %", text="")
    with patch.object(resvg_py, "svg_to_bytes", wraps=resvg_py.svg_to_bytes) as drawn:
        picture = png(title)

    assert picture == png(title) != png(replace(title, title=""))
    assert drawn.call_args.kwargs["skip_system_fonts"] is True
    (font,) = drawn.call_args.kwargs["font_files"]
    assert font.endswith("DejaVuSans-Latin.ttf")


def test_the_font_is_free_and_small_and_has_the_signs_that_plots_write() -> None:
    folder = files("perf_alerts_dagster.plots") / "fonts"
    font = (folder / "DejaVuSans-Latin.ttf").read_bytes()

    assert len(font) < 60_000
    assert "Bitstream Vera Fonts Copyright" in (folder / "LICENSE").read_text(encoding="utf-8")


def test_a_picture_that_cannot_be_made_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with patch.object(resvg_py, "svg_to_bytes", side_effect=ValueError("no memory")):
        assert png(a_plot()) is None
    with patch.dict(sys.modules, {"resvg_py": None}):
        assert png(a_plot()) is None

    assert [each.levelno for each in caplog.records] == [logging.WARNING] * 2
    assert "no picture of trend, interval_breach: no memory" in caplog.text


def test_who_draws_no_picture_loads_no_renderer() -> None:
    code = (
        "import sys\n"
        "import perf_alerts_dagster.executions.execute, perf_alerts_dagster.plots.png\n"
        "print('resvg_py' in sys.modules)"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "False"
