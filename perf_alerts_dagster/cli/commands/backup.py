"""`perf-alerts backup` and `restore`: the whole state, copied while it is in use."""

from datetime import UTC, datetime
from pathlib import Path

import click

from perf_alerts_dagster.cli.output import ERR, OUT, working
from perf_alerts_dagster.settings import Settings, load_settings


@click.command()
@click.argument("target", type=click.Path(path_type=Path), required=False)
def backup(target: Path | None) -> None:
    """Copy the state folder into the new folder TARGET, while the stack runs, and check it.

    Incidents, judgements, audit, Dagster's runs and toggles, secrets and history files. Without
    TARGET it goes to `perf-alerts-backup-<time>` in this folder. It holds secrets: it is
    readable by you alone, keep it so. Stores in PostgreSQL are not in it: use pg_dump.

    \b
    perf-alerts backup /backups/$(date +%F)
    """
    from perf_alerts_dagster.storage.backup import back_up

    settings, now = load_settings(), datetime.now(UTC)
    target = target or Path(f"perf-alerts-backup-{now:%Y%m%d_%H%M%S}")
    _note_databases(settings)
    with working("copying"):
        archive = back_up(settings.state_dir, target, now=now, store=_store_of(settings))
    size = sum(archive.files.values()) / 1e6
    OUT.print(
        f"{archive.folder}: {len(archive.files)} files, {size:.1f} MB, checked", highlight=False
    )


@click.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--check", is_flag=True, help="Only check the backup; change nothing.")
def restore(source: Path, check: bool) -> None:
    """Put the backup SOURCE in the place of the state folder; the stack must be stopped.

    The backup is checked first. The state that was there is kept beside it. Sessions since the
    backup are judged again by the next executions, and people may be notified of them once more.

    \b
    perf-alerts restore /backups/2026-01-30
    """
    from perf_alerts_dagster.bootstrap.records import make_state_dir
    from perf_alerts_dagster.stack.dagster_home import only_stack
    from perf_alerts_dagster.storage.backup import restore as put_back
    from perf_alerts_dagster.storage.backup import verify

    settings, now = load_settings(), datetime.now(UTC)
    if check:
        archive = verify(source, store=_store_of(settings))
        made_at = f"{archive.made_at:%Y-%m-%d %H:%M:%S} UTC"
        OUT.print(f"{source}: {len(archive.files)} files of {made_at} are whole", highlight=False)
        return
    _note_databases(settings)
    make_state_dir(settings)
    with only_stack(settings.state_dir), working("restoring"):
        old_state = put_back(source, settings.state_dir, now=now, store=_store_of(settings))
    OUT.print(f"{settings.state_dir} is restored", highlight=False)
    if old_state is not None:
        OUT.print(f"what was there is kept in {old_state}", highlight=False)


def _store_of(settings: Settings) -> Path | None:
    """The alert store's file relative to the state folder; None where it is not in it."""
    from perf_alerts_dagster.bootstrap.records import store_url
    from perf_alerts_dagster.storage.engine import open_engine, sqlite_file

    file = sqlite_file(open_engine(store_url(settings)))
    is_inside = file is not None and file.is_relative_to(settings.state_dir)
    return file.relative_to(settings.state_dir) if file and is_inside else None


def _note_databases(settings: Settings) -> None:
    if settings.database_url is not None and _store_of(settings) is None:
        ERR.print(
            "the database of ALERT_DATABASE_URL is not in the state folder, and not part of this: "
            "use pg_dump, or sqlite3's .backup",
            style="yellow",
        )
    if settings.dagster_database_url is not None:
        ERR.print(
            "ALERT_DAGSTER_DATABASE_URL is PostgreSQL, which is not part of this: use pg_dump",
            style="yellow",
        )
