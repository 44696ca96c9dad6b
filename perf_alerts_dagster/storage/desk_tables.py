"""The tables of what is kept about a desk, and the metadata that all tables are in."""

import sqlalchemy as sa

from perf_alerts_dagster.storage.types import JsonText, UtcDateTime

# Names are explicit rules, because an unnamed constraint cannot be altered by a later migration.
metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# By source, its last accepted reading, and what a reading that is not accepted yet lacks.
source_readings = sa.Table(
    "source_readings",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("accepted", JsonText, nullable=False),
    sa.Column("vanished", JsonText, nullable=False),
    sa.Column("pending", JsonText, nullable=False),
)

strategy_calendars = sa.Table(
    "strategy_calendars",
    metadata,
    sa.Column("strategy", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("periods_per_year", sa.Double, nullable=False),
    sa.Column("since", sa.Date, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
)

retirements = sa.Table(
    "retirements",
    metadata,
    sa.Column("strategy", sa.Text, primary_key=True),
    sa.Column("since", sa.Date, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

baselines = sa.Table(
    "baselines",
    metadata,
    sa.Column("strategy", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("since", sa.Date, nullable=False),
    sa.Column("haircut", sa.Double, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

# The plot of an incident's rule as it was when the incident opened, as JSON.
incident_plots = sa.Table(
    "incident_plots",
    metadata,
    sa.Column("incident_id", sa.Text, primary_key=True),
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

# How each strategy and group stands: the columns are for sorting and filtering, `rank` the worst
# first, the body is the whole as JSON.
standings = sa.Table(
    "standings",
    metadata,
    sa.Column("strategy", sa.Text, primary_key=True),
    sa.Column("is_group", sa.Boolean, nullable=False),
    sa.Column("group", sa.Text),
    sa.Column("owner", sa.Text),
    sa.Column("cell", sa.Text, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("judged_at", UtcDateTime, nullable=False),
    sa.Column("provisional", sa.Boolean, nullable=False),
    sa.Column("late", sa.Integer, nullable=False),
    sa.Column("last_return", sa.Double),
    sa.Column("last_pnl", sa.Double),
    sa.Column("month_return", sa.Double),
    sa.Column("live_return", sa.Double),
    sa.Column("drawdown", sa.Double),
    sa.Column("band", sa.Double),
    sa.Column("p_year", sa.Double),
    sa.Column("body", sa.Text, nullable=False),
)

# The rows of a strategy or group as they were last read, by year; year 0 holds what is not dated.
series = sa.Table(
    "series",
    metadata,
    sa.Column("strategy", sa.Text, primary_key=True),
    sa.Column("year", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

# By strategy and month, when each row of its shadow was first read; see records.first_seen.
shadow_rows = sa.Table(
    "shadow_rows",
    metadata,
    sa.Column("strategy", sa.Text, primary_key=True),
    sa.Column("month", sa.Text, primary_key=True),
    sa.Column("rows", sa.LargeBinary, nullable=False),
)
