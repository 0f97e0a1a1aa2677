"""The least energy of a sequence of labels: a large label set that need not be searched whole.

    E(y_1 .. y_T) = sum_t U_t(y_t) + sum_t V_t(y_t, y_{t+1})

There are C^T labellings. `brute_force` looks at all of them; `viterbi` (Viterbi, 1967: dynamic
programming in the semiring min, +) looks at about T C^2 terms, because what is best after t depends
on what came before through y_t alone; `min_sum` passes messages on the chain's factor graph, which
would serve any tree. All three are exact. Labels are numbers from 0, and positions may have label
sets of different sizes C_t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ebmrepro.studies.tour import factor_tree
from ebmrepro.studies.tour.factor_tree import Array, Factor, FactorTree, Solution

LARGEST = 10**7  # labellings that brute force will look at


@dataclass(frozen=True)
class Chain:
    """U_t as arrays (C_t,) and V_t as arrays (C_t, C_{t+1}); ValueError if they do not fit."""

    unary: Sequence[Array]
    pairwise: Sequence[Array]

    def __post_init__(self) -> None:
        sizes = [len(u) for u in self.unary]
        wanted = list(pairwise(sizes))
        found = [v.shape for v in self.pairwise]
        if not sizes or min(sizes) < 1 or any(u.ndim != 1 for u in self.unary) or found != wanted:
            raise ValueError(
                f"chain of {len(sizes)} positions with {sizes} labels: pairwise tables {found}, "
                f"expected {wanted}"
            )

    def __len__(self) -> int:
        return len(self.unary)

    def energy(self, labels: Sequence[int]) -> float:
        """E of one labelling (T,)."""
        own = sum(float(u[y]) for u, y in zip(self.unary, labels, strict=True))
        between = zip(self.pairwise, pairwise(labels), strict=True)
        return own + sum(float(v[pair]) for v, pair in between)


def brute_force(chain: Chain) -> Solution:
    """Every one of the C^T labellings. ValueError if there are more than `LARGEST`."""
    sizes = [len(u) for u in chain.unary]
    count = math.prod(sizes)
    if count > LARGEST:
        raise ValueError(f"{count} labellings, at most {LARGEST} are searched one by one")
    total = np.zeros(sizes)
    for t, u in enumerate(chain.unary):
        total += u.reshape([-1 if axis == t else 1 for axis in range(len(sizes))])
    for t, v in enumerate(chain.pairwise):
        shape = [1] * len(sizes)
        shape[t : t + 2] = v.shape
        total += v.reshape(shape)
    best = np.unravel_index(int(total.argmin()), total.shape)
    labels = tuple(int(y) for y in best)
    return Solution(labels, chain.energy(labels), total.size)


def viterbi(chain: Chain) -> Solution:
    """The best way to each label of each position, from the best ways to the position before."""
    least = np.asarray(chain.unary[0], dtype=np.float64)  # of all ways that end in y_t
    looked_at, back = least.size, []
    for u, v in zip(chain.unary[1:], chain.pairwise, strict=True):
        ways = least[:, None] + v  # (C_t, C_{t+1})
        back.append(ways.argmin(axis=0))
        least = ways.min(axis=0) + u  # m_{t+1}(y') = min_y [m_t(y) + V(y, y')] + U_{t+1}(y')
        looked_at += ways.size
    labels = [int(least.argmin())]
    for best in reversed(back):
        labels.append(int(best[labels[-1]]))
    found = tuple(reversed(labels))
    return Solution(found, chain.energy(found), looked_at)


def min_sum(chain: Chain) -> Solution:
    """Messages on the chain's factor graph, a factor for each U_t and each V_t."""
    own = [Factor((t,), u) for t, u in enumerate(chain.unary)]
    between = [Factor((t, t + 1), v) for t, v in enumerate(chain.pairwise)]
    found = factor_tree.min_sum(FactorTree([len(u) for u in chain.unary], [*own, *between]))
    return Solution(found.labels, chain.energy(found.labels), found.evaluations)
