"""Production refuses to start with what is only convenient, and says everything at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from platform_api.production import NotFitForProduction, Process, refuse_unfit, settings_faults
from platform_api.settings import Settings
from platform_api.wiring import assembled
from tests.cast import Cast
from work_pools.wiring import equipped

FIT: dict[str, Any] = {
    "environment": "production",
    "base_url": "https://jobs.example.com",
    "database_url": "postgresql://app:pw@db.example.com/job_platform?sslmode=verify-full",
    "prefect_database_url": "postgresql://prefect:pw@db.example.com/prefect?sslmode=require",
    "prefect_auth_string": "admin:a long random password",
    "api_key_pepper": "a long random pepper",
    "master_key": "a long random key",
    "redis_url": "rediss://redis.example.com:6380/0",
    "oidc_authority": "https://login.microsoftonline.com/tenant/v2.0",
    "oidc_client_id": "b8e1",
    "oidc_client_secret": "from the registration",
}
P = "JOB_PLATFORM_"
ALL = ("api", "worker", "up")
DOORS = ("api", "up")

#: What is changed, the setting that is named, and the processes that refuse because of it.
TABLE = [
    ({"oidc_authority": None}, "OIDC_AUTHORITY", DOORS),
    ({"oidc_authority": ""}, "OIDC_AUTHORITY", DOORS),
    ({"oidc_authority": "http://login.example.com/v2.0"}, "OIDC_AUTHORITY", DOORS),
    ({"oidc_authority": "https://127.0.0.1:8443/tenant"}, "OIDC_AUTHORITY", DOORS),
    ({"oidc_authority": "https://[::1]/tenant"}, "OIDC_AUTHORITY", DOORS),
    ({"oidc_authority": "https://localhost/tenant"}, "OIDC_AUTHORITY", DOORS),
    ({"oidc_client_id": None}, "OIDC_CLIENT_ID", DOORS),
    ({"oidc_client_secret": None}, "OIDC_CLIENT_SECRET", DOORS),
    ({"oidc_client_secret": ""}, "OIDC_CLIENT_SECRET", DOORS),
    ({"api_key_pepper": None}, "API_KEY_PEPPER", DOORS),
    ({"api_key_pepper": ""}, "API_KEY_PEPPER", DOORS),
    ({"master_key": None}, "MASTER_KEY", ALL),
    ({"master_key": ""}, "MASTER_KEY", ALL),
    ({"redis_url": None}, "REDIS_URL", DOORS),
    ({"redis_url": "memory://"}, "REDIS_URL", DOORS),
    ({"base_url": "http://jobs.example.com"}, "BASE_URL", ALL),
    ({"base_url": "jobs.example.com"}, "BASE_URL", ALL),
    ({"prefect_auth_string": None}, "PREFECT_AUTH_STRING", ALL),
    ({"prefect_auth_string": "admin:pass"}, "PREFECT_AUTH_STRING", ALL),
    ({"prefect_auth_string": "Admin:Admin"}, "PREFECT_AUTH_STRING", ALL),
    ({"database_url": None}, "DATABASE_URL", ALL),
    ({"database_url": "postgresql://app:pw@db/job_platform"}, "DATABASE_URL", ALL),
    ({"database_url": "postgresql://app:pw@db/job_platform?sslmode=prefer"}, "DATABASE_URL", ALL),
    ({"database_url": "postgresql://app:pw@db/job_platform?sslmode=disable"}, "DATABASE_URL", ALL),
    ({"database_url": "postgresql://app:pw@127.0.0.1/job_platform"}, "DATABASE_URL", ALL),
    ({"owner_database_url": "postgresql://owner:pw@db/job_platform"}, "OWNER_DATABASE_URL", ALL),
    ({"prefect_database_url": None}, "PREFECT_DATABASE_URL", ("up",)),
    ({"prefect_database_url": "postgresql://prefect:pw@db/prefect"}, "PREFECT_DATABASE_URL", ("up",)),
    ({}, None, ()),
    ({"master_key": None, "key_vault_url": "https://kv.vault.azure.net"}, None, ()),
    ({"database_url": "postgresql://app:pw@db/job_platform?sslmode=require"}, None, ()),
    ({"database_url": "postgresql:///job_platform?host=/run/postgresql"}, None, ()),
    ({"owner_database_url": "postgresql://owner:pw@db/job_platform?sslmode=verify-ca"}, None, ()),
]


def settings(**changed: Any) -> Settings:
    return Settings(**(FIT | changed), _env_file=None)


@pytest.mark.parametrize("process", ALL)
@pytest.mark.parametrize(("changed", "named", "refused_by"), TABLE, ids=[str(row[0]) for row in TABLE])
def test_what_production_refuses(changed: dict[str, Any], named: str | None, refused_by: Any, process: str) -> None:
    faults = settings_faults(settings(**changed), Process(process))
    assert [fault.setting for fault in faults] == ([P + str(named)] if process in refused_by else [])


def test_everything_is_said_at_once_each_with_its_mend_and_no_value_of_a_secret() -> None:
    changed = {"database_url": "postgresql://app:s3cret@db/x", "prefect_auth_string": "admin:pass"}
    nothing = Settings(environment="production", _env_file=None, **changed)
    faults = settings_faults(nothing, Process.UP)
    said = str(NotFitForProduction(faults))
    assert [fault.setting.removeprefix(P) for fault in faults] == [
        "PREFECT_DATABASE_URL",
        "DATABASE_URL",
        "BASE_URL",
        "PREFECT_AUTH_STRING",
        "MASTER_KEY",
        "OIDC_AUTHORITY",
        "API_KEY_PEPPER",
        "REDIS_URL",
    ]
    assert "8 things to mend" in said
    assert all(fault.mend for fault in faults)
    assert "s3cret" not in said
    assert "admin:pass." not in said


async def test_development_starts_with_nothing() -> None:
    for process in Process:
        await refuse_unfit(Settings(_env_file=None), process)


async def test_sample_users_and_a_missing_tls_are_listed_together(cast: Cast, database_url: str) -> None:
    with pytest.raises(NotFitForProduction) as refusal:
        await refuse_unfit(settings(database_url=database_url), Process.API)
    assert [fault.setting for fault in refusal.value.faults] == ["JOB_PLATFORM_DATABASE_URL", "the database"]
    assert "admin@example.com" in str(refusal.value)


async def test_a_database_without_sample_users_is_no_fault_and_its_owner_is_warned_of(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotFitForProduction) as refusal:
        await refuse_unfit(settings(database_url=database_url), Process.API)
    assert [fault.wrong for fault in refusal.value.faults] == ["does not insist on TLS to the database"]
    assert "could change the audit trail" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["postgresql://app:s3cret@127.0.0.1:1/x?sslmode=require", "s3cret"])
async def test_a_database_that_does_not_answer_might_hold_anything(address: str) -> None:
    with pytest.raises(NotFitForProduction) as refusal:
        await refuse_unfit(settings(database_url=address), Process.WORKER)
    assert {fault.setting for fault in refusal.value.faults} == {"JOB_PLATFORM_DATABASE_URL"}
    assert "s3cret" not in str(refusal.value)


async def test_no_way_leads_past_the_guard(database_url: str) -> None:
    """An application that somebody serves without the command asks as well."""
    unfit = settings(database_url=database_url)
    for way in (assembled(unfit), equipped(unfit, "local", "w")):
        with pytest.raises(NotFitForProduction):
            await way.__aenter__()


@pytest.mark.parametrize("command", ["api", "worker", "up", "demo"])
def test_a_bare_production_start_ends_with_the_list(command: str, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JOB_PLATFORM_")}
    done = subprocess.run(
        [sys.executable, "-m", "platform_api.cli.main", command],
        env={**kept, "JOB_PLATFORM_ENVIRONMENT": "production", "JOB_PLATFORM_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "production refuses to start" in done.stderr
    assert "Traceback" not in done.stderr
    names = ["DATABASE_URL", "BASE_URL", "PREFECT_AUTH_STRING", "MASTER_KEY"]
    names += [] if command == "worker" else ["OIDC_AUTHORITY", "API_KEY_PEPPER", "REDIS_URL"]
    assert [name for name in names if P + name not in done.stderr] == []
    assert not (tmp_path / "home").exists()
