"""The environment variables that ebmrepro reads: where to run and to look, never what to compute.

Each is read where it is used; here they are checked together, without torch, before any work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ebmrepro.config.documents import dotted, nearest, shown
from ebmrepro.system.errors import UserError

PREFIX = "EBMREPRO_"
ALLOWED = {  # variable -> what it may hold, in words
    "EBMREPRO_CHECKPOINT_SECONDS": "a number from 0",
    "EBMREPRO_COMPILE": "on, off",
    "EBMREPRO_DATA_MIRROR": "a folder that is there",
    "EBMREPRO_DEVICE": "cpu, cuda, cuda:0, cuda:1, ...",
    "EBMREPRO_INCEPTION_WEIGHTS": "a file that is there",
    "EBMREPRO_SOAK": "1 (of the tests)",
    "EBMREPRO_TRACKING": "on, off",
    "EBMREPRO_WARM": "an address (set by ebmrepro repro)",
    "EBMREPRO_WORKERS": "a whole number from 1 to 1024",
}


def check(environment: Mapping[str, str]) -> None:
    """Look at every variable of ours; an empty one counts as not set.

    Raises:
        UserError: one has no such value, or there is no such variable.
    """
    for name, value in environment.items():
        if name.startswith(PREFIX) and name not in ALLOWED:
            hint = nearest(name, ALLOWED)
            raise UserError(
                f"{dotted([name])}: no such setting; there are {', '.join(ALLOWED)}{hint}"
            )
        if name in ALLOWED and value and not _fits(name, value):
            hint = nearest(value, re.findall(r"\w+", ALLOWED[name]))
            raise UserError(f"{name}: found {shown(value)}; allowed is {ALLOWED[name]}{hint}")


def _fits(name: str, value: str) -> bool:
    match name:
        case "EBMREPRO_CHECKPOINT_SECONDS":
            try:
                return float(value) >= 0  # NaN is not
            except ValueError:
                return False
        case "EBMREPRO_DATA_MIRROR":
            return Path(value).is_dir()
        case "EBMREPRO_DEVICE":
            return re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", value) is not None
        case "EBMREPRO_INCEPTION_WEIGHTS":
            return Path(value).expanduser().is_file()
        case "EBMREPRO_COMPILE" | "EBMREPRO_TRACKING":
            return value in ("on", "off")
        case "EBMREPRO_WORKERS":
            return re.fullmatch(r"[1-9][0-9]{0,3}", value) is not None and int(value) <= 1024
        case _:
            return True
