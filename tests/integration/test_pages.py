"""Pages over the application itself, without a screen: what they answer, to whom."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from platform_api.web.rendering import assets
from tests.cast import Cast
from tests.pages import Pages, signed_in

FILLED = {
    "name": "Prod DB Backup - PostgreSQL",
    "type": "python",
    "script": "print('dump')\r\n",
    "schedule_kind": "cron",
    "schedule": "0 2 * * *",
    "timezone": "Europe/Berlin",
    "timeout_minutes": "30",
    "max_retries": "2",
    "retry_delay_minutes": "5",
    "concurrency": "skip",
    "catch_up": "latest",
    "priority": "normal",
    "cpu": "1",
    "memory": "2Gi",
    "on_failure": "devops-team@company.com",
    "status": "active",
}


@pytest.fixture
async def maya(cast: Cast) -> AsyncIterator[Pages]:
    """Maya's browser."""
    pages = await signed_in(cast, "maya@example.com")
    yield pages
    await pages.browser.close()


@pytest.fixture
async def chris(cast: Cast) -> AsyncIterator[Pages]:
    """Chris may look at his team's jobs and change none."""
    pages = await signed_in(cast, "chris@example.com")
    yield pages
    await pages.browser.close()


@pytest.fixture
async def rajesh(cast: Cast) -> AsyncIterator[Pages]:
    """Rajesh is in another team."""
    pages = await signed_in(cast, "rajesh@example.com")
    yield pages
    await pages.browser.close()


async def made(pages: Pages, **changed: str) -> str:
    """The address of a job that was made by the form."""
    answer = await pages.send("/jobs/new", FILLED | changed)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def test_a_page_is_html_with_everything_from_here(maya: Pages) -> None:
    page = await maya.get("/dashboard")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "https://" not in page.text
    assert " style=" not in page.text
    assert " onclick=" not in page.text


async def test_an_unknown_address_is_a_page_that_carries_the_request_id(maya: Pages) -> None:
    page = await maya.get("/nowhere", headers={"X-Request-ID": "look-for-me"})
    assert page.status_code == 404
    assert "look-for-me" in page.text
    assert "What next?" in page.text


async def test_a_machine_still_gets_a_problem_document(cast: Cast) -> None:
    answer = await cast.maya.get("/nowhere", headers={"Accept": "text/html"})
    assert answer.headers["content-type"] == "application/problem+json"


async def test_what_htmx_asked_for_in_vain_is_a_notice_beside_what_is_there(maya: Pages) -> None:
    answer = await maya.part("/jobs/01a204cb-742c-76de-bf35-a44db58d3168")
    assert answer.status_code == 404
    assert answer.headers["hx-retarget"] == "#notices"
    assert "<html" not in answer.text


@pytest.mark.parametrize("name", ["app.js", "app.css", "theme.js", "editor.js", "chart.js", "log.js"])
async def test_an_asset_is_compressed_and_kept_for_ever(cast: Cast, name: str) -> None:
    answer = await cast.maya.client.get(assets.address(name), headers={"Accept-Encoding": "gzip, br"})
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "br"
    assert "immutable" in answer.headers["cache-control"]


async def test_the_first_load_stays_small(cast: Cast) -> None:
    client = cast.maya.client
    total = 0
    for name in ("theme.js", "app.js", "app.css", "editor.js"):
        async with client.stream("GET", assets.address(name), headers={"Accept-Encoding": "br"}) as answer:
            total += int(answer.headers["content-length"])
    assert total < 300_000


@pytest.mark.parametrize("name", ["manifest.json", "..%2Fbuild.py", ".secret", "app-0.js"])
async def test_nothing_but_assets_is_served(cast: Cast, name: str) -> None:
    assert (await cast.maya.client.get(f"/static/{name}")).status_code == 404


async def test_a_job_is_made_by_the_form_and_said_when_it_runs(maya: Pages, cast: Cast) -> None:
    address = await made(maya)
    job = (await cast.maya.get(f"/jobs/{address.rpartition('/')[2]}")).json()
    assert job["name"] == "Prod DB Backup - PostgreSQL"
    assert job["script"] == "print('dump')\n"
    assert job["schedule"] == "0 2 * * *"
    assert job["timezone"] == "Europe/Berlin"
    assert job["timeout_minutes"] == 30
    assert job["retry_policy"]["max_retries"] == 2
    assert job["notifications"]["on_failure"] == ["devops-team@company.com"]
    assert "It runs next at" in (await maya.get(address)).text


async def test_a_fault_is_told_beside_its_field_and_nothing_typed_is_lost(maya: Pages) -> None:
    answer = await maya.send("/jobs/new", FILLED | {"schedule": "61 2 * * *", "description": "keep <this> & that"})
    assert answer.status_code == 400
    assert 'id="schedule-fault"' in answer.text
    assert 'value="61 2 * * *"' in answer.text
    assert "keep &lt;this&gt; &amp; that" in answer.text
    assert "print(&#39;dump&#39;)" in answer.text


async def test_a_name_that_is_taken_is_told_at_the_name(maya: Pages) -> None:
    await made(maya)
    answer = await maya.send("/jobs/new", FILLED)
    assert answer.status_code == 409
    assert 'id="name-fault"' in answer.text


async def test_validate_saves_nothing(maya: Pages, cast: Cast) -> None:
    answer = await maya.send("/jobs/new", FILLED | {"action": "validate"})
    assert answer.status_code == 200
    assert "This job is sound" in answer.text
    assert (await cast.maya.get("/jobs")).json()["items"] == []


async def test_save_and_run_now_leads_to_the_run(maya: Pages, cast: Cast) -> None:
    address = await made(maya, action="run")
    execution = (await cast.maya.get(address)).json()
    assert execution["triggered_by"] == "manual"


async def test_a_change_to_an_older_version_is_refused_and_kept_on_the_page(maya: Pages, cast: Cast) -> None:
    address = await made(maya)
    job_id = address.rpartition("/")[2]
    await cast.maya.patch(f"/jobs/{job_id}", {"description": "changed meanwhile"})
    answer = await maya.send(f"{address}/edit", FILLED | {"version": "1", "description": "mine"})
    assert answer.status_code == 412
    assert "mine" in answer.text


async def test_what_only_json_can_say_outlives_the_form(maya: Pages, cast: Cast) -> None:
    address = await made(maya)
    job_id = address.rpartition("/")[2]
    tricky = {"env": {"TWO": "a\nb", "QUOTED": '"x"', "SPACED": " y "}, "arguments": ["one two", "", "line\nbreak"]}
    await cast.maya.patch(f"/jobs/{job_id}", tricky | {"timeout_seconds": 90, "timeout_minutes": None})
    form = await maya.get(f"{address}/edit")
    assert form.status_code == 200
    from tests.forms import fields_of

    assert (await maya.send(f"{address}/edit", fields_of(form.text))).status_code == 303
    job = (await cast.maya.get(f"/jobs/{job_id}")).json()
    assert {name: job[name] for name in tricky} == tricky
    assert job["timeout_seconds"] == 90


async def test_viewers_find_no_button_that_would_be_refused(maya: Pages, chris: Pages) -> None:
    address = await made(maya)
    page = await chris.get(address)
    assert page.status_code == 200
    for word in ("/run", "/delete", "/disable", "/edit"):
        assert f"{address}{word}" not in page.text
    assert "New job" not in (await chris.get("/jobs")).text


@pytest.mark.parametrize("verb", ["run", "enable", "disable", "delete", "clone"])
async def test_viewers_are_refused_with_a_page_that_says_why(maya: Pages, chris: Pages, verb: str) -> None:
    address = await made(maya)
    answer = await chris.send(f"{address}/{verb}")
    assert answer.status_code == 403
    assert "What next?" in answer.text


@pytest.mark.parametrize("path", ["", "/edit", "/chart"])
async def test_another_team_s_job_does_not_exist(maya: Pages, rajesh: Pages, path: str) -> None:
    address = await made(maya)
    assert (await rajesh.get(address + path)).status_code == 404


async def test_a_viewer_may_not_open_the_form(chris: Pages) -> None:
    assert (await chris.get("/jobs/new")).status_code == 403


async def test_many_jobs_are_changed_at_once_and_what_is_refused_is_told(maya: Pages, cast: Cast) -> None:
    ids = [(await made(maya, name=f"Job {n}")).rpartition("/")[2] for n in range(3)]
    stranger = (await cast.rajesh.post("/jobs", {"name": "His", "type": "shell", "script": "true"})).json()["job_id"]
    answer = await maya.send("/jobs/bulk", {"action": "disable", "job_id": [*ids, stranger]})
    assert answer.status_code == 303
    told = (await maya.get("/jobs")).text
    assert "3 of 4" in told
    assert (await cast.rajesh.get(f"/jobs/{stranger}")).json()["status"] == "active"
    assert (await cast.maya.get(f"/jobs/{ids[0]}")).json()["status"] == "disabled"


async def test_the_list_answers_htmx_with_itself_alone(maya: Pages) -> None:
    await made(maya)
    part = await maya.part("/jobs", params={"q": "backup"})
    assert "Prod DB Backup" in part.text
    assert "<html" not in part.text
    assert "No job matches" in (await maya.part("/jobs", params={"q": "nothing like it"})).text


async def test_a_schedule_is_explained_as_it_is_typed(maya: Pages) -> None:
    asked = {"schedule": "30 2 * * *", "timezone": "Europe/Berlin"}
    part = (await maya.part("/jobs/schedule-preview", params=asked)).text
    assert part.count("<li>") == 5
    assert "02:30" in part
    wrong = (await maya.part("/jobs/schedule-preview", params={"schedule": "0 25 * * *"})).text
    assert "preview-fault" in wrong


async def test_names_are_never_markup(maya: Pages) -> None:
    address = await made(maya, name="<script>alert(1)</script>", description="<img src=x onerror=alert(2)>")
    for path in (address, f"{address}/edit", "/jobs", "/dashboard"):
        text = (await maya.get(path)).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text


async def test_a_page_stays_under_100_kb(maya: Pages, cast: Cast) -> None:
    for n in range(60):
        made_job = await cast.maya.post("/jobs", {"name": f"Job {n:03} with a name", "type": "shell", "script": "true"})
        assert made_job.status_code == 201
    page = await maya.get("/jobs")
    assert len(page.content) < 100_000
    assert "Next page" in page.text
