"""What the addresses and forms of ``tests.route_table`` and ``tests.page_table`` name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, select

from platform_api.db.schema import teams, users
from tests.cast import Cast
from tests.history import a_job, an_execution_of
from tests.route_table import Row, a_secret


@dataclass
class Things:
    """What the addresses name, made when it is asked for: all of it Maya's."""

    cast: Cast
    #: The job that was made last.
    job: UUID = field(init=False)
    #: The address of the leaver who was made last.
    email: str = field(init=False)

    async def in_place(self, row: Row) -> Row:
        """The row with ids in its address and its form."""
        fields: dict[str, Any] = row.body if isinstance(row.body, dict) else {}
        texts = {key: value for key, value in fields.items() if isinstance(value, str)}
        wanted = re.findall(r"\{(\w+)\}", " ".join([row.address, *texts.values()]))
        made = {name: await self._make(name) for name in dict.fromkeys(wanted)}
        filled = fields | {key: text.format(**made) for key, text in texts.items()}
        return replace(row, address=row.address.format(**made), body=filled or row.body)

    async def _make(self, name: str) -> str:
        if name in ("version", "old", "new"):
            return "1"
        maker = getattr(self, f"_{name}")
        return str(await maker())

    async def _job_id(self) -> UUID:
        job = self.job = await a_job(self.cast.maya, status="disabled")
        # A second version, so that going back to the first changes something.
        await self.cast.maya.patch(f"/jobs/{job}", {"tags": ["second"]})
        return job

    async def _seen(self) -> str:
        """What a form says of the job that its reader saw."""
        return str((await self.cast.maya.get(f"/jobs/{self.job}")).headers["etag"])

    async def _active(self) -> UUID:
        return await a_job(self.cast.maya)

    async def _done(self) -> UUID:
        return await an_execution_of(self.cast.engine, await a_job(self.cast.maya))

    async def _failed(self) -> UUID:
        return await an_execution_of(self.cast.engine, await a_job(self.cast.maya), "failed")

    async def _queued(self) -> UUID:
        return await an_execution_of(self.cast.engine, await a_job(self.cast.maya), "queued")

    async def _user_id(self) -> UUID:
        return UUID((await self.cast.maya.get("/users/me")).json()["id"])

    async def _leaver(self) -> UUID:
        """A mate of Maya's, whom nobody here is."""
        self.email = f"{uuid4()}@example.com"
        row = {"id": uuid4(), "email": self.email, "display_name": "L", "role": "job_creator"}
        async with self.cast.engine.begin() as connection:
            devops = select(teams.c.id).where(teams.c.name == "devops").scalar_subquery()
            await connection.execute(insert(users).values(**row, team_id=devops))
        return UUID(str(row["id"]))

    async def _leaver_email(self) -> str:
        return self.email

    async def _account_version(self) -> str:
        return str((await self.cast.maya.get(f"/users/{await self._user_id()}")).json()["version"])

    async def _key(self) -> UUID:
        return UUID((await self.cast.maya.post("/api-keys", {"name": "ci"})).json()["id"])

    async def _secret(self) -> str:
        answer = await self.cast.maya.post("/secrets", a_secret(f"secret-{uuid4()}"))
        return str(answer.json()["name"])

    async def _empty_team(self) -> UUID:
        return UUID((await self.cast.admin.post("/teams", {"name": f"team {uuid4()}"})).json()["id"])
