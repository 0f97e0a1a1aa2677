"""How long the search for the least energy of a sequence takes, on this machine, now.

Times belong to a machine and a moment, so they are printed and never stored; what the report shows
is the number of energy terms that are looked at.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ebmrepro.studies.tour import chain
from ebmrepro.studies.tour.chain import Chain
from ebmrepro.studies.tour.factor_tree import Solution

REPEATS = 5  # of which the fastest counts


class Timed(NamedTuple):
    length: int
    viterbi: float  # seconds
    min_sum: float
    brute_force: float | None  # None where it was not tried
    labellings: int  # classes ** length


def search(classes: int, lengths: Sequence[int], tried: int) -> list[Timed]:
    """A random chain of each length; all labellings are looked at up to the length `tried`, where
    they are not too many.
    """
    random, V = np.random.RandomState(0), np.random.RandomState(1).random_sample((classes,) * 2)

    def seconds(solve: Callable[[Chain], Solution]) -> float:
        return min(timeit.repeat(lambda: solve(posed), number=1, repeat=REPEATS))

    found = []
    for length in lengths:
        posed = Chain([*random.random_sample((length, classes))], [V] * (length - 1))
        few = length <= tried and classes**length <= chain.LARGEST
        whole = seconds(chain.brute_force) if few else None
        fast = seconds(chain.viterbi), seconds(chain.min_sum)
        found.append(Timed(length, *fast, whole, classes**length))
    return found
