"""The alert store of the settings."""

from perf_alerts_dagster.settings import Settings


def store_url(settings: Settings) -> str:
    """The alert store's URL: PostgreSQL where set, else a SQLite file in the state folder."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return f"sqlite:///{settings.state_dir / 'perf_alerts.db'}"


def migrate_store(settings: Settings) -> None:
    """Bring the alert store to this version; two starters do not collide.

    Raises:
        StoreUnavailable: the store cannot be reached or written.
    """
    from perf_alerts_dagster.adapters.store.engine import open_engine
    from perf_alerts_dagster.adapters.store.versions import migrate

    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = open_engine(store_url(settings))
    try:
        migrate(engine)
    finally:
        engine.dispose()
