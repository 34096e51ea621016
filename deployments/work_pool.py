"""The work pool that jobs run on, as it is created where there is none."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def base_job_template() -> dict[str, Any]:
    """What an operator sees and may edit in Prefect's UI afterwards."""
    template: dict[str, Any] = json.loads(files("work_pools").joinpath("local.json").read_text("utf-8"))
    return template
