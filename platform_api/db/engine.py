"""Connections to the platform's database."""

from __future__ import annotations

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


def async_url(database_url: str) -> str:
    """The SQLAlchemy URL (psycopg 3) for an ordinary ``postgresql://`` URL."""
    return make_url(database_url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def libpq_url(database_url: str) -> str:
    """The ordinary ``postgresql://`` URL that psycopg and PostgreSQL's own tools take."""
    return make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)


def create_engine(database_url: str, *, pool_size: int, application_name: str) -> AsyncEngine:
    """A pool of ``pool_size`` connections that checks each one before use, so that a restart of PostgreSQL heals."""
    return create_async_engine(
        async_url(database_url),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        pool_timeout=10,
        connect_args={
            "application_name": application_name,
            "connect_timeout": 5,
            "options": "-c timezone=UTC -c statement_timeout=30s -c lock_timeout=5s",
        },
    )
