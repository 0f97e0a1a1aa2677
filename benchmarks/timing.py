"""Sides of a comparison, timed in turn, so that whatever slows the machine slows all of them.

A side is timed in blocks. Each repeat runs one block of every side, in an order that rotates; the
limits of the machine are sides too. A statistic is a median over repeats of what the blocks of one
repeat say together (a ratio, a share of a limit), so that a slow minute weighs on both terms.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

QUIET = 0.25  # cores that other processes may use in a block before its repeat counts as disturbed
FEWEST = 3  # quiet repeats that are enough to leave the disturbed ones out


@dataclass(frozen=True)
class Block:
    """One block of work: how long it took, and how many cores other processes used meanwhile."""

    seconds: float
    others: float | None = None  # unknown where the machine does not say


@dataclass(frozen=True)
class Spread:
    """Median, least and largest value over repeats."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(float(np.median(values)), float(min(values)), float(max(values)))


@dataclass
class Comparison:
    """Sides that do the same work, with their blocks in the order of the repeats."""

    what: str
    unit: str  # of the work, in the plural: images, pipelines
    work: float  # in a block of each side
    blocks: dict[str, list[Block]]
    products: dict[str, float] = field(default_factory=dict)  # floating-point operations a block
    notes: dict[str, str] = field(default_factory=dict)  # side -> what to know about it

    def repeats(self) -> list[int]:
        """The quiet repeats where there are enough of them, else all."""
        every = range(len(next(iter(self.blocks.values()))))
        quiet = [i for i in every if not self._disturbed(i)]
        return quiet if len(quiet) >= FEWEST else list(every)

    def _disturbed(self, repeat: int) -> bool:
        return any((blocks[repeat].others or 0.0) > QUIET for blocks in self.blocks.values())

    @property
    def disturbed(self) -> bool:
        """Whether the statistics hold repeats in which other processes used the machine."""
        return any(self._disturbed(i) for i in self.repeats())

    def rate(self, side: str) -> Spread:
        """Work per second."""
        return Spread.of([self.work / self.blocks[side][i].seconds for i in self.repeats()])

    def seconds(self, side: str) -> Spread:
        """Of a block."""
        return Spread.of([self.blocks[side][i].seconds for i in self.repeats()])

    def times_as_fast(self, side: str, other: str) -> Spread:
        """How often `side` does the work while `other` does it once."""
        a, b = self.blocks[side], self.blocks[other]
        return Spread.of([b[i].seconds / a[i].seconds for i in self.repeats()])

    def share(self, side: str, limit: str, of: str | None = None) -> Spread:
        """Rate of arithmetic of `side` over that of `limit`; `of`: with the products of this side.

        With `of`, products that one side computes and the other does without do not count for it.
        """
        a, b = self.blocks[side], self.blocks[limit]
        ratio = self.products[of or side] / self.products[limit]
        return Spread.of([ratio * b[i].seconds / a[i].seconds for i in self.repeats()])

    def tree(self) -> dict[str, Any]:
        """For a JSON file."""
        return asdict(self)

    @classmethod
    def read(cls, tree: Mapping[str, Any]) -> Comparison:
        blocks = {side: [Block(**b) for b in some] for side, some in tree["blocks"].items()}
        return cls(**{**tree, "blocks": blocks})


def interleaved(
    sides: Mapping[str, Callable[[], object]],
    repeats: int,
    wait: Callable[[], object] = lambda: None,
    warm_up: bool = True,
) -> dict[str, list[Block]]:
    """Time one block of every side per repeat; `wait` returns when a device has done its work."""
    names = list(sides)
    if warm_up:  # allocations, libraries' choices of kernels, files in the cache
        for run in sides.values():
            run()
        wait()
    blocks: dict[str, list[Block]] = {name: [] for name in names}
    for repeat in range(repeats):
        first = repeat % len(names)
        for name in names[first:] + names[:first]:
            blocks[name].append(_timed(sides[name], wait))
    return blocks


def _timed(run: Callable[[], object], wait: Callable[[], object]) -> Block:
    busy, own, start = _busy(), _own(), time.perf_counter()
    run()
    wait()
    seconds = time.perf_counter() - start
    after = _busy()
    if busy is None or after is None:
        return Block(seconds)
    others = (after - busy) - (_own() - own)
    return Block(seconds, max(0.0, others / seconds))


def _own() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def _busy() -> float | None:
    """CPU seconds that all processes of the machine have used, where it tells."""
    try:
        words = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _, _, irq, soft_irq, *_ = map(int, words)
    return (user + nice + system + irq + soft_irq) / os.sysconf("SC_CLK_TCK")
