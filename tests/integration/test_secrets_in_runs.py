"""Real scripts that say their secrets wherever they can: nobody reads them anywhere afterwards."""

from __future__ import annotations

import base64
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.domain.jobs import JobType
from platform_api.domain.retries import RetryPolicy
from platform_api.ports.logs import LogQuery
from tests.engine_room import Room, Worker, open_room, until
from work_pools.executors.local.executor import LocalExecutor, default_isolation
from work_pools.executors.local.isolation import Isolation

PASSWORD = "c0rrect-h'rse/batt+ry$staple"
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nBKcwggSjAgEAAoIBAQDd7xxyyzz=\n-----END KEY-----"
DOCUMENT = '{"user": "svc-account", "tokens": ["tok-11112222", "tok-33334444"]}'
PLAIN = [PASSWORD, *KEY.split("\n")[1:3], "svc-account", "tok-11112222", "tok-33334444", PASSWORD[:20], PASSWORD[4:]]
ENCODED = [base64.b64encode(b"\0" * k + PASSWORD.encode())[4:32].decode() for k in range(3)]

SAY_EVERYTHING = """
import base64, json, os, shlex, subprocess, sys, urllib.parse
password = os.environ["PASSWORD"]
for name in ("PASSWORD", "KEY", "DOCUMENT"):
    value = os.environ[name]
    print(name, value)
    print(repr(value), json.dumps({"v": value}), shlex.quote(value), urllib.parse.quote_plus(value))
    for prefix in ("", "a", "ab", "abc:"):
        print(base64.b64encode((prefix + value).encode()).decode(), file=sys.stderr)
        print(base64.urlsafe_b64encode((prefix + value).encode()).decode())
print(json.loads(os.environ["DOCUMENT"])["tokens"])
for byte in password.encode():
    os.write(1, bytes([byte]))
print()
print("." * (64 * 1024 - 7) + password)
sys.stdout.flush()
subprocess.run(["bash", "-xc", 'declare -p PASSWORD; : "$PASSWORD"'])
with open(os.environ["JOB_RESULT"], "w") as file:
    json.dump({"got": password, password: [os.environ["KEY"], {"deep": os.environ["DOCUMENT"]}]}, file)
print("cannot log in with", password, file=sys.stderr)
os.write(2, b"the end of " + password.encode())
sys.exit(3)
"""


@pytest.fixture
async def room(engine: AsyncEngine, database_url: str, tmp_path: Path) -> AsyncIterator[Room]:
    async with open_room(engine, database_url, tmp_path) as room:
        for name, value in {"password": PASSWORD, "key": KEY, "document": DOCUMENT}.items():
            room.secrets.set(name, value)
        yield room
        for worker in room.workers:
            await worker.die()
            await worker.executor.close()


@pytest.fixture(params=["isolated", "isolation off"])
def isolation(request: pytest.FixtureRequest, tmp_path: Path) -> Isolation:
    """Isolated scripts may leave nothing outside their own folders but in one of them."""
    if request.param == "isolation off":
        return Isolation.off()
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    return default_isolation(tmp_path / "runs")._replace(writable=(str(shared),))


@pytest.fixture
def real_worker(room: Room, isolation: Isolation) -> Callable[[], Awaitable[Worker]]:
    """Makes one more."""

    async def worker() -> Worker:
        return await room.worker(LocalExecutor(room.home / "runs", isolation))

    return worker


Workers = Callable[[], Awaitable[Worker]]


SECRETS = {"PASSWORD": "password", "KEY": "key", "DOCUMENT": "document"}


async def everything_stored(room: Room) -> str:
    """Every row of every table and every file of the archive, as text."""
    tables = await room.run_sql("SELECT table_name AS n FROM information_schema.tables WHERE table_schema = 'public'")
    texts = []
    for table in tables:
        for row in await room.run_sql(f'SELECT * FROM "{table["n"]}"'):  # noqa: S608 - names from the catalogue
            texts += [value.decode("latin-1") if isinstance(value, bytes) else repr(value) for value in row.values()]
    for file in (room.home / "archive").rglob("*.gz"):
        texts.append(_unpacked(file.read_bytes()).decode("latin-1"))
    return "\n".join(texts)


def _unpacked(data: bytes) -> bytes:
    out = b""
    while data:
        member = zlib.decompressobj(wbits=31)
        out += member.decompress(data)
        data = member.unused_data
    return out


async def log_of(worker: Worker, execution: UUID) -> str:
    page = await worker.equipment.logs.page(execution, LogQuery(limit=10_000))
    return b"".join(line.written for line in page.lines).decode()


async def tidied(room: Room) -> bool:
    return not await room.run_sql("SELECT 1 FROM log_chunks")


async def test_a_script_that_says_its_secrets_in_every_form_leaves_no_trace_of_them(
    room: Room, real_worker: Workers
) -> None:
    worker = await real_worker()
    policy = RetryPolicy(max_retries=1, retry_delay_seconds=0)
    job = await room.job(SAY_EVERYTHING, type=JobType.PYTHON, secrets=SECRETS, retry_policy=policy)
    run = await room.run_by_hand(job)
    execution = await room.until_status(run, "failed", seconds=30)
    before_archiving = await everything_stored(room)
    await until(lambda: tidied(room))
    log = await log_of(worker, run)
    for text in (log, before_archiving, await everything_stored(room)):
        assert [plain for plain in [*PLAIN, *ENCODED] if plain in text] == []
    assert execution["error_message"] == "Exit code 3: the end of ****aple"
    assert execution["result"]["got"] == "****aple"
    assert "." * 1000 + "****aple\n" in log
    assert "\n****aple\n" in log
    assert await room.reports(run) == ["Running", "AwaitingRetry", "Retrying", "Failed"]
    messages = await room.run_sql("SELECT message AS m FROM prefect_reports WHERE message IS NOT NULL")
    assert {row["m"] for row in messages} == {"Exit code 3: the end of ****aple"}


async def test_a_secret_reaches_the_script_whatever_else_sets_its_variable(room: Room, real_worker: Workers) -> None:
    await real_worker()
    script = f'[ "$PASSWORD" = "{PASSWORD}" ]'.replace("$staple", "\\$staple")
    job = await room.job(script, secrets={"PASSWORD": "password"}, env={"PASSWORD": "forged"})
    run = await room.run_by_hand(job, overrides={"env": {"PASSWORD": "forged too"}})
    await room.until_status(run, "success")


async def test_whoever_adopts_a_script_masks_on_even_what_was_half_said_and_what_was_rotated_since(
    room: Room, real_worker: Workers
) -> None:
    first = await real_worker()
    go = room.home / "shared" / "go"
    go.parent.mkdir(exist_ok=True)
    half = len(PASSWORD) // 2
    script = f"""
import os, time
password = os.environ["PASSWORD"]
print(password, flush=True)
os.write(1, b"." * (64 * 1024 - {half}) + password.encode()[:{half}] + password.encode()[{half}:{half} + 3])
os.write(2, b"said half\\n")
while not os.path.exists({str(go)!r}):
    time.sleep(0.02)
os.write(1, password.encode()[{half} + 3:] + b"\\n" + password.encode())
"""
    run = await room.run_by_hand(await room.job(script, type=JobType.PYTHON, secrets=SECRETS))

    async def half_said() -> bool:
        return "said half" in await log_of(first, run)

    await until(half_said)
    assert PASSWORD[:half] not in await everything_stored(room)
    await first.die()
    room.secrets.set("password", "another-password")
    second = await real_worker()
    go.touch()
    await room.until_status(run, "success", seconds=30)
    assert (await room.execution(run))["worker_id"] == second.id
    log = await log_of(second, run)
    assert log.replace("said half\n", "") == "****aple\n" + "." * (64 * 1024 - half) + "****aple\n****aple"
    assert PASSWORD[:half] not in await everything_stored(room)


async def test_a_script_that_dies_in_the_middle_of_a_secret_leaves_no_part_of_it(
    room: Room, real_worker: Workers
) -> None:
    worker = await real_worker()
    script = 'import os\nos.write(1, b"x" + os.environ["PASSWORD"].encode()[:-1])\nos.kill(os.getpid(), 9)'
    run = await room.run_by_hand(await room.job(script, type=JobType.PYTHON, secrets=SECRETS))
    await room.until_status(run, "failed", "crashed", seconds=30)
    assert await log_of(worker, run) == "x****"


async def test_a_job_whose_secret_does_not_exist_fails_and_says_which(room: Room, real_worker: Workers) -> None:
    await real_worker()
    run = await room.run_by_hand(await room.job("exit 0", secrets={"TOKEN": "no-such-token"}))
    execution = await room.until_status(run, "failed")
    assert execution["error_message"] == "The script could not be started: There is no secret no-such-token"


async def test_whoever_adopts_a_script_masks_a_secret_that_was_deleted_since(room: Room, real_worker: Workers) -> None:
    first = await real_worker()
    go = room.home / "shared" / "go"
    go.parent.mkdir(exist_ok=True)
    script = f'echo began; until [ -e {go} ]; do sleep 0.02; done; echo "$PASSWORD"'
    run = await room.run_by_hand(await room.job(script, secrets={"PASSWORD": "password"}))

    async def began() -> bool:
        return "began" in await log_of(first, run)

    await until(began)
    await first.die()
    room.secrets.delete("password")
    second = await real_worker()
    go.touch()
    await room.until_status(run, "success", seconds=30)
    assert await log_of(second, run) == "began\n****aple\n"


async def test_a_script_without_secrets_logs_byte_for_byte(room: Room, real_worker: Workers) -> None:
    worker = await real_worker()
    script = "printf 'a\\0b\\377\\033[31mred\\n\\n****\\nno newline'"
    run = await room.run_by_hand(await room.job(script, secrets=SECRETS))
    await room.until_status(run, "success")
    page = await worker.equipment.logs.page(run, LogQuery())
    assert b"".join(line.written for line in page.lines) == b"a\0b\xff\x1b[31mred\n\n****\nno newline"
