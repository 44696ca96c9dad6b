"""Small drawings and numbers of a row: its path, its sessions, its place among healthy paths."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from perf_alerts_dagster.core.wording import RAREST, counted, one_in
from perf_alerts_dagster.judging.standings.model import BY_CODE, Cell

# What each state is called.
WORDS: Mapping[Cell, str] = {
    Cell.UNJUDGED: "not judged, or does not apply",
    Cell.OK: "ok",
    Cell.INFO: "noted",
    Cell.WEAK: "weak sign, nobody notified",
    Cell.INSUFFICIENT_DATA: "too little data",
    Cell.PARTIAL: "judged in part",
    Cell.WARNING: "warning",
    Cell.NO_DATA: "no recent data",
    Cell.ERROR: "error",
    Cell.CRITICAL: "critical",
}
# Sizes in the drawings' own units; the style sheet says how large they are.
_WIDE, _HIGH, _STRIP_HIGH, _BAR = 120, 28, 8, 60
# From this share of healthy years on, nothing is rare.
USUAL = 0.5
_ALL_IN_BAND = (0.025, 0.975)


def percent(value: float | None, digits: int = 1) -> str:
    """A return with its sign and fixed decimals, `−2.07 %`; a dash where there is none."""
    if value is None:
        return "–"
    text = f"{100.0 * abs(value):,.{digits}f}"
    sign = "" if not text.strip("0.,") else "+" if value > 0.0 else "\u2212"
    return f"{sign}{text}\u00a0%"


def odds(p_year: float | None) -> str:
    """How many healthy years are as bad: `1 in 20`, `4 in 10`, `< 1 in 700`, or `usual`."""
    if p_year is None:
        return "–"
    if p_year < RAREST:
        return f"< {one_in(RAREST)}"
    return "usual" if p_year >= USUAL else one_in(p_year)


def sparkline(
    path: Sequence[float], lower: Sequence[float | None], upper: Sequence[float | None]
) -> Markup:
    """The return since launch, in its band of 95 % as far as that is near; empty without rows."""
    if len(path) < 2:
        return Markup("")
    low, high = min(0.0, *path), max(0.0, *path)
    # A band far wider than the path would make a line of it.
    room = max(high - low, 1e-4)
    bounds = [each for each in (*lower, *upper) if each is not None]
    low = max(min(low, *bounds), low - room / 2) if bounds else low
    high = min(max(high, *bounds), high + room / 2) if bounds else high
    span = max(high - low, 1e-4)

    def at(place: int, value: float) -> str:
        x = round(_WIDE * place / (len(path) - 1))
        return f"{x} {round(_HIGH - _HIGH * (min(max(value, low), high) - low) / span)}"

    thin = range(0, len(path), 1 if len(path) <= 40 else 2)
    places = sorted({*thin, len(path) - 1})
    line = "L".join(at(place, path[place]) for place in places)
    known = [
        place for place in places[::3] if lower[place] is not None and upper[place] is not None
    ]
    band = ""
    if len(known) > 1:
        edge = [at(place, upper[place] or 0.0) for place in known]
        edge += [at(place, lower[place] or 0.0) for place in reversed(known)]
        band = f'<path class="spark-band" d="M{"L".join(edge)}z"/>'
    zero = at(0, 0.0).split()[1]
    return Markup(  # noqa: S704 - numbers only
        f'<svg class="spark" viewBox="0 -1 {_WIDE} {_HIGH + 2}" aria-hidden="true">{band}'
        f'<path class="spark-zero" d="M0 {zero}h{_WIDE}"/>'
        f'<path class="spark-line" d="M{line}"/></svg>'
    )


def strip(codes: str) -> Markup:
    """The states of the last sessions, the newest at the right end; its title counts them."""
    if not codes:
        return Markup("")
    paths: dict[Cell, str] = {}
    counts: dict[Cell, int] = {}
    start = 0
    while start < len(codes):
        end = start + 1
        while end < len(codes) and codes[end] == codes[start]:
            end += 1
        cell = BY_CODE[codes[start]]
        counts[cell] = counts.get(cell, 0) + end - start
        if cell is not Cell.UNJUDGED:
            top, high = (5, 3) if cell is Cell.OK else (0, 8)
            paths[cell] = paths.get(cell, "") + f"M{start} {top}h{end - start}v{high}H{start}z"
        start = end
    said = ", ".join(
        f"{count} {WORDS[cell].partition(',')[0]}"
        for cell, count in sorted(counts.items(), key=lambda pair: -pair[0].rank)
    )
    drawn = "".join(f'<path class="strip-{cell.value}" d="{d}"/>' for cell, d in paths.items())
    return Markup(  # noqa: S704 - words of ours and numbers
        f'<svg class="strip" viewBox="{len(codes) - 90} 0 90 {_STRIP_HIGH}" '
        f'preserveAspectRatio="none" role="img"><title>last {counted(len(codes), "session")}: '
        f"{said}</title>{drawn}</svg>"
    )


def gauge(band: float | None) -> Markup:
    """Where the live path is among the healthy ones, with its number; a dash without any."""
    if band is None:
        return Markup("–")
    at = round(_BAR * min(max(band, 0.0), 1.0))
    low, high = (round(_BAR * each) for each in _ALL_IN_BAND)
    word = f"{100.0 * band:.1f}" if band < 0.1 or band > 0.9 else f"{100.0 * band:.0f}"
    # Above all of them is rare, and no loss.
    out = ' class="negative"' if band < _ALL_IN_BAND[0] else ""
    return Markup(  # noqa: S704 - numbers only
        f"<span{out}>{word}\u00a0%</span>"
        f'<svg class="gauge" viewBox="-2 0 {_BAR + 4} 8" aria-hidden="true">'
        f'<path class="gauge-bar" d="M0 4h{_BAR}"/><path class="gauge-in" d="M{low} 4H{high}"/>'
        f'<path class="gauge-at" d="M{at} 0v8"/></svg>'
    )
