"""What a machine may lack that commands and their libraries take for granted."""

from __future__ import annotations

import io
import os
import pwd
import sys
from collections.abc import MutableMapping
from pathlib import Path

HOME = Path(".ebmrepro/home")  # in the project; libraries make it when they keep something there


def settle(environment: MutableMapping[str, str]) -> None:
    """Give what is lacking, to this process and those that it starts.

    A terminal or pipe without the signs that we print gets `?` in their place. A user whom the
    machine does not know (of a container, say) gets a name, which DVC's locks ask for, and one
    without a home a folder for what libraries keep.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        environment.setdefault("LOGNAME", f"user-{os.getuid()}")
    if not os.path.isdir(os.path.expanduser("~")):  # of nobody it stays `~`
        environment["HOME"] = str(HOME.resolve())


def cores() -> int:
    """Those that this process may use; macOS tells only how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
