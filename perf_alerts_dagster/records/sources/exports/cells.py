"""Numbers and days as tools write them; one reading for a whole column, or none."""

import polars as pl

from perf_alerts_dagster.records.sources.exports.export import Export

_MONEY = r"[A-Z]{3,5}|[$€£¥]"
_NUMBER = (
    rf"^(?<open>\()?(?<sign>[-+]?)\s*(?<before>{_MONEY})?\s*(?<inner>[-+]?)"
    r"(?<digits>[\d.,'\s]*\d[\d.,'\s]*?)(?<power>[eE][-+]?\d+)?"
    rf"\s*(?<percent>%)?\s*(?<after>{_MONEY})?(?<close>\))?$"
)
_GROUPS = r"[1-9]\d{{0,2}}(?:[{0}\s']\d{{3}})+"
_POINT = rf"^(?:\d+|{_GROUPS.format(',')})?(?:\.\d*)?$"
_COMMA = rf"^(?:\d+|{_GROUPS.format('.')})(?:,\d*)?$"
_UNIX = r"^(\d{10})(?:\.\d+|(?:\d{3}){1,3})?$"
_YEAR_LAST = r"^(\d{1,2})[-./](\d{1,2})[-./](\d{4}|\d{2})\b"
_MOMENT = (
    r"^(?<day>\d{4}[-./](?:\d{1,2}|[A-Za-z]{3})[-./]\d{1,2})"
    r"(?:[T ,;]+(?<hour>\d{1,2}):?(?<minute>\d\d)(?::?(?<second>\d\d))?[.\d]*"
    r"\s*(?<half>[AaPp][Mm])?\s*(?<zone>[A-Z]{1,5}|[-+]\d\d:?\d\d)?)?$"
)


def numbers(export: Export, column: str) -> tuple[pl.Series, str, list[str]]:
    """A column of numbers, null where a cell is missing; their unit, and what was assumed.

    Thousands, decimal comma, parentheses, percent and currency signs are read. The unit is `%`
    (which is divided out), a currency, or empty.
    """
    raw = export.frame[column]
    plain = raw.cast(pl.Float64, strict=False)
    if plain.null_count() == raw.null_count() and plain.is_finite().all():
        return plain, "", []
    cells = export.cells(column)
    parts = cells.str.replace("\N{MINUS SIGN}", "-").str.extract_groups(_NUMBER).struct.unnest()
    digits, is_open = parts["digits"].str.strip_chars(), parts["open"].is_not_null()
    is_whole = digits.is_not_null() & (is_open == parts["close"].is_not_null())
    export.refuse(cells.is_not_null() & ~is_whole, column, "is no number")
    is_point, is_comma = digits.str.contains(_POINT), digits.str.contains(_COMMA)
    has_comma = digits.str.contains(",")
    if not is_comma.all():
        export.refuse(~is_point, column, "is no number")
    elif is_point.all():
        export.refuse(has_comma, column, "may have a decimal comma or thousands: write 1234.5")
    group, decimal = (",", ".") if is_point.all() else (".", ",")
    # A zero without the percent sign of the others is a fault as well: it may stand for a gap.
    units = parts.select(pl.coalesce("percent", "before", "after", pl.lit(""))).to_series()
    unit: str = units.filter(is_whole)[0]
    export.refuse(
        is_whole & (units != unit), column, f"is not in the unit ({unit or 'none'}) before"
    )
    is_minus = (parts["sign"] == "-") ^ (parts["inner"] == "-") ^ is_open
    size = digits.str.replace_all(r"[\s']", "").str.replace_all(group, "", literal=True)
    size = size.str.replace(decimal, ".", literal=True) + parts["power"].fill_null("")
    sign = pl.select(pl.when(is_minus).then(-1.0).otherwise(1.0)).to_series()
    values = size.cast(pl.Float64) * sign / (100 if unit == "%" else 1)
    notes = [f"{unit} is taken off the numbers"] * bool(unit)
    notes += [f"{decimal!r} is the decimal sign"] * bool(has_comma.any())
    return values, unit, notes


def moments(export: Export, column: str) -> tuple[pl.DataFrame, list[str]]:
    """A column of times: `day` as written, the time of day `at` (text), and both as ISO `text`.

    All are null where a cell is missing, and `at` where there is no time. Also what was assumed.
    """
    cells = export.cells(column)
    utc = pl.from_epoch(cells.str.extract(_UNIX).cast(pl.Int64)).dt.strftime("%Y-%m-%dT%H:%M UTC")
    text = utc.zip_with(utc.is_not_null(), cells)
    first, second = (text.str.extract(_YEAR_LAST, group).cast(pl.Int64) for group in (1, 2))
    notes = []
    if first.is_not_null().any():
        is_day_first = bool((first > 12).any())
        if not is_day_first and not (second > 12).any():
            rule = "may be day or month first in every row: write YYYY-MM-DD"
            export.refuse(first.is_not_null(), column, rule)
        text = text.str.replace(_YEAR_LAST, "$3-$2-$1" if is_day_first else "$3-$1-$2")
        text = text.str.replace(r"^(\d\d)-", "20$1-")
        notes.append(f"{'day' if is_day_first else 'month'} first in {column}")
    text = text.str.replace(r"^(\d{4})(\d\d)(\d\d)($|[T ,;])", "$1-$2-$3$4")
    text = text.str.replace(r"^([A-Za-z]{3})[a-z]*\.? (\d{1,2}), (\d{4})$", "$3-$1-$2")
    parts = text.str.extract_groups(_MOMENT).struct.unnest()
    written, half = parts["day"].str.replace_all("[./]", "-"), pl.col("half").str.to_lowercase()
    hour, at = pl.col("hour").cast(pl.Int64), pl.col("at")
    hour = pl.when(half.is_null()).then(hour).otherwise(hour % 12 + 12 * (half == "pm"))
    clock = (hour.cast(pl.String).str.zfill(2), "minute", pl.col("second").fill_null("00"))
    found = parts.select(
        "zone",
        day=pl.coalesce(written.str.to_date(f"%Y-%{m}-%d", strict=False) for m in "mb"),
        at=pl.concat_str(*clock, separator=":"),
    ).with_columns(is_time=at.is_null() | at.str.to_time("%H:%M:%S", strict=False).is_not_null())
    is_bad = cells.is_not_null() & ~(found["day"].is_not_null() & found["is_time"])
    export.refuse(is_bad, column, "is no date: write YYYY-MM-DD")
    if zones := sorted(found["zone"].drop_nulls().unique()):
        notes.append(f"days as written in zone {', '.join(zones)}")
    whole = pl.col("day").cast(pl.String) + (pl.lit("T") + at).fill_null("")
    return found.select("day", "at", text=whole), notes
