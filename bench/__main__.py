"""All measurements one after the other: `python -m bench`, or one of them: `python -m bench.burst --help`."""

from __future__ import annotations

import subprocess
import sys

MEASUREMENTS = (
    "bench.burst",
    "bench.starts",
    "bench.minute",
    "bench.adoption",
    "bench.agenda",
    "bench.audit",
    "bench.lists",
    "bench.logs",
    "bench.masking",
)


def main() -> None:
    """Each in a process of its own, as it would be by hand."""
    for module in MEASUREMENTS:
        print(f"==> {module}", flush=True)
        subprocess.run([sys.executable, "-m", module], check=True)


if __name__ == "__main__":
    main()
