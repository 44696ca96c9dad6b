"""The daily check's first day, an ordinary day, and a catch-up of 30 sessions, in CPU seconds.

Per size a Parquet record of as many strategies in ten groups, 2,520 weekdays each, a fifth of them
live, and an alert store of its own (SQLite). Each execution is a process of its own, as a run is,
with the parts that a run has; no channel is set. No projection ends within these days.
Reads /proc: Linux only. Run: `OMP_NUM_THREADS=1 python benchmarks/day.py`, five minutes; or with
sizes.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

SIZES, ROWS, LIVE, CATCH_UP = (250, 500, 1_000), 2_520, 498, 30
# Rows of the record on each day.
DAYS = {"first": ROWS - CATCH_UP - 1, "ordinary": ROWS - CATCH_UP, "catch-up": ROWS}


def weekdays() -> list[date]:
    """The days of the rows."""
    offsets = np.arange(ROWS)
    days: list[date] = np.busday_offset("2016-01-04", offsets, roll="forward").astype(object)
    return list(days)


def write_record(file: Path, strategies: int, rows: int) -> None:
    """The first `rows` rows of each strategy; heavy-tailed, with a common part."""
    import polars as pl

    rng = np.random.default_rng(1)
    returns = rng.standard_t(4, (strategies, ROWS)) * 0.006 + rng.standard_normal(ROWS) * 0.003
    names = [f"s{number:04d}" for number in range(strategies)]
    pl.DataFrame(
        {
            "strategy": np.repeat(names, rows),
            "date": weekdays()[:rows] * strategies,
            "pnl": ((returns + 0.0004) * 100_000.0)[:, :rows].ravel(),
            "capital": np.full(strategies * rows, 100_000.0),
            "segment": (["backtest"] * (ROWS - LIVE) + ["live"] * LIVE)[:rows] * strategies,
            "group": np.repeat([f"g{number % 10}" for number in range(strategies)], rows),
        }
    ).write_parquet(file)


def execute(state: str, record: str, session: str) -> None:
    """Execute the alert after the close of a session; write CPU seconds and MB to stdout."""
    from perf_alerts_dagster.bootstrap.executions import build_services
    from perf_alerts_dagster.bootstrap.records import store_url
    from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK
    from perf_alerts_dagster.settings.environment import load_settings
    from perf_alerts_dagster.storage.engine import open_engine
    from perf_alerts_dagster.storage.migrate import migrate

    settings = load_settings(
        {
            "ALERT_STATE_DIR": state,
            "ALERT_RECORDS_URL": record,
            "ALERT_CATCHUP_SESSIONS": str(CATCH_UP),
            "ALERT_SESSION_CLOSE": "21:00",
        },
        None,
    )
    migrate(open_engine(store_url(settings)))
    started = time.process_time()
    executor = build_services(settings)
    now = datetime.combine(date.fromisoformat(session), datetime.min.time(), UTC).replace(hour=23)
    found = executor.execute(DAILY_PNL_CHECK, as_of=None, run_id=session, now=now)
    used = time.process_time() - started
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(float(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    answer = {"cpu": used, "peak": peak, "sessions": len(found.judgements)}
    sys.stdout.write(json.dumps(answer))


def measure(strategies: int) -> dict[str, dict[str, float]]:
    """CPU seconds, peak memory and judged sessions of each day."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "record.parquet")
        for name, rows in DAYS.items():
            write_record(record, strategies, rows)
            command = [sys.executable, __file__, "execute", f"{folder}/state", str(record)]
            found[name] = json.loads(
                subprocess.run(
                    [*command, str(weekdays()[rows - 1])],
                    check=True,
                    stdout=subprocess.PIPE,
                    env=os.environ,
                ).stdout
            )
    return found


def main(sizes: tuple[int, ...]) -> None:
    """Measure every size and write a table to standard output."""
    sys.stdout.write(
        f"daily_pnl_check, Python {platform.python_version()}, numpy {np.__version__}, "
        f"{platform.machine()}; seconds of CPU\n"
    )
    before: dict[str, dict[str, float]] = {}
    for size in sizes:
        found = measure(size)
        sessions, ratio = found["catch-up"]["sessions"], found["catch-up"]["cpu"]
        days = ", ".join(f"{name} {one['cpu']:.1f} s" for name, one in found.items())
        peak = max(one["peak"] for one in found.values())
        sys.stdout.write(
            f"{size} strategies: {days} ({sessions:.0f} sessions, "
            f"{ratio / found['ordinary']['cpu']:.1f} ordinary days), peak {peak:.0f} MB\n"
        )
        if before:
            growth = ", ".join(
                f"{name} {one['cpu'] / before[name]['cpu']:.2f}x" for name, one in found.items()
            )
            sys.stdout.write(f"  against the size before: {growth}\n")
        sys.stdout.flush()
        before = found


if __name__ == "__main__":
    if sys.argv[1:2] == ["execute"]:
        execute(*sys.argv[2:])
    else:
        main(tuple(int(size) for size in sys.argv[1:]) or SIZES)
