"""Brings the platform's database to this release's schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from migrations.grants import grant
from platform_api.db.engine import async_url

#: Any number that nobody else uses: two processes that migrate at once take turns.
ADVISORY_LOCK = 7_401_966_301

#: A migration that waits longer than this for a lock would stall every query behind it.
LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"


def configuration() -> Config:
    """Alembic's settings; the scripts lie beside this file, wherever the package is installed."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Run the migrations that are missing; safe to repeat and to run from several processes at once."""
    engine = create_engine(async_url(database_url))
    config = configuration()
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        if revision == "head":
            grant(connection)
            connection.commit()
    engine.dispose()
