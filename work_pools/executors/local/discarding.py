"""Removes run directories, whatever their scripts did to them."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from work_pools.executors.local.run_directory import RunDirectory


def discard(directory: RunDirectory) -> None:
    """Remove all but the marks that the attempt was started and is over."""
    with suppress(FileNotFoundError, FileExistsError):
        os.truncate(directory.started, 0)
        os.link(directory.started, directory.discarded)
    with suppress(FileNotFoundError):
        for name in os.listdir(directory.path):
            if name not in ("started", "discarded"):
                _remove(directory.at(name))
    if not os.path.exists(directory.started):
        with suppress(FileNotFoundError):
            os.rmdir(directory.path)


def forget_discarded(runs_folder: Path, age_seconds: float) -> None:
    """Remove the marks of attempts that were discarded longer ago than this."""
    for mark in runs_folder.glob("*/*/discarded"):
        with suppress(OSError):
            if mark.stat().st_mtime < time.time() - age_seconds:
                shutil.rmtree(mark.parent)
                mark.parent.parent.rmdir()


def _remove(path: str) -> None:
    if not os.path.isdir(path) or os.path.islink(path):
        os.unlink(path)
        return
    shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        _open_folders(path)
        shutil.rmtree(path)


def _open_folders(path: str) -> None:
    """A script may have closed its folders to everybody, its owner included."""
    os.chmod(path, 0o700)
    for folder, names, _ in os.walk(path):
        for name in names:
            inner = os.path.join(folder, name)
            if not os.path.islink(inner):
                os.chmod(inner, 0o700)
