"""``run-script`` as an ordinary Prefect flow, in a process of its own as a stock Prefect worker starts it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from prefect.client.orchestration import PrefectClient
from sqlalchemy import select

from platform_api.db.schema import executions
from tests.cast import Cast, hello
from tests.prefect_server import PrefectServer

PROGRAM = """
import asyncio, sys
from flows.run_script import run_script
asyncio.run(run_script(job_id=sys.argv[1], return_state=True))
"""


@pytest.fixture
def environment(database_url: str, prefect_server: PrefectServer, tmp_path: Path) -> dict[str, str]:
    """What the environment of a stock worker must hold."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PREFECT_API_URL": prefect_server.api_url,
        "PREFECT_API_AUTH_STRING": prefect_server.auth_string,
        "JOB_PLATFORM_DATABASE_URL": database_url,
        "JOB_PLATFORM_HOME": str(tmp_path / "home"),
    }


@pytest.mark.parametrize(
    ("script", "state", "status"),
    [("print('hi')", "Completed", "success"), ("raise SystemExit(3)", "Failed", "failed")],
)
async def test_the_flow_runs_the_job_and_ends_like_its_execution(
    cast: Cast, prefect_server: PrefectServer, environment, script, state, status
):
    job = (await cast.maya.post("/jobs", hello(script=script))).json()
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, job["job_id"], env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(program.communicate(), 60)
    assert program.returncode == 0, errors.decode()
    async with cast.engine.connect() as connection:
        [row] = (await connection.execute(select(executions))).all()
    assert (str(row.job_id), row.status, row.triggered_by) == (job["job_id"], status, "manual")
    async with PrefectClient(prefect_server.api_url, auth_string=prefect_server.auth_string) as prefect:
        assert (await prefect.read_flow_run(row.id)).state_name == state
