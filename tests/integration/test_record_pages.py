"""Executions, versions, dead letters, the audit trail and the system: who sees which page, and what is on it."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from platform_api.use_cases.health import Check
from tests.cast import Cast
from tests.desks import after, get_page, send_form
from tests.history import NOON, a_job, an_execution_of, audited

#: Who gets which page: everybody who is named, and nobody else.
ADMITTED = {
    "/executions": {"admin", "maya", "nadia", "rajesh", "chris"},
    "/dead-letters": {"admin", "maya", "nadia", "rajesh", "chris"},
    "/audit": {"admin"},
    "/audit/export": {"admin"},
    "/system": {"admin"},
}
PEOPLE = ("admin", "maya", "rajesh", "chris")


@pytest.mark.parametrize("path", ADMITTED)
async def test_a_page_is_for_those_whose_role_has_it(cast: Cast, path: str) -> None:
    for name in PEOPLE:
        status = (await get_page(cast, name, path)).status_code
        assert status == (200 if name in ADMITTED[path] else 403), f"{name} at {path}"


@pytest.mark.parametrize("path", ADMITTED)
async def test_no_page_is_for_strangers(cast: Cast, path: str) -> None:
    assert (await get_page(cast, "stranger", path)).status_code in (401, 303)


async def test_the_menu_names_only_what_the_role_has(cast: Cast) -> None:
    assert 'href="/audit"' in (await get_page(cast, "admin", "/executions")).text
    assert 'href="/audit"' not in (await get_page(cast, "maya", "/executions")).text


@pytest.mark.parametrize(
    ("name", "sees"), [("maya", True), ("admin", True), ("chris", True), ("rajesh", False), ("nadia", False)]
)
async def test_executions_follow_their_job(cast: Cast, name: str, sees: bool) -> None:
    job = await a_job(cast.maya, name="Nightly invoices")
    await an_execution_of(cast.engine, job)
    page = await get_page(cast, name, "/executions")
    assert ("Nightly invoices" in page.text) is sees


async def test_executions_are_filtered_by_status_job_and_time(cast: Cast) -> None:
    invoices, backup = await a_job(cast.maya, name="Invoices"), await a_job(cast.maya, name="Backup")
    good = await an_execution_of(cast.engine, invoices)
    bad = await an_execution_of(cast.engine, backup, "failed", error_message="disk full")
    late = await an_execution_of(cast.engine, invoices, queued_at=NOON + timedelta(days=2))
    for query, shown in (
        ("status=failed,crashed,timed_out", {bad}),
        ("job=invoices", {good, late}),
        (f"job={backup}", {bad}),
        ("from=2026-01-16T00:00", {late}),
        ("to=2026-01-16T00:00&status=success", {good}),
        ("triggered_by=manual", set()),
        ("status=&triggered_by=&from=&to=&job=", {good, bad, late}),
    ):
        text = (await get_page(cast, "maya", f"/executions?{query}")).text
        assert {one for one in (good, bad, late) if f"/executions/{one}" in text} == shown, query


async def test_a_word_that_several_names_hold_asks_which_job_is_meant(cast: Cast) -> None:
    first, second = await a_job(cast.maya, name="Load one"), await a_job(cast.maya, name="Load two")
    text = (await get_page(cast, "maya", "/executions?job=load")).text
    assert "Which job do you mean?" in text
    assert f"job={first}" in text
    assert f"job={second}" in text


async def test_a_job_of_another_team_is_as_good_as_none(cast: Cast) -> None:
    job = await a_job(cast.maya, name="Payroll")
    assert "No job has this name" in (await get_page(cast, "rajesh", "/executions?job=payroll")).text
    assert (await get_page(cast, "rajesh", f"/executions?job={job}")).status_code == 404


async def test_executions_come_in_pages(cast: Cast) -> None:
    job = await a_job(cast.maya)
    for minute in range(51):
        await an_execution_of(cast.engine, job, queued_at=NOON + timedelta(minutes=minute))
    first = (await get_page(cast, "maya", "/executions")).text
    assert first.count('<tr>\n  <th scope="row">') == 50
    assert len(first) < 100_000
    address = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert (await get_page(cast, "maya", address)).text.count('<tr>\n  <th scope="row">') == 1


async def test_the_table_of_executions_is_the_filtered_list_and_on_record(cast: Cast) -> None:
    job = await a_job(cast.maya, name="Invoices")
    await an_execution_of(cast.engine, job)
    bad = await an_execution_of(cast.engine, job, "failed")
    answer = await get_page(cast, "maya", "/executions/export?status=failed&job=Invoices")
    lines = answer.text.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["execution_id", str(bad)]
    assert (await audited(cast.admin, action="execution.exported"))[0]["email"] == cast.maya.email


@pytest.mark.parametrize("query", ["from=yesterday", "cursor=nonsense", "job=a%00b"])
async def test_a_filter_that_cannot_be_read_is_named(cast: Cast, query: str) -> None:
    page = await get_page(cast, "maya", f"/executions?{query}")
    assert page.status_code == 400
    assert query.partition("=")[0] in page.text


async def test_versions_stand_beside_each_other(cast: Cast) -> None:
    job = await a_job(cast.maya, script="import os\nprint('old')\n", schedule="0 2 * * *")
    await cast.maya.patch(f"/jobs/{job}", {"script": "import os\nprint('new')\n", "schedule": "0 3 * * *"})
    text = (await get_page(cast, "maya", f"/jobs/{job}/versions")).text
    assert "<del>old</del>" in text
    assert "<ins>new</ins>" in text
    assert "<del>0 2 * * *</del>" in text
    assert "<ins>0 3 * * *</ins>" in text


async def test_one_version_has_nothing_to_compare(cast: Cast) -> None:
    job = await a_job(cast.maya)
    page = await get_page(cast, "maya", f"/jobs/{job}/versions")
    assert page.status_code == 200
    assert "What changed from version" not in page.text


async def test_a_long_script_does_not_make_a_long_page(cast: Cast) -> None:
    job = await a_job(cast.maya, script="\n".join(f"print({n})" for n in range(4000)))
    await cast.maya.patch(f"/jobs/{job}", {"script": "\n".join(f"print({n}, {n})" for n in range(4000))})
    text = (await get_page(cast, "maya", f"/jobs/{job}/versions")).text
    assert len(text) < 130_000
    assert "further rows are not shown" in text


async def test_rolling_back_makes_a_new_version(cast: Cast) -> None:
    job = await a_job(cast.maya, script="print('first')")
    await cast.maya.patch(f"/jobs/{job}", {"script": "print('second')"})
    seen = (await get_page(cast, "maya", f"/jobs/{job}/versions")).text.partition('name="seen" value="')[2]
    answer = await send_form(
        cast,
        "maya",
        f"/jobs/{job}/versions/rollback",
        {"version": 1, "seen": seen.partition('"')[0].replace("&#34;", '"')},
    )
    assert answer.status_code == 303
    stored = (await cast.maya.get(f"/jobs/{job}")).json()
    assert (stored["version"], stored["script"]) == (3, "print('first')")


async def test_nobody_rolls_back_what_somebody_changed_meanwhile(cast: Cast) -> None:
    job = await a_job(cast.maya)
    answer = await send_form(cast, "maya", f"/jobs/{job}/versions/rollback", {"version": 1, "seen": '"7-7"'})
    assert answer.status_code == 412


@pytest.mark.parametrize(("name", "status"), [("chris", 403), ("rajesh", 404), ("nadia", 404)])
async def test_who_may_not_change_a_job_may_not_roll_it_back(cast: Cast, name: str, status: int) -> None:
    job = await a_job(cast.maya)
    await cast.maya.patch(f"/jobs/{job}", {"description": "again"})
    page = await get_page(cast, name, f"/jobs/{job}/versions")
    assert "Roll back" not in page.text
    form = {"version": 1, "seen": '"2-2"'}
    assert (await send_form(cast, name, f"/jobs/{job}/versions/rollback", form)).status_code == status


async def test_a_dead_letter_is_run_again(cast: Cast) -> None:
    job = await a_job(cast.maya, name="Invoices")
    dead = await an_execution_of(cast.engine, job, "failed", error_message="connection refused")
    assert "connection refused" in (await get_page(cast, "maya", "/dead-letters")).text
    answer = await send_form(cast, "maya", "/dead-letters/replay", {"execution_id": str(dead)})
    assert answer.headers["location"].startswith("/executions/")
    assert "Nothing waits for you" in (await get_page(cast, "maya", "/dead-letters")).text
    again = await send_form(cast, "maya", "/dead-letters/replay", {"execution_id": str(dead)})
    assert again.status_code == 409


async def test_many_are_dismissed_and_what_is_refused_is_told(cast: Cast) -> None:
    job = await a_job(cast.maya)
    dead = [await an_execution_of(cast.engine, job, "failed") for _ in range(3)]
    answer = await send_form(cast, "maya", "/dead-letters/dismiss", {"execution_id": [*map(str, dead), str(uuid4())]})
    assert answer.status_code == 303
    assert len(await audited(cast.admin, action="dead_letter.dismissed")) == 3
    assert "Refused" in (await after(cast, "maya", answer)).text


@pytest.mark.parametrize("act", ["replay", "dismiss"])
@pytest.mark.parametrize("name", ["chris", "rajesh", "nadia"])
async def test_who_may_not_change_a_job_leaves_its_dead_letters_alone(cast: Cast, name: str, act: str) -> None:
    job = await a_job(cast.maya)
    dead = [str(await an_execution_of(cast.engine, job, "failed")) for _ in range(2)]
    page = await get_page(cast, name, "/dead-letters")
    assert "Run again" not in page.text
    await send_form(cast, name, f"/dead-letters/{act}", {"execution_id": dead})
    assert {item["execution_id"] for item in (await cast.maya.get("/dead-letters")).json()["items"]} == set(dead)


async def test_the_trail_shows_what_changed(cast: Cast) -> None:
    job = await a_job(cast.maya, name="Before")
    await cast.maya.patch(f"/jobs/{job}", {"name": "After"})
    text = (await get_page(cast, "admin", "/audit?action=job.updated")).text
    assert "<del>Before</del>" in text
    assert "<ins>After</ins>" in text
    assert f"/jobs/{job}" in text


async def test_the_trail_is_filtered(cast: Cast) -> None:
    await a_job(cast.maya, name="Of Maya")
    await get_page(cast, "chris", "/audit")
    assert "Of Maya" not in (await get_page(cast, "admin", "/audit?outcome=denied")).text
    assert "Of Maya" in (await get_page(cast, "admin", f"/audit?user={cast.maya.email}")).text
    assert "No entry matches" in (await get_page(cast, "admin", "/audit?to=2000-01-01T00:00")).text
    table = await get_page(cast, "admin", "/audit/export?action=job.created")
    assert [line.split(",")[4] for line in table.text.splitlines()] == ["action", "job.created"]


async def test_the_system_page_tells_the_parts_in_words(cast: Cast) -> None:
    text = (await get_page(cast, "admin", "/system")).text
    for words in ("Jobs cannot run now", "no worker is alive", "PostgreSQL", "Nothing runs and nothing waits"):
        assert words in text
    part = await get_page(cast, "admin", "/system", headers={"HX-Request": "true"})
    assert part.text.lstrip().startswith('<div id="system-state"')


@pytest.mark.parametrize(("free", "status"), [(50, "ok"), (12, "degraded"), (3, "degraded")])
def test_a_disk_that_fills_up_is_told(free: int, status: str) -> None:
    from pathlib import Path

    from platform_api.ports.system import Disk
    from platform_api.web.system import disk_check

    found: Check = disk_check(Disk(Path("/"), 100 * 2**30, free * 2**30))
    assert found.status == status
    assert f"{free}.0 GiB free" in found.detail
