"""Which calendar a strategy's dates follow."""

import numpy as np

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.records.model import Dates
from perf_alerts_dagster.records.sessions import (
    EVERY_DAY,
    MONTHLY,
    SPARSE,
    WEEKDAYS,
    WEEKLY,
    YEAR,
    missing,
    open_calendar,
)

# A calendar is inferred from this many daily rows on, or weekly, monthly, quarterly ones; before
# that the latter are assumed from a few.
_MINIMUM, _MINIMUM_SLOW, _FEW = 250, 24, 6
# The newest rows that a calendar is inferred from: two years of daily ones.
WINDOW = 504
# Of equally good exchanges the first one is taken. The last takes seconds to make, and is looked
# at only where nothing else fits and at least so many weekdays have no row.
_KOREAN = 0.03
EXCHANGES = (
    "XNYS", "XLON", "XETR", "XPAR", "XSWX", "XTKS", "XHKG", "XSHG", "XASX", "XTSE", "XBOM",
    "BVMF", "XJSE", "XSTO", "CMES", "XWAR", "XTAI", "XOSL", "XCSE", "XHEL", "XMIL",
    "XDUB", "XIST", "XSES", "XKLS", "XBKK", "XIDX", "XPHS", "XNZE", "XMEX", "XBOG", "XBUE",
    "XSGO", "XLIM", "XPRA", "XBUD", "XKRX",
)  # fmt: skip
# The largest share of an exchange's sessions that rows may miss, or lie beside.
_TOLERANCE = 0.01
# No exchange of the list rests on a larger share of the weekdays, and no rule judges a window
# with more of them missing.
_HOLIDAYS = 0.10
# Rows on weekends from this share on mean a market that never rests.
_WEEKENDS = 0.05
# Without a row on a larger share of the weekdays, such as a fifth of them in weeks of four days,
# only active days are exported.
_SPARSE = 0.19
# Rows per year of daily books that are called 252.
_ORDINARY = (235.0, 266.0)
# Days from one row to the next, and the share of the gaps that must be so.
_WEEK, _MONTH, _MOST = (5, 9), (26, 35), 0.8
_YEAR_DAYS = 365.25


def infer(dates: Dates) -> tuple[str, float] | None:
    """The calendar that the newest 504 rows follow, and its rows per year.

    None for too few rows: 250 of a daily record, 24 of a slower or a sparse one.
    """
    recent = dates[-WINDOW:]
    if len(dates) < _MINIMUM_SLOW:
        return None
    rate = rows_per_year(recent)
    name = _slow(recent) or (SPARSE if _is_sparse(recent) else None)
    if name is None and len(dates) < _MINIMUM:
        return None
    if name is None:
        name = EVERY_DAY if never_rests(recent) else _exchange(recent)
    if name == SPARSE:
        return SPARSE, rate
    if name is not None:
        return name, open_calendar(name).periods_per_year
    return WEEKDAYS, YEAR if _ORDINARY[0] <= rate <= _ORDINARY[1] else rate


def assume(dates: Dates) -> str:
    """The calendar of a strategy with too few rows to infer one.

    Sparse where some weekday never has a row, as in weeks from Sunday to Thursday.
    """
    slow = _slow(dates) if len(dates) >= _FEW else None
    # 1970-01-01 was a Thursday.
    worked = set(((dates.astype(np.int64) + 3) % 7).tolist())
    is_sparse = len(dates) >= _MINIMUM_SLOW and not worked >= set(range(5))
    return slow or (EVERY_DAY if never_rests(dates) else SPARSE if is_sparse else WEEKDAYS)


def _slow(dates: Dates) -> str | None:
    """Monthly or weekly where most gaps are so many days, sparse where the median one is longer."""
    gaps = np.diff(dates).astype(np.int64)
    if not len(gaps) or np.median(gaps) < _WEEK[0]:
        return None
    for name, (shortest, longest) in ((MONTHLY, _MONTH), (WEEKLY, _WEEK)):
        if ((gaps >= shortest) & (gaps <= longest)).mean() >= _MOST:
            return name
    return SPARSE


def _absent(dates: Dates) -> float:
    """The share of the weekdays from the first to the last date that are none of them."""
    absent = len(missing(dates, open_calendar(WEEKDAYS)))
    return absent / (absent + len(dates))


def _is_sparse(dates: Dates) -> bool:
    """Whether only active days are exported: over a year and more, and its newer half too.

    So are days that are neither weekdays nor all days, such as Sunday to Thursday.
    """
    if dates[-1] - dates[0] < np.timedelta64(365, "D"):
        return False
    limit = _SPARSE if _on_weekends(dates) < _WEEKENDS else _HOLIDAYS
    return min(_absent(dates), _absent(dates[len(dates) // 2 :])) > limit


def _on_weekends(dates: Dates) -> float:
    return 1.0 - float(np.is_busday(dates).mean())


def never_rests(dates: Dates) -> bool:
    """Whether rows fall on weekends, and on nearly every day."""
    if len(dates) < 2:
        return False
    span = int((dates[-1] - dates[0]).astype(np.int64)) + 1
    return _on_weekends(dates) >= _WEEKENDS and len(dates) >= (1.0 - _HOLIDAYS) * span


def _exchange(dates: Dates) -> str | None:
    """The exchange of the list whose sessions fit best, where at most a hundredth does not."""
    # Looked up only where it can be one: making the calendars takes seconds.
    absent = _absent(dates)
    if not 0.0 < absent <= _HOLIDAYS:
        return None
    best, fewest = None, _TOLERANCE
    first, last = dates[0].astype(object), dates[-1].astype(object)
    for code in EXCHANGES:
        if code == EXCHANGES[-1] and (best is not None or absent < _KOREAN):
            break
        try:
            sessions = open_calendar(code).sessions(first, last)
        except SettingsError:
            # The library at hand cannot make it.
            continue
        differing = len(np.setxor1d(dates, sessions)) / max(len(sessions), 1)
        if differing < fewest or (differing == fewest and best is None):
            best, fewest = code, differing
        if fewest == 0.0:
            break
    return best


def rows_per_year(dates: Dates) -> float:
    """Rows per year of the newest rows, rounded to a tenth."""
    recent = dates[-WINDOW:]
    days = int((recent[-1] - recent[0]).astype(np.int64))
    return max(round((len(recent) - 1) * _YEAR_DAYS / days, 1), 0.1) if days else YEAR


def longest_gap(dates: Dates) -> int:
    """The most weekdays from one row to the next within the last year."""
    recent = dates[dates > dates[-1] - np.timedelta64(366, "D")]
    if len(recent) < 2:
        recent = dates[-2:]
    return int(np.busday_count(recent[:-1] + 1, recent[1:] + 1).max(initial=0))
