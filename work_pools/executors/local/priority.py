"""Scripts get what CPU time the platform leaves: they must not starve whoever starts, logs and stops them.

Where the kernel groups processes by session (autogroup, the default outside of containers), each script would get as
large a share of the machine as the whole worker, and 200 busy ones 200 times as much. Standard library only.
"""

from __future__ import annotations

import os
from contextlib import suppress

#: Scripts share evenly among themselves. One alone has all that is not used by others.
LAST = 19


def put_behind(pid: int) -> None:
    """Give a script, the leader of a session of its own, the smallest weight.

    Both ways, since one of them is without effect: the kernel looks at groups, or at processes. What it refuses, or
    does not know, stays as it is.
    """
    with suppress(OSError), open(f"/proc/{pid}/autogroup", "w") as file:
        file.write(str(LAST))
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, LAST)
