"""The more scripts run at once, the less CPU time each new one may claim: together they must not starve the platform.

Where the kernel groups processes by session (autogroup, the default outside of containers), each script would get as
large a share of the machine as the whole worker, and 200 busy ones 200 times as much.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress

LAST = 19
#: Each step of niceness is a fifth less of the CPU.
STEP = 1.25


def niceness(others: int) -> int:
    """A script alone is nobody's burden; the n-th at once gets about an n-th of that weight."""
    return min(LAST, int(math.log(others + 1, STEP)))


def put_behind(pid: int, nice: int) -> None:
    """Give a script, the leader of a session of its own, less weight.

    Both ways, since one of them is without effect: the kernel looks at groups, or at processes. What it refuses, or
    does not know, stays as it is.
    """
    with suppress(OSError), open(f"/proc/{pid}/autogroup", "w") as file:
        file.write(str(nice))
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
