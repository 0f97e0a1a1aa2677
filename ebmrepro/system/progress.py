"""What a person sees while a long stage runs: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
TO_GO = " to go"
EVERY = 10.0  # seconds between plain lines
LOOKED_BACK = 5  # lines: an epoch of back-propagation takes longer than the RBMs' before it


def follow(items: Iterable[T], total: int, label: str, unit: str = "epochs") -> Iterator[T]:
    """Pass the items on, showing how far and how long to go."""
    show = _bar if sys.stdout.isatty() else _lines
    return show(items, total, label, unit)


def _bar(items: Iterable[T], total: int, label: str, unit: str) -> Iterator[T]:
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn(f"{unit}, to go"),
        progress.TimeRemainingColumn(),
        progress.TextColumn("after"),
        progress.TimeElapsedColumn(),
    )
    with progress.Progress(*columns) as bar:
        yield from bar.track(items, total=total, description=label)


def _lines(items: Iterable[T], total: int, label: str, unit: str) -> Iterator[T]:
    began = time.monotonic()
    told = deque([(0, began)], maxlen=LOOKED_BACK)  # items done, and when
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if done == total:
            print(f"{label}: {done} {unit} in {now - began:.1f} s", flush=True)
        elif now - told[-1][1] >= EVERY:
            before, at = told[0]
            left = (now - at) / (done - before) * (total - done)
            print(f"{label}: {done} of {total} {unit}, about {left:.0f} s{TO_GO}", flush=True)
            told.append((done, now))
