"""What must not become of the memory of a process that holds values."""

from __future__ import annotations

import resource


def forbid_core_files() -> None:
    """Nobody gets a dump of this process or its children, were they to crash.

    1 and not 0: where the kernel hands dumps to a program it takes 0 for "as large as you like".
    """
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
