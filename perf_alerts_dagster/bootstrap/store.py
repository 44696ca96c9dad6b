"""The alert store of the settings."""

from perf_alerts_dagster.domain.errors import StoreUnavailable
from perf_alerts_dagster.settings import Settings


def store_url(settings: Settings) -> str:
    """The alert store's URL: PostgreSQL where set, else a SQLite file in the state folder."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return f"sqlite:///{settings.state_dir / 'perf_alerts.db'}"


def make_state_dir(settings: Settings) -> None:
    """Make the state folder, where it is not there, for its owner alone.

    Raises:
        StoreUnavailable: it cannot be made.
    """
    folder = settings.state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreUnavailable(
            f"the state folder {folder} cannot be made: {error.strerror}; "
            "give this user its place, or set ALERT_STATE_DIR to another one"
        ) from error


def migrate_store(settings: Settings) -> None:
    """Bring the alert store to this version; two starters do not collide.

    Raises:
        StoreUnavailable: the store cannot be reached or written.
    """
    from perf_alerts_dagster.adapters.store.engine import open_engine
    from perf_alerts_dagster.adapters.store.versions import migrate

    make_state_dir(settings)
    engine = open_engine(store_url(settings))
    try:
        migrate(engine)
    finally:
        engine.dispose()
