"""Nearest neighbours among features, of all pairs: exact, and found through short sketches.

A sketch of a point is its coordinates on a few axes and the length of what they leave. Two sketches
are never further apart than their points: on axes distances shrink, and for the rests it is the
triangle inequality. So a pair whose sketches lie too far apart need not be looked at ("filter and
refine": Faloutsos, Ranganathan and Manolopoulos, *Fast subsequence matching in time-series
databases*, 1994). A few of a thousand pairs are left, and their distances are taken from the
features in float64: in float32 copies would not be at distance 0, and neighbours would tie that do
not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ebmrepro.metrics import checks
from ebmrepro.metrics.checks import Matrix
from ebmrepro.networks import device

AXES = 64  # of a sketch, at most
SAMPLE = 2048  # points, at most, that main axes are found from ...
TURNS = 3  # ... by so many turns of a power iteration. Any axes do: good ones leave fewer pairs
# By kind of device: a GPU may round float32 products to TF32, and then SLACK were too little.
SKETCH = {"cpu": torch.float32, "cuda": torch.float64}
SLACK = 1e-5  # of |x|^2 + |y|^2: more than 2 (AXES + 3) 2^-24, by which float32 may be too far
EDGE = 1e-9  # of a squared radius: nearer to the edge of a ball than rounding tells
HELD = 2**22  # numbers held at once of distances, and of features in float64
MANY = 100  # where one pair in so many is left of a block, one product of it is faster


class Pairs(NamedTuple):
    """Some pairs of two sets of points, and how far they are apart."""

    rows: Tensor  # (P,) of the first set
    columns: Tensor  # (P,) of the second
    squared: Tensor  # (P,) float64


@dataclass(frozen=True, eq=False)
class Points:
    """Features (N, K) on the device as they came, float32 or float64, and their sketches."""

    features: Tensor
    sketches: Tensor  # (N, A + 1)
    centre: Tensor  # (K,) float64, near the mean: distances to it lose less to cancellation
    axes: Tensor  # (K, A) float64, orthonormal

    @classmethod
    def of(cls, features: Matrix) -> Points:
        """Of finite features, on their own main axes."""
        sample = torch.from_numpy(features[:: -(-len(features) // SAMPLE)]).double()
        centre = sample.mean(0)
        sample = sample - centre  # not in place: it may be the caller's memory
        axes = torch.linalg.qr(sample[: min(AXES, len(centre))].T).Q
        for _ in range(TURNS):
            axes = torch.linalg.qr(sample.T @ (sample @ axes)).Q
        where = device.device()
        return cls._on(torch.from_numpy(features).to(where), centre.to(where), axes.to(where))

    def beside(self, features: Matrix) -> Points:
        """Others, on the same axes. ValueError if they are of another width."""
        checks.same_width(self.features, features)
        y = torch.from_numpy(features).to(self.features.device)
        return self._on(y, self.centre, self.axes)

    @classmethod
    def _on(cls, features: Tensor, centre: Tensor, axes: Tensor) -> Points:
        found = []
        for part in features.split(max(1, HELD // len(centre))):
            apart = part - centre
            on_axes = apart @ axes
            rest = (apart.square().sum(1) - on_axes.square().sum(1)).clamp(min=0).sqrt()
            found.append(torch.cat([on_axes, rest[:, None]], 1))
        return cls(features, torch.cat(found).to(SKETCH[features.device.type]), centre, axes)

    @cached_property
    def centred(self) -> Tensor:
        """All features in float64, for products of all pairs: 1 GB for 60,000 of 2,000."""
        return self.features - self.centre

    @cached_property
    def length(self) -> Tensor:
        """Of each, squared, from the centre."""
        return torch.linalg.vecdot(self.centred, self.centred)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice) -> Points:
        return Points(self.features[rows], self.sketches[rows], self.centre, self.axes)


def nearest(y: Points, x: Points) -> tuple[Tensor, Tensor]:
    """Squared distance of each of `y` to the nearest of `x`, (M,), and which that is, (M,): the
    first of several."""
    found = [(near.squared[at], near.columns[at]) for at, near in _neighbours(y, x, 1, own=False)]
    distances, places = zip(*found, strict=True)
    return torch.cat(distances), torch.cat(places)


def neighbours(x: Points, k: int) -> Iterator[tuple[Tensor, Pairs]]:
    """Of a set and itself, by blocks: pairs of a point and another one that is not further than
    its k-th nearest, or by EDGE, among a few that are; and which are the k-th, one for each."""
    yield from _neighbours(x, x, k, own=True)


def _neighbours(y: Points, x: Points, k: int, *, own: bool) -> Iterator[tuple[Tensor, Pairs]]:
    for start, least in _blocks(y, x):
        if own:
            least.diagonal(start).fill_(torch.inf)
        part = y[start : start + len(least)]
        guess = least.topk(k, largest=False).indices if k > 1 else least.argmin(1, keepdim=True)
        every = torch.arange(len(least), device=least.device)
        rows = every.repeat_interleave(k)
        far = _squared(part, x, rows, guess.flatten()).view(-1, k).amax(1)
        near = _exact(part, x, least <= _reach(far, least)[:, None])
        order = near.squared.argsort(stable=True)
        order = order[near.rows[order].argsort(stable=True)]
        near = Pairs(*(part[order] for part in near))
        first = torch.searchsorted(near.rows, every)
        yield first + k - 1, near._replace(rows=near.rows + start)


def within(y: Points, x: Points, around_y: Tensor, around_x: Tensor) -> Iterator[Pairs]:
    """By blocks: pairs of which one lies within the squared radius, (M,) and (N,), around the
    other, among a few that do not."""
    for start, least in _blocks(y, x):
        part = slice(start, start + len(least))
        wanted = least <= _reach(around_x, least)
        wanted |= least <= _reach(around_y[part], least)[:, None]
        pairs = _exact(y[part], x, wanted)
        yield pairs._replace(rows=pairs.rows + start)


def places(squared: Tensor, radii: Tensor) -> tuple[Tensor, Tensor]:
    """Which squared distances are inside their balls, and which on the edge."""
    inside = squared < radii * (1 - EDGE)
    return inside, ~inside & (squared <= radii * (1 + EDGE))


def _reach(squared: Tensor, least: Tensor) -> Tensor:
    """Up to where `least` may be that of such a distance: in its numbers, which compare faster."""
    return (squared * (1 + 2 * EDGE)).to(least.dtype)


def _blocks(y: Points, x: Points) -> Iterator[tuple[int, Tensor]]:
    """Blocks of rows of a matrix (M, N) that is nowhere above the squared distances, with their
    first row: |s_i - t_j|^2 of sketches as one product, less what rounding may have added."""
    s, t = y.sketches, x.sketches
    s_norm, t_norm = (
        (u.double().square().sum(1, keepdim=True) * (1 - SLACK)).to(u.dtype) for u in (s, t)
    )
    left = torch.cat([-2 * s, s_norm, torch.ones_like(s_norm)], 1)
    right = torch.cat([t, torch.ones_like(t_norm), t_norm], 1).T
    for start in range(0, len(s), size := max(1, HELD // len(t))):
        yield start, left[start : start + size] @ right


def _exact(y: Points, x: Points, wanted: Tensor) -> Pairs:
    """Pairs (P,) that a block (M, N) of truths wants, by row."""
    rows, columns = wanted.nonzero(as_tuple=True)
    if len(rows) * MANY < wanted.numel():
        return Pairs(rows, columns, _squared(y, x, rows, columns))
    return Pairs(rows, columns, _product(y, x)[rows, columns])


def _squared(y: Points, x: Points, rows: Tensor, columns: Tensor) -> Tensor:
    """|y_i - x_j|^2 of pairs (P,), one by one, float64: 0 for copies."""
    size = max(1, HELD // 8 // y.features.shape[1])
    return torch.cat(
        [
            (y.features[i].double() - x.features[j]).square().sum(1)
            for i, j in zip(rows.split(size), columns.split(size), strict=True)
        ]
    )


def _product(y: Points, x: Points) -> Tensor:
    """|y_i - x_j|^2 = |y_i|^2 + |x_j|^2 - 2 y_i'x_j of all pairs (M, N), float64: 0 for copies, as
    what is lost in rounding is 0."""
    rounding = len(x.centre) * torch.finfo(torch.float64).eps
    scale = y.length[:, None] + x.length
    squared = torch.addmm(scale, y.centred, x.centred.T, alpha=-2)
    return squared.masked_fill_(squared < rounding * scale, 0)
