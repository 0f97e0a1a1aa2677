"""A sitting in parts: each in a process of its own, with its deadline, whatever became of the last.

A part may fail, hang, exhaust the memory or break its hold of the GPU; the next one starts from a
process that has torch imported and has touched no GPU.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from ebmrepro.system.errors import one_line
from ebmrepro.system.signals import Stopped

LEAST = 2.0  # seconds with which a part is begun at all
DONE, NO_TIME = "done", "not begun: no time was left"
Cell = tuple[str, Any]


class Part(NamedTuple):
    """A piece of work that tells what it finds as it goes, until a deadline (`time.monotonic`)."""

    name: str
    work: Callable[[float], Iterator[Cell | None]]  # None: it only pauses
    seconds: float | None = None  # that it may take; none: what is left


@dataclass
class Told:
    """What became of a part, and what it found."""

    how: str = NO_TIME  # "done", or why not
    seconds: float = 0.0
    cells: dict[str, Any] = field(default_factory=dict)


Run = Callable[[Part, float, Callable[[str, Any], None]], str]


def play(
    parts: Iterable[Part],
    end: float,
    told: dict[str, Told],
    run: Run,
    write: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run parts one after another until `end`, and keep by name what became of them in `told`.

    `write` is called at each cell. A part of a name that was there goes on with it; `parts` may be
    a generator that looks at `told` to say what comes next.
    """
    for part in parts:
        began, now = clock(), told.setdefault(part.name, Told())
        deadline = end if part.seconds is None else min(end, began + part.seconds)
        if deadline - began >= LEAST:

            def cell(key: str, value: Any, now: Told = now) -> None:
                now.cells[key] = _in_json(value)
                write()

            now.how = run(part, deadline, cell)
            now.seconds = round(now.seconds + clock() - began, 2)
        write()


def _in_json(value: Any) -> Any:
    """What JSON has no number for, as a word."""
    if isinstance(value, dict):
        return {key: _in_json(each) for key, each in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def alone(
    part: Part, deadline: float, cell: Callable[[str, Any], None], grace: float, log: Path
) -> str:
    """Run a part in a fork of this process, and end it `grace` seconds after its deadline.

    What it prints goes to `log`. Returns what became of it.
    """
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=_work, args=(part, deadline, log, sender), daemon=True)
    process.start()
    sender.close()
    try:
        while receiver.poll(max(0.0, deadline + grace - time.monotonic())):
            kind, key, value = receiver.recv()
            if kind == "end":
                return value
            cell(key, value)
        return f"failed: still at work {grace:.0f} s after its deadline; its process was ended"
    except EOFError:
        process.join()
        return f"failed: its process ended with code {process.exitcode}"
    finally:
        process.kill()
        process.join()


def in_words(error: BaseException) -> str:
    """What became of a part that raised it; a failure is logged whole."""
    if isinstance(error, Stopped):
        return str(error)
    traceback.print_exception(error)
    return f"failed: {type(error).__name__}: {one_line(error)}"


def _work(part: Part, deadline: float, log: Path, sender: Connection) -> None:
    with log.open("a") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    print(f"--- {part.name}", flush=True)
    try:
        for cell in part.work(deadline):
            if cell is not None:
                sender.send(("cell", *cell))
        how = DONE
    except BaseException as error:  # of any kind: the others are worth having
        how = in_words(error)
    sys.stdout.flush()
    sender.send(("end", None, how))
    os._exit(0)  # to take apart torch and a GPU's context lasts seconds
