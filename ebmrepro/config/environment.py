"""The environment variables that ebmrepro reads: where to run and to look, never what to compute.

Each is read where it is used; here they are checked together, without torch, before any work.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

from ebmrepro.config.documents import dotted, nearest, shown
from ebmrepro.system.errors import UserError

PREFIX = "EBMREPRO_"
NUMBER = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|inf")
DEVICE = re.compile("cpu|cuda(:[0-9]{1,3})?")
Allowed = tuple[str, Callable[[str], object]]  # what a variable may hold: in words, a test


def _whole(most: int) -> Allowed:
    words = f"a whole number from 1 to {most}"
    return words, lambda value: value.isdecimal() and len(value) <= 9 and 1 <= int(value) <= most


TORCHRUN = "torchrun sets it, for one training in several processes"
SWITCH = ("on, off", re.compile("on|off").fullmatch)
ALLOWED: dict[str, Allowed] = {
    "EBMREPRO_CHECKPOINT_SECONDS": ("a number from 0", NUMBER.fullmatch),
    "EBMREPRO_COMPILE": SWITCH,
    "EBMREPRO_DATA_MIRROR": ("a folder that is there", os.path.isdir),
    "EBMREPRO_DEVICE": ("cpu, cuda, cuda:0, cuda:1, ...", DEVICE.fullmatch),
    "EBMREPRO_GRAPHS": SWITCH,
    "EBMREPRO_INCEPTION_WEIGHTS": (
        "a file that is there",
        lambda value: os.path.isfile(os.path.expanduser(value)),
    ),
    "EBMREPRO_SOAK": ("a number of kills (of the tests)", bool),
    "EBMREPRO_TOGETHER": _whole(32),
    "EBMREPRO_TRACKING": SWITCH,
    "EBMREPRO_WARM": ("an address (set by ebmrepro repro)", bool),
    "EBMREPRO_WORKERS": _whole(1024),
}


# Trainings on one GPU, unless EBMREPRO_TOGETHER says how many; on a CPU one. By estimate: a
# replayed step takes the host 12 to 19 microseconds in Python (seen on a CUDA runtime that computes
# nothing) and some 15 for three launches; its 120 to 200 kernels take the GPU at least 2 each. So
# one thread keeps about ten busy; each has its data and its recordings in the GPU's memory.
TOGETHER = 8


def together(environment: Mapping[str, str], on_gpu: bool) -> int:
    """How many trainings take turns in one process, see `training/together.py`."""
    return int(environment.get("EBMREPRO_TOGETHER") or (TOGETHER if on_gpu else 1))


def check(environment: Mapping[str, str]) -> None:
    """Look at every variable of ours, and at those of torchrun; an empty one of ours counts as not
    set.

    Raises:
        UserError: one has no such value, or there is no such variable.
    """
    _ranks(environment)
    for name, value in environment.items():
        if name in ALLOWED:
            words, fits = ALLOWED[name]
            if value and not fits(value):
                hint = nearest(value, words.split(", "))
                raise UserError(f"{name}: found {shown(value)}; allowed is {words}{hint}")
        elif name.startswith(PREFIX):
            hint = nearest(name, ALLOWED)
            raise UserError(
                f"{dotted([name])}: no such setting; there are {', '.join(ALLOWED)}{hint}"
            )


def _ranks(environment: Mapping[str, str]) -> None:
    """How many processes train together, which of them this is and where they meet."""

    def number(name: str, least: int, most: int, default: str = "") -> int:
        value = environment.get(name, default)
        if not (value.isdecimal() and len(value) <= 9 and least <= int(value) <= most):
            allowed = f"a whole number from {least} to {most}; {TORCHRUN}"
            raise UserError(f"{name}: found {shown(value)}; allowed is {allowed}")
        return int(value)

    ranks = number("WORLD_SIZE", 1, 10**6, default="1")
    number("RANK", 0, ranks - 1, default="0" if ranks == 1 else "")
    if ranks > 1:
        number("LOCAL_RANK", 0, ranks - 1)
        number("MASTER_PORT", 1, 65535)
        if not environment.get("MASTER_ADDR"):
            raise UserError(f"MASTER_ADDR: not set; {TORCHRUN}")
