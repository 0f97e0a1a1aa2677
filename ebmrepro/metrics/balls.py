"""Balls around each of a set of points, to its k-th nearest other one: the manifold of the set."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ebmrepro.metrics.checks import Array
from ebmrepro.metrics.distances import Points, neighbours, places


class Balls(NamedTuple):
    """Of N points. A ball counts k of them, itself among them, whatever is tied: those on its edge
    share what those inside leave of k."""

    k: int
    radii: Array  # squared, (N,)
    at_edge: Array  # what a point on the edge counts, (N,)


def balls(x: Points, k: int) -> Balls:
    radii = torch.empty(len(x), dtype=torch.float64, device=x.features.device)
    inside, edge = torch.zeros_like(radii), torch.zeros_like(radii)
    for at, near in neighbours(x, k):
        radii[near.rows[at]] = near.squared[at]
        for count, some in zip((inside, edge), places(near.squared, radii[near.rows]), strict=True):
            count.index_add_(0, near.rows, some.double())
    # A ball without an inside: its centre, which is no neighbour, is edge.
    point = (radii == 0).double()
    at_edge = (k - inside - (1 - point)) / (edge + point)
    return Balls(k, radii.cpu().numpy(), at_edge.cpu().numpy())
