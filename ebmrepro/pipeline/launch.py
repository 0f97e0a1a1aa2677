"""Runs one stage command for whoever asked, and does not let it outlive them.

An asker may be killed at any moment: the driver of `ebmrepro repro --jobs`, or a worker of a Dask
cluster. A command that went on by itself would write into outputs that the next run removes. So
this process stands between the two. Its standard input comes from the asker: each byte is a signal
for the command, and its end says that the asker is gone, or wants no more of the command.

It is run by its text, `python -c`, on machines that need not have this file: standard library only,
and nothing that takes long to import. The command gets a process group of its own, to which all
signals go: a shell may have started the stage and be gone before it.
"""

import os
import select
import signal
import subprocess
import sys
import time

GRACE = 30.0  # seconds from the asker's end to SIGKILL; a training saves its checkpoint meanwhile
LOOK = 0.05  # seconds between two looks at whether all of a stopping command's group have ended


def tell(group: int, number: int) -> bool:
    """Send a signal (0: only look); False where nobody is left to get it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # the second is macOS's word for zombies
        return False
    return True


def main(command: list[str]) -> int:
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # without it there is no wake-up
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    sources, stopping, deadline = [0, woken], False, float("inf")
    while child.poll() is None or (stopping and tell(child.pid, 0)):
        readable, _, _ = select.select(sources, [], [], LOOK if stopping else None)
        if woken in readable:
            os.read(woken, 4096)
        if 0 in readable:
            said = os.read(0, 1)
            if not said:
                sources = [woken]
            tell(child.pid, said[0] if said else signal.SIGTERM)
            stopping, deadline = True, min(deadline, time.monotonic() + GRACE)
        if time.monotonic() > deadline:
            tell(child.pid, signal.SIGKILL)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
