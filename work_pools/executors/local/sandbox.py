"""What is taken from a script's process between its fork and its exec. Standard library only."""

from __future__ import annotations

import os
import resource
import signal

_OPEN_FILES = 1024
_PYTHONS_OWN = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)


def confine() -> None:
    """Called in the child, as its last act before it becomes the script; what it raises is told as NOT_STARTED.

    A user of the script's own, namespaces and limits belong here.
    """
    os.umask(0o022)
    for number in _PYTHONS_OWN:
        signal.signal(number, signal.SIG_DFL)
    # The worker's own soft limit is far higher; programs that use select() break with it.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, _OPEN_FILES), hard))


def forget_signals() -> None:
    """Signals that are ignored or blocked would stay so in every script; caught ones reset themselves.

    For the launcher, once; ``confine`` undoes what Python and the launcher ignore on purpose.
    """
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if number not in _PYTHONS_OWN and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
