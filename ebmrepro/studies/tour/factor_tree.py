"""Energies that are sums of small tables over discrete variables, minimised exactly by min-sum
message passing where the tables hang together as a tree.

Kschischang, Frey, Loeliger: Factor graphs and the sum-product algorithm. IEEE Transactions on
Information Theory 47, 2001; min-sum is theirs in the semiring (min, +).

    symbol        here                 meaning
    E(y)          FactorTree.energy    sum_f theta_f(y_f), over factors f with variables y_f
    n_{v->f}(y)   in gathered          sum of the messages to v from its factors other than f
    m_{f->v}(y)   messages             min over y_f with y_v = y of theta_f + the others' messages
    M_v(y)        min_marginal         sum of all m_{f->v}: the least energy with y_v = y
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Solution:
    """A labelling of least energy, and what it took to find it."""

    labels: tuple[int, ...]
    energy: float
    evaluations: int  # values of energy terms that were looked at


@dataclass(frozen=True)
class Factor:
    """theta_f: a table of energies, one axis for each of its variables, in their order."""

    variables: tuple[int, ...]
    table: Array


@dataclass(frozen=True)
class FactorTree:
    """Variables v with `sizes[v]` labels, and factors between them without a cycle.

    ValueError if a factor's table does not fit its variables, or if there is a cycle, on which
    min-sum need not be exact.
    """

    sizes: Sequence[int]
    factors: Sequence[Factor]

    def __post_init__(self) -> None:
        for i, factor in enumerate(self.factors):
            wanted = tuple(self.sizes[v] for v in factor.variables)
            if factor.table.shape != wanted or len(set(factor.variables)) != len(wanted):
                raise ValueError(
                    f"factor {i} of variables {factor.variables}: table {factor.table.shape}, "
                    f"expected {wanted}, each variable once"
                )
        island = list(range(len(self.sizes)))  # a name for each connected part
        for i, factor in enumerate(self.factors):
            met = [island[v] for v in factor.variables]
            if len(set(met)) != len(met):
                raise ValueError(f"factor {i} of variables {factor.variables} closes a cycle")
            island = [met[0] if name in met else name for name in island]

    def energy(self, labels: Sequence[int]) -> float:
        """E(y) of one labelling."""
        return float(sum(f.table[tuple(labels[v] for v in f.variables)] for f in self.factors))


def min_sum(tree: FactorTree) -> Solution:
    """A labelling of least energy: messages from the leaves to the roots, then labels outwards.

    Each part of the tree has its first variable as root. Where several labellings have the least
    energy, one of them comes out whole: labels are read outwards from the root, not from each
    min-marginal alone.
    """
    factors_of: dict[int, list[int]] = defaultdict(list)
    for i, factor in enumerate(tree.factors):
        for v in factor.variables:
            factors_of[v].append(i)

    labels: dict[int, int] = {}
    looked_at = 0
    for root in range(len(tree.sizes)):
        if root in labels:
            continue
        visits = _outwards(tree, factors_of, root)
        messages: dict[int, Array] = {}  # m_{f->v} of each factor to the variable nearer the root
        gathered: dict[int, Array] = {}  # theta_f + sum n_{u->f} over its variables further out
        for i, near in reversed(visits):
            variables, total = tree.factors[i].variables, tree.factors[i].table
            away = tuple(axis for axis, u in enumerate(variables) if u != near)
            for axis in away:
                shape = [-1 if other == axis else 1 for other in range(total.ndim)]
                for other in factors_of[variables[axis]]:
                    if other != i:  # n_{u->f}: what u hears from its other factors
                        total = total + messages[other].reshape(shape)
            gathered[i], messages[i] = total, total.min(axis=away)  # m_{f->v}(y)
            looked_at += total.size
        min_marginal = sum((messages[i] for i in factors_of[root]), np.zeros(tree.sizes[root]))
        labels[root] = int(min_marginal.argmin())
        looked_at += len(min_marginal)
        for i, near in visits:
            variables = tree.factors[i].variables
            rest = gathered[i].take(labels[near], axis=variables.index(near))
            best = np.unravel_index(int(rest.argmin()), rest.shape)
            away = [v for v in variables if v != near]
            labels |= {v: int(y) for v, y in zip(away, best, strict=True)}
            looked_at += rest.size
    found = tuple(labels[v] for v in range(len(tree.sizes)))
    return Solution(found, tree.energy(found), looked_at)


def _outwards(
    tree: FactorTree, factors_of: dict[int, list[int]], root: int
) -> list[tuple[int, int]]:
    """(factor, its variable nearest to the root), the nearest factors first."""
    found: list[tuple[int, int]] = []
    edge, seen = [root], set[int]()
    while edge:
        v = edge.pop(0)
        for i in factors_of[v]:
            if i not in seen:
                seen.add(i)
                found.append((i, v))
                edge += [u for u in tree.factors[i].variables if u != v]
    return found
