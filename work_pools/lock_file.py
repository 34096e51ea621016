"""A sign of life that a crash takes back at once: a locked file in the home that workers of a machine share."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from uuid import UUID


class LockFiles:
    """``<home>/workers/<pool>/<id>.lock``. A file that exists says that its worker left something on this machine."""

    def __init__(self, home: Path, pool: str) -> None:
        self._folder = home / "workers" / pool
        self._held: int | None = None

    def hold(self, worker_id: UUID) -> None:
        """Be alive until this process ends, however it ends."""
        if self._held is not None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unlocked = self._path(worker_id).with_suffix(".new")
        self._held = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._held, fcntl.LOCK_EX)
        # Gets its name locked: another worker that finds it free would take it for that of a dead one and remove it.
        unlocked.rename(self._path(worker_id))

    def release(self) -> None:
        """Die; the file stays for whoever adopts the scripts that still run."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def is_here(self, worker_id: UUID) -> bool:
        """Whether that worker ran in this home."""
        return self._path(worker_id).exists()

    def is_free(self, worker_id: UUID) -> bool:
        """Whether that worker ran in this home and runs no more."""
        try:
            descriptor = os.open(self._path(worker_id), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def left_behind(self) -> list[UUID]:
        """Workers of this home and pool that run no more and whose things nobody has seen to yet."""
        return [id_ for file in self._folder.glob("*.lock") if self.is_free(id_ := UUID(file.stem))]

    def remove(self, worker_id: UUID) -> None:
        """Forget a worker that holds nothing any more."""
        self._path(worker_id).unlink(missing_ok=True)

    def _path(self, worker_id: UUID) -> Path:
        return self._folder / f"{worker_id}.lock"
