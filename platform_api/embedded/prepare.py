"""Brings the platform's database up to date and sees to the sample users of the embedded default."""

from __future__ import annotations

from migrations.runner import upgrade
from platform_api.embedded.gate import wait_at_gate
from platform_api.settings import Settings


def main() -> None:
    """Migrate, then write the credentials."""
    settings = Settings()
    wait_at_gate()
    if settings.database_url is None:
        raise SystemExit("JOB_PLATFORM_DATABASE_URL is not set")
    upgrade(settings.database_url.get_secret_value())


if __name__ == "__main__":
    main()
