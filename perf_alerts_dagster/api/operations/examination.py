"""The doctor's findings in the REST process: examined apart, at most twice a minute."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from perf_alerts_dagster.api.operations.schemas import FindingData
from perf_alerts_dagster.settings import Settings

_FRESH_SECONDS = 30.0
_SECONDS = 60.0
# In a process of its own: what it loads, Dagster above all, would stay in memory here.
_COMMAND = (sys.executable, "-m", "perf_alerts_dagster.cli", "doctor", "--json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What the doctor found, and when."""

    at: datetime
    findings: Sequence[FindingData]


@dataclass(kw_only=True)
class Examination:
    """Asks the doctor, as `examine` does; `last` is its last result. `seconds` is monotonic."""

    examine: Callable[[], Sequence[FindingData]]
    seconds: Callable[[], float] = time.monotonic
    last: Examined | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._lock = asyncio.Lock()
        self._made = 0.0

    async def findings(self, now: datetime) -> Examined:
        """The findings, at most half a minute old."""
        async with self._lock:
            if self.last is None or self.seconds() - self._made > _FRESH_SECONDS:
                found = await asyncio.to_thread(self.examine)
                self.last = Examined(at=now, findings=found)
                self._made = self.seconds()
            return self.last


def examined(settings: Settings) -> Sequence[FindingData]:
    """What `perf-alerts doctor` finds with these settings; that it fails is a finding too."""
    environment = {**os.environ, **settings.environment()}
    try:
        done = subprocess.run(  # noqa: S603 - words of ours
            _COMMAND, env=environment, capture_output=True, timeout=_SECONDS, check=False
        )
        rows = json.loads(done.stdout)["findings"]
    except subprocess.TimeoutExpired:
        return [_unanswered(f"gave no answer within {_SECONDS:.0f} s")]
    except (OSError, ValueError, KeyError):
        return [_unanswered("gave no answer that can be read")]
    return [FindingData(where=row["where"], problem=row["what"], fix=row["mend"]) for row in rows]


def _unanswered(problem: str) -> FindingData:
    fix = "run `perf-alerts doctor` on the machine of the stack"
    return FindingData(where="the examination", problem=problem, fix=fix)
