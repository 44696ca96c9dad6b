"""A plot as a PNG picture, for mails: no mail program draws SVG."""

import logging
from importlib.resources import as_file, files

from perf_alerts_dagster.plots.plot import Plot
from perf_alerts_dagster.plots.scales import LARGE
from perf_alerts_dagster.plots.svg import svg

# Pixels per unit of the drawing, for the screens of phones.
_DENSITY = 2
# The only font that is used, so that pictures are the same on every machine.
_FONT, _FAMILY = "DejaVuSans-Latin.ttf", "DejaVu Sans"
_LOG = logging.getLogger(__name__)


def png(plot: Plot) -> bytes | None:
    """The picture of 1280 x 520 pixels, to be shown at half its size.

    None, with a warning in the log, where it cannot be made: a message goes without it.
    """
    try:
        # Loaded with the first picture only.
        import resvg_py

        with as_file(files("perf_alerts_dagster.plots") / "fonts" / _FONT) as font:
            return resvg_py.svg_to_bytes(
                svg_string=svg(plot, standalone=True),
                width=_DENSITY * LARGE.width,
                skip_system_fonts=True,
                font_files=[str(font)],
                font_family=_FAMILY,
                sans_serif_family=_FAMILY,
            )
    except (ImportError, OSError, ValueError) as error:
        _LOG.warning("no picture of %s, %s: %s", plot.strategy, plot.rule, error)
        return None
