"""The chain of the audit trail: what it notices, what it lets through, and who may touch it at all."""
# ruff: noqa: S608 - every statement here is written here

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from migrations.grants import APPLICATION_ROLE
from platform_api.audit.actions import Action
from platform_api.audit.entries import Entry, Subject
from platform_api.db.unit_of_work import SqlUnitOfWork, units_of_work
from platform_api.ports.audit_chain import Head
from platform_api.use_cases.audit_chain import Verdict, examine
from tests.cast import Cast, hello

MAYA = "maya@example.com"


async def add(engine: AsyncEngine, count: int, **changed: Any) -> list[int]:
    """That many entries, each in a transaction of its own, and the ids of all entries there are."""
    given: dict[str, Any] = {"actor_email": MAYA, "ip_address": "10.0.5.42", "user_agent": "curl"} | changed
    for number in range(count):
        async with units_of_work(engine)() as uow:
            await uow.audit.record(Entry(Action.JOB_UPDATED, Subject("job", str(number), f"Job {number}"), **given))
    async with engine.connect() as connection:
        return list((await connection.execute(text("SELECT id FROM audit_log ORDER BY id"))).scalars())


async def verdict(engine: AsyncEngine, expected: Head | None = None) -> Verdict:
    async with units_of_work(engine)() as uow:
        return await examine(uow.audit_chain, expected)


async def tamper(engine: AsyncEngine, *statements: str) -> None:
    """As the owner of the tables, with every trigger switched off."""
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            await connection.execute(text(statement))


@pytest.fixture
async def application(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection with the rights of the API and the workers."""
    async with engine.connect() as connection:
        await connection.execute(text(f"SET ROLE {APPLICATION_ROLE}"))
        await connection.commit()
        yield connection
        await connection.rollback()
        await connection.execute(text("RESET ROLE"))


async def test_a_trail_that_nobody_touched_holds(engine: AsyncEngine) -> None:
    assert (await verdict(engine)).valid
    await add(engine, 5, changes={"timeout": {"old": 1, "new": 2.5}, "name": {"old": "ü\n", "new": None}})
    found = await verdict(engine)
    assert (found.valid, found.checked, found.first_invalid) == (True, 5, None)
    assert found.head
    assert found.head.seq == 5


#: What is done to the third of five entries, and which entry is then the first that does not hold.
CHANGES = [
    "actor_id = gen_random_uuid()",
    "actor_email = 'nadia@example.com'",
    "actor_email = NULL",
    "ip_address = '10.0.5.43'",
    "user_agent = 'wget'",
    "action = 'job.deleted'",
    "outcome = 'denied'",
    "reason = 'because'",
    "resource_type = 'run'",
    "resource_id = '99'",
    "resource_name = 'Another'",
    "changes = '{\"a\": 1}'",
    "request_id = 'r'",
    "at = at + interval '1 microsecond'",
    "actor_salt = uuid_send(gen_random_uuid())",
    "name_salt = NULL",
    "details_salt = NULL, changes = '{\"a\": 1}'",
]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_changed_field_is_found_at_its_entry(engine: AsyncEngine, change: str) -> None:
    ids = await add(engine, 5)
    await tamper(engine, f"UPDATE audit_log SET {change} WHERE id = {ids[2]}")
    found = await verdict(engine)
    assert found.first_invalid
    assert (found.valid, found.checked, found.first_invalid.entry_id) == (False, 2, ids[2])


THIRD = "(SELECT entry_id FROM audit_chain WHERE seq = 3)"
TAMPERING = {
    "an entry is deleted": ((f"DELETE FROM audit_log WHERE id = {THIRD}",), 2),
    "an entry is deleted with its link": (
        (f"DELETE FROM audit_log WHERE id = {THIRD}", "DELETE FROM audit_chain WHERE seq = 3"),
        3,
    ),
    "the first entries are deleted with their links": (
        ("DELETE FROM audit_log WHERE id <= " + THIRD, "DELETE FROM audit_chain WHERE seq <= 3"),
        3,
    ),
    "the last entries are deleted": ((f"DELETE FROM audit_log WHERE id > {THIRD}",), 3),
    "the last entries are deleted with their links": (
        (f"DELETE FROM audit_log WHERE id > {THIRD}", "DELETE FROM audit_chain WHERE seq > 3"),
        4,
    ),
    "two entries change places": (
        (
            "CREATE TEMP TABLE moved ON COMMIT DROP AS SELECT seq, entry_id FROM audit_chain WHERE seq IN (3, 4)",
            "UPDATE audit_chain SET entry_id = -seq WHERE seq IN (3, 4)",
            "UPDATE audit_chain c SET entry_id = moved.entry_id FROM moved WHERE moved.seq = 7 - c.seq",
        ),
        3,
    ),
    "two links change places": (
        (
            "UPDATE audit_chain SET seq = -1 WHERE seq = 3",
            "UPDATE audit_chain SET seq = 3 WHERE seq = 4",
            "UPDATE audit_chain SET seq = 4 WHERE seq = -1",
        ),
        3,
    ),
    "a hash is replaced": (("UPDATE audit_chain SET hash = sha256('x') WHERE seq = 3",), 2),
    "a digest is replaced": (("UPDATE audit_chain SET actor_digest = sha256('x') WHERE seq = 3",), 2),
    "the head is set back": (
        ("UPDATE audit_head SET (seq, entry_id, hash) = (SELECT seq, entry_id, hash FROM audit_chain WHERE seq = 4)",),
        3,
    ),
    "the head is removed": (("DELETE FROM audit_head",), 4),
}


@pytest.mark.parametrize("name", TAMPERING)
async def test_tampering_with_the_order_is_found(engine: AsyncEngine, name: str) -> None:
    statements, first = TAMPERING[name]
    ids = await add(engine, 5)
    await tamper(engine, *statements)
    found = await verdict(engine)
    assert found.first_invalid
    assert (found.valid, found.first_invalid.entry_id) == (False, ids[first])


SLIP_IN = "INSERT INTO audit_log (action, outcome, resource_type) VALUES ('job.run', 'allowed', 'job')"


async def test_an_entry_that_was_slipped_in_is_found(engine: AsyncEngine) -> None:
    await add(engine, 2)
    await tamper(engine, SLIP_IN)
    ids = await add(engine, 2)
    found = await verdict(engine)
    assert found.first_invalid
    assert (found.checked, found.first_invalid.entry_id) == (4, ids[2])


async def test_a_trail_that_was_made_anew_is_found_by_a_head_that_was_kept(engine: AsyncEngine) -> None:
    """Its owner can change an entry and compute every later link: only what is kept elsewhere tells."""
    await add(engine, 3)
    kept = (await verdict(engine)).head
    assert kept
    await add(engine, 1)
    assert (await verdict(engine, Head.parse(str(kept)))).valid
    await tamper(
        engine,
        "UPDATE audit_log SET outcome = 'denied'",
        "DELETE FROM audit_chain",
        "UPDATE audit_head SET seq = 0, hash = decode(repeat('00', 32), 'hex')",
        "SELECT audit_link(e) FROM audit_log e ORDER BY id",
    )
    assert (await verdict(engine)).valid
    found = await verdict(engine, kept)
    assert found.first_invalid
    assert "made anew" in found.first_invalid.reason


@pytest.mark.parametrize("kept", ["", "5", "x:00", "-1:" + "00" * 32, "1:00"])
def test_a_head_that_is_none_is_refused(kept: str) -> None:
    with pytest.raises(ValueError):
        Head.parse(kept)


#: Everything that would change what happened, or the proof of it.
ACTS = [
    "UPDATE audit_log SET outcome = 'denied'",
    "UPDATE audit_log SET actor_email = NULL",
    "DELETE FROM audit_log",
    "TRUNCATE audit_log",
    "UPDATE audit_chain SET seq = seq + 10",
    "DELETE FROM audit_chain",
    "TRUNCATE audit_chain",
    "DELETE FROM audit_head",
    "TRUNCATE audit_head",
    "UPDATE audit_seals SET entries = 0",
    "DELETE FROM audit_seals",
    "TRUNCATE audit_seals",
]
#: What the owner has to be able to do, and the API's role must not.
MORE_ACTS = [
    "UPDATE audit_head SET seq = 0",
    "INSERT INTO audit_chain SELECT seq + 10, entry_id + 10, hash, hash, hash, hash FROM audit_chain",
    "INSERT INTO audit_seals SELECT now(), 1, 1, 1, 1, 1, hash, hash FROM audit_chain",
    "INSERT INTO audit_log (action, outcome, resource_type, at) VALUES ('job.run', 'allowed', 'job', '2020-01-01')",
    "INSERT INTO audit_log (action, outcome, resource_type, actor_salt) VALUES ('job.run', 'allowed', 'job', 'x')",
    "SELECT audit_link(e) FROM audit_log e",
    "ALTER TABLE audit_log DISABLE TRIGGER ALL",
    "DROP TRIGGER audit_log_link ON audit_log",
    "SET session_replication_role = replica",
    "DROP TABLE audit_log",
    "UPDATE alembic_version SET version_num = '0'",
]


@pytest.mark.parametrize("act", ACTS + MORE_ACTS)
async def test_the_role_of_the_api_can_add_and_nothing_else(
    engine: AsyncEngine, application: AsyncConnection, act: str
) -> None:
    await add(engine, 2)
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        await application.execute(text(act))


@pytest.mark.parametrize("act", [act for act in ACTS if "actor_email" not in act])
async def test_even_the_owner_is_refused_until_the_triggers_are_switched_off(engine: AsyncEngine, act: str) -> None:
    await add(engine, 2)
    with pytest.raises(DBAPIError, match="append-only"):
        async with engine.begin() as connection:
            await connection.execute(text(act))
    assert (await verdict(engine)).valid


async def test_what_the_role_of_the_api_adds_is_linked_and_it_can_look_at_the_chain(
    engine: AsyncEngine, application: AsyncConnection
) -> None:
    uow = SqlUnitOfWork(application)
    await uow.audit.record(Entry(Action.JOB_RUN, Subject("job", "1")))
    await application.commit()
    found = await examine(SqlUnitOfWork(application).audit_chain)
    assert (found.valid, found.checked) == (True, 1)


async def test_an_entry_whose_transaction_is_rolled_back_leaves_no_gap(engine: AsyncEngine) -> None:
    await add(engine, 1)
    async with engine.connect() as connection:
        await SqlUnitOfWork(connection).audit.record(Entry(Action.JOB_RUN, Subject("job", "1")))
        await connection.rollback()
    await add(engine, 1)
    found = await verdict(engine)
    assert (found.valid, found.checked) == (True, 2)


async def test_transactions_that_commit_at_once_are_linked_one_behind_the_other(engine: AsyncEngine) -> None:
    """Each adds two entries and does other things between them, so that they overlap in every way."""

    async def write(number: int) -> None:
        async with units_of_work(engine)() as uow:
            await uow.audit.record(Entry(Action.JOB_RUN, Subject("job", str(number))))
            await asyncio.sleep(number % 3 / 100)
            await uow.audit.record(Entry(Action.JOB_RUN, Subject("job", str(number))))

    await asyncio.gather(*(write(number) for number in range(40)))
    found = await verdict(engine)
    assert (found.valid, found.checked) == (True, 80)


async def test_a_person_can_be_forgotten_and_the_chain_holds(engine: AsyncEngine) -> None:
    person = "8d8a4f9e-58a7-4d3f-9f1f-6a2f4a8f0c11"
    await add(engine, 1)
    await add(engine, 1, actor_email="Maya@Example.com", reason="asked by MAYA@example.com")
    await add(engine, 1, actor_email="nadia@example.com", changes={"owner": {"old": MAYA, "new": None}})
    async with units_of_work(engine)() as uow:
        about = Subject("user", person, MAYA)
        await uow.audit.record(Entry(Action.USER_UPDATED, about, actor_email="admin@example.com"))
    async with units_of_work(engine)() as uow:
        assert await uow.audit.pseudonymise(person, MAYA) == 4
    async with engine.connect() as connection:
        left = [str(row) for row in await connection.execute(text("SELECT * FROM audit_log ORDER BY id"))]
        who = (await connection.execute(text("SELECT actor_email FROM audit_log ORDER BY id"))).scalars().all()
    assert MAYA not in "".join(left).lower()
    assert who == [None, None, "nadia@example.com", "admin@example.com"]
    assert (await verdict(engine)).valid


@pytest.mark.parametrize("forged", ["actor_email = 'rajesh@example.com'", "ip_address = '10.0.0.1'"])
async def test_nothing_can_be_put_in_the_place_of_what_was_erased(engine: AsyncEngine, forged: str) -> None:
    ids = await add(engine, 2)
    async with units_of_work(engine)() as uow:
        await uow.audit.pseudonymise("8d8a4f9e-58a7-4d3f-9f1f-6a2f4a8f0c11", MAYA)
    await tamper(engine, f"UPDATE audit_log SET {forged} WHERE id = {ids[0]}")
    found = await verdict(engine)
    assert found.first_invalid
    assert found.first_invalid.entry_id == ids[0]


@pytest.mark.parametrize("address", ["", "@", "a@", "maya", None])
async def test_forgetting_takes_a_whole_address(engine: AsyncEngine, address: Any) -> None:
    with pytest.raises(DBAPIError, match="address is needed"):
        async with units_of_work(engine)() as uow:
            await uow.audit.pseudonymise("8d8a4f9e-58a7-4d3f-9f1f-6a2f4a8f0c11", address)


async def test_administrators_may_verify_and_nobody_else(cast: Cast) -> None:
    await cast.maya.post("/jobs", hello())
    answer = (await cast.admin.get("/audit-logs/verify")).json()
    assert (answer["valid"], answer["first_invalid"]) == (True, None)
    assert answer["checked"] == 11
    assert Head.parse(answer["head"]).seq == 11
    for name, status in {"maya": 403, "chris": 403, "rajesh": 403, "stranger": 401}.items():
        assert (await cast.named(name).get("/audit-logs/verify")).status_code == status
    await tamper(cast.engine, "UPDATE audit_log SET outcome = 'denied' WHERE action = 'job.created'")
    answer = (await cast.admin.get("/audit-logs/verify")).json()
    [entry] = (await cast.admin.get("/audit-logs?action=job.created")).json()["items"]
    assert (answer["valid"], answer["checked"], answer["first_invalid"]["id"]) == (False, 10, entry["id"])
