"""How real and generated points lie in one another's balls, counted in one pass over their pairs:
precision and recall, density and coverage."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch

from ebmrepro.metrics import checks
from ebmrepro.metrics.balls import Balls, balls
from ebmrepro.metrics.checks import Matrix
from ebmrepro.metrics.distances import Points, places, within
from ebmrepro.metrics.features import Features


class Meeting(NamedTuple):
    precision: float  # share of fakes in a ball of a real point
    recall: float  # share of real points in a ball of a fake; 0 where there are k fakes or fewer
    density: float  # what real points' balls count of a fake, over k: mean
    coverage: float  # share of real points that have a fake inside their ball, or are equal to one


def of_arrays(real: Matrix, fake: Matrix, k: int) -> Meeting:
    """Of features (N, K), k < N, and (M, K)."""
    x = Points.of(real)
    return _meet(x, x.beside(fake), balls(x, k))


@lru_cache(maxsize=1)  # for two files: what they measure comes of one pass
def between(real: Features, fake: Features, k: int) -> Meeting:
    y = checks.features("fake features", fake.features)
    around = real.around if real.around and real.around.k == k else balls(real.points, k)
    return _meet(real.points, real.points.beside(y), around)


def _meet(x: Points, y: Points, real: Balls) -> Meeting:
    where = x.features.device
    radii, at_edge = (torch.from_numpy(part).to(where) for part in real[1:])
    if len(y) > real.k:
        own = torch.from_numpy(balls(y, real.k).radii).to(where)
    else:
        own = torch.full((len(y),), -1.0, dtype=torch.float64, device=where)
    on_real = torch.zeros(len(y), dtype=torch.bool, device=where)
    on_fake, covered = (torch.zeros(len(x), dtype=torch.bool, device=where) for _ in range(2))
    held = torch.zeros((), dtype=torch.float64, device=where)
    for rows, columns, squared in within(y, x, own, radii):
        inside, edge = places(squared, radii[columns])
        held += inside.sum() + at_edge[columns[edge]].sum()
        on_real[rows[inside | edge]] = True
        covered[columns[inside | (squared == 0)]] = True
        on_fake[columns[torch.stack(places(squared, own[rows])).any(0)]] = True
    shares = (part.double().mean().item() for part in (on_real, on_fake, covered))
    precision, recall, coverage = shares
    return Meeting(precision, recall, held.item() / (real.k * len(y)), coverage)
