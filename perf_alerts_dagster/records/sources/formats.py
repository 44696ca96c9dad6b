"""The file formats of tables: the ending of each, and the class that reads it.

A format is a line in `FORMATS` and a `Table` that takes a path. The readers are imported when a
file is read, since settings and Dagster's definitions need the endings only. What is not read is
a line in `_CONVERSIONS`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.records.sources.drivers import database_fault

if TYPE_CHECKING:
    from perf_alerts_dagster.records.sources.tables import Table

# The classes in `files` by ending, in the order in which a folder is searched.
FORMATS: Mapping[str, str] = {
    ".parquet": "ParquetTable",
    ".csv": "CsvTable",
    ".csv.gz": "CsvTable",
    ".tsv": "CsvTable",
}
_OUT = "to_csv({out!r}, index=False)"
_PANDAS = 'python -c "import pandas as pd; {}"'
_POLARS = 'python -c "import polars as pl; {}.write_csv({{out!r}})"'
_R = 'Rscript -e "write.csv({}, {{out!r}}, row.names = FALSE)"'
_SHEET = _PANDAS.format(f"pd.read_excel({{name!r}}).{_OUT}")
_PICKLE = "pd.read_pickle({name!r}).reset_index()."
# By endings: why files of a format are not read, and the line that converts one.
_CONVERSIONS = {
    ".xlsx .xls .xlsm": ("Excel is not read (dates and percents of a sheet are guesses)", _SHEET),
    ".ods": ("OpenDocument is not read (dates and percents of a sheet are guesses)", _SHEET),
    ".feather .arrow .ipc": ("Arrow files are not read", _POLARS.format("pl.read_ipc({name!r})")),
    ".json": ("JSON is not read", _PANDAS.format(f"pd.read_json({{name!r}}).{_OUT}")),
    ".jsonl .ndjson": ("JSON lines are not read", _POLARS.format("pl.read_ndjson({name!r})")),
    ".h5 .hdf .hdf5": (
        "HDF5 is not read",
        _PANDAS.format(f"pd.read_hdf({{name!r}}).reset_index().{_OUT}"),
    ),
    ".pkl .pickle": (
        "a pickle may run any code and is never loaded",
        f"{_PANDAS.format(_PICKLE + _OUT)}\nor "
        + _PANDAS.format(_PICKLE + "to_parquet({parquet!r})"),
    ),
    ".zip": ("archives are not read", "python -m zipfile -e {name!r} ."),
    ".xz": ("only gzip is decompressed", "xz -dk {name!r}"),
    ".bz2": ("only gzip is decompressed", "bzip2 -dk {name!r}"),
    ".zst": ("only gzip is decompressed", "zstd -dk {name!r}"),
    ".orc": ("ORC is not read", _PANDAS.format(f"pd.read_orc({{name!r}}).{_OUT}")),
    ".avro": ("Avro is not read", _POLARS.format("pl.read_avro({name!r})")),
    ".rds": ("R's own files are not read", _R.format("readRDS({name!r})")),
    ".rdata": ("R's own files are not read", _R.format("get(load({name!r}))")),
    ".mat": (
        "MATLAB's own files are not read",
        "in MATLAB: writetable(struct2table(load({name!r})), {out!r})",
    ),
    ".npy": (
        "NumPy's own files are not read (their columns have no names)",
        _PANDAS.format(
            "import numpy as np; pd.DataFrame(np.load({name!r}), columns=['strategy', 'date', "
            f"'return']).{_OUT}"
        ),
    ),
}
CONVERSIONS: Mapping[str, tuple[str, str]] = {
    ending: form for endings, form in _CONVERSIONS.items() for ending in endings.split()
}
_FALLBACK = ".csv"


def file_table(path: Path) -> "Table":
    """The table of a file, by its ending; a file without a known one is read as CSV.

    Raises:
        RecordsInvalid: its format is not read; the text has the line that converts it.
    """
    if fault := conversion(path):
        raise RecordsInvalid(f"{path.name}: {fault}")
    ending = next((end for end in FORMATS if path.name.lower().endswith(end)), _FALLBACK)
    from perf_alerts_dagster.records.sources import files

    table: Table = getattr(files, FORMATS[ending])(path)
    return table


def conversion(path: Path) -> str | None:
    """Why a file's format is not read, and the line that converts it; None for another one."""
    ending = next((end for end in CONVERSIONS if path.name.lower().endswith(end)), None)
    if ending is None:
        return None
    why, line = CONVERSIONS[ending]
    stem = path.name[: -len(ending)]
    return f"{why}; convert: " + line.format(
        name=path.name, out=f"{stem}.csv", parquet=f"{stem}.parquet"
    )


def records_fault(url: str | None) -> str | None:
    """The reason why a records URL cannot be read; None where it may be."""
    if not url or not url.strip():
        return None
    if "://" in url:
        return database_fault(url)
    try:
        path = Path(url).expanduser()
        if not path.exists():
            return "there is no such file or folder"
        if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
            return "cannot be read by this user"
    except (OSError, RuntimeError, ValueError):
        return "is no path of a file or folder"
    if path.is_file() and (fault := conversion(path)):
        return fault
    if path.is_file() and not path.name.lower().endswith(tuple(FORMATS)):
        return f"must end in one of {', '.join(sorted(FORMATS))}, be a folder, or a SQLAlchemy URL"
    return None
