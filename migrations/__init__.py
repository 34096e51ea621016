"""Alembic migrations of the platform's own database."""
