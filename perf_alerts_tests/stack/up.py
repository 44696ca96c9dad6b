"""Runs the stack over the tiny code location: STATE_DIR PORT."""

import asyncio
import logging
import sys
from pathlib import Path

from perf_alerts_dagster.core.errors import StackError
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.stack.dagster_home import only_stack, prepare_home
from perf_alerts_dagster.stack.stack import check_port, stack_specs, up

TINY = "perf_alerts_tests.stack.tiny"


async def notify() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def main(state: str, port: str) -> None:
    logging.basicConfig(level=logging.INFO)
    state_dir = Path(state)
    try:
        with only_stack(state_dir):
            check_port(int(port), "ALERT_WEBSERVER_PORT")
            settings = Settings(state_dir=state_dir, run_max_seconds=60)
            prepare_home(settings)
            specs = stack_specs(
                state_dir=state_dir,
                webserver_port=int(port),
                environment={
                    **settings.environment(),
                    "PYTHONPATH": str(Path(__file__).parents[2]),
                },
                module=TINY,
            )
            asyncio.run(up(specs, state_dir=state_dir, on_ready=notify))
    except StackError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
