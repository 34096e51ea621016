"""GET /schedule/preview: what an expression means, and where it is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.cast import Cast

PATH = "/schedule/preview"


async def test_next_times_come_in_utc_and_local_with_words(cast: Cast):
    cast.clock.at = datetime(2027, 3, 12, 12, tzinfo=UTC)
    answer = await cast.chris.get(PATH, params={"expression": "30 2 * * *", "timezone": "America/New_York", "count": 3})
    assert answer.status_code == 200
    assert answer.json() == {
        "expression": "30 2 * * *",
        "normalised": "30 2 * * *",
        "timezone": "America/New_York",
        "description": "At 02:30 AM (America/New_York)",
        "next_executions": ["2027-03-13T07:30:00Z", "2027-03-14T07:30:00Z", "2027-03-15T06:30:00Z"],
        "next_executions_local": [
            "2027-03-13T02:30:00-05:00",
            "2027-03-14T03:30:00-04:00",
            "2027-03-15T02:30:00-04:00",
        ],
        "notes": ["The clocks go forward on 2027-03-14: 02:30 does not exist and happens at 03:30."],
    }


@pytest.mark.parametrize(
    ("expression", "local", "notes"),
    [
        (
            "30 1 * * *",
            ["2027-11-07T01:30:00-04:00", "2027-11-08T01:30:00-05:00"],
            ["The clocks go back on 2027-11-07: 01:30 comes twice and happens the first time only."],
        ),
        ("30 * * * *", ["2027-11-07T01:30:00-04:00", "2027-11-07T01:30:00-05:00"], []),
    ],
)
async def test_an_hour_that_comes_twice_is_noted_where_it_matters(cast: Cast, expression, local, notes):
    cast.clock.at = datetime(2027, 11, 7, 5, tzinfo=UTC)
    parameters = {"expression": expression, "timezone": "America/New_York", "count": 2}
    answer = (await cast.chris.get(PATH, params=parameters)).json()
    assert answer["next_executions_local"] == local
    assert answer["notes"] == notes


async def test_five_times_in_utc_are_the_default(cast: Cast):
    answer = await cast.maya.get(PATH, params={"expression": "@daily"})
    assert (answer.json()["timezone"], len(answer.json()["next_executions"])) == ("UTC", 5)
    assert answer.json()["normalised"] == "0 0 * * *"


@pytest.mark.parametrize(
    ("parameters", "field", "message"),
    [
        ({"expression": "0 25 * * *"}, "expression", "position 3: hour 25 is out of range 0-23"),
        ({"expression": "0 0 30 2 *"}, "expression", "position 5: it never fires"),
        ({"expression": "@reboot"}, "expression", "position 1: @reboot is not available"),
        ({"expression": ""}, "expression", "position 1: the expression is empty"),
        ({"expression": "@daily", "timezone": "Europe/Berln"}, "timezone", "did you mean 'Europe/Berlin'?"),
        ({"expression": "@daily", "count": 0}, "count", ""),
        ({"expression": "@daily", "count": 101}, "count", ""),
        ({}, "expression", ""),
    ],
)
async def test_a_fault_is_a_400_that_names_its_place(cast: Cast, parameters, field, message):
    answer = await cast.maya.get(PATH, params=parameters)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/problem+json")
    [error] = answer.json()["errors"]
    assert error["field"].endswith(field)
    assert message in error["message"]


async def test_a_stranger_is_turned_away(cast: Cast):
    assert (await cast.stranger.get(PATH, params={"expression": "@daily"})).status_code == 401
