"""Neighbours found through sketches are those of all pairs, with the same distances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from ebmrepro.metrics import distances
from ebmrepro.metrics.distances import Points, nearest, neighbours, within

RNG = np.random.default_rng(0)
WIDE = RNG.normal(size=(20, 300)) ** 3
SETS = {  # (N, K): of low rank and noise, with nothing to gain, in float32, narrow, all one, tied
    "low rank": RNG.normal(size=(400, 20)) @ WIDE + RNG.normal(size=(400, 300)),
    "flat": RNG.normal(size=(400, 300)) + 30,
    "float32": (RNG.normal(size=(400, 20)) @ WIDE).astype(np.float32),
    "narrow": RNG.normal(size=(400, 3)),
    "all one": np.repeat(RNG.normal(size=(1, 300)), 90, axis=0),
    "a lattice": RNG.integers(0, 2, (300, 9)).astype(np.float64),
    "few": RNG.normal(size=(5, 300)),
}


@pytest.fixture(params=SETS)
def x(request: pytest.FixtureRequest) -> np.ndarray:
    return SETS[request.param]


@pytest.fixture(params=[2**22, 900], ids=["one block", "blocks"])
def _held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "HELD", request.param)


def others(x: np.ndarray) -> np.ndarray:
    """Some near, some copies, some far away."""
    rng = np.random.default_rng(1)
    near = x[:40] + rng.normal(size=x[:40].shape).astype(x.dtype) / 10
    return np.concatenate([near, x[:3], 50 * near[:3]])


def test_features_stay_as_they_are(x: np.ndarray):
    before = x.copy()
    points = Points.of(x)
    nearest(points.beside(x), points)
    assert np.array_equal(x, before)


@pytest.mark.usefixtures("_held")
def test_the_nearest_is_that_of_all_pairs(x: np.ndarray):
    points, y = Points.of(x), others(x)
    squared, places = nearest(points.beside(y), points)
    every = cdist(y.astype(float), x.astype(float), "sqeuclidean")
    assert squared.numpy() == pytest.approx(every.min(axis=1), rel=1e-9, abs=1e-9)
    assert every[np.arange(len(y)), places] == pytest.approx(every.min(axis=1))
    copies = slice(min(40, len(x)), min(40, len(x)) + 3)
    assert (squared.numpy()[copies] == 0).all()  # exactly: authenticity asks whether it is 0
    first = (x == y[copies][:, None]).all(axis=2).argmax(axis=1)
    assert places.numpy()[copies].tolist() == first.tolist()


@pytest.mark.usefixtures("_held")
@pytest.mark.parametrize("k", [1, 3])
def test_neighbours_of_each_other_are_those_of_all_pairs(x: np.ndarray, k: int):
    every = cdist(x.astype(float), x.astype(float), "sqeuclidean")
    np.fill_diagonal(every, np.inf)
    kth, seen = np.sort(every, axis=1)[:, k - 1], 0
    for at, near in neighbours(Points.of(x), k):
        rows = near.rows[at].numpy()
        assert rows.tolist() == list(range(seen, seen := seen + len(rows)))
        assert near.squared[at].numpy() == pytest.approx(kth[rows], rel=1e-9, abs=1e-9)
        assert (near.rows != near.columns).all()
        for row in rows:  # none is lost that ties with the k-th
            mine = near.squared[near.rows == row] <= kth[row] * (1 + 1e-9) + 1e-9
            assert mine.sum() == (every[row] <= kth[row] * (1 + 1e-9) + 1e-9).sum()
    assert seen == len(x)


@pytest.mark.usefixtures("_held")
def test_pairs_within_radii_are_those_of_all_pairs(x: np.ndarray):
    points, y = Points.of(x), others(x)
    every = cdist(y.astype(float), x.astype(float), "sqeuclidean")
    radii = [torch.tensor(np.quantile(every, 0.01, axis=axis)) for axis in (1, 0)]
    wanted = (every <= radii[0].numpy()[:, None]) | (every <= radii[1].numpy())
    found = np.full(every.shape, np.nan)
    for rows, columns, squared in within(points.beside(y), points, *radii):
        assert np.isnan(found[rows, columns]).all()  # none twice
        found[rows, columns] = squared
    known = ~np.isnan(found)
    assert known[wanted].all()
    assert found[known] == pytest.approx(every[known], rel=1e-9, abs=1e-9)


def test_no_sketches_are_further_apart_than_their_points(x: np.ndarray):
    points, y = Points.of(x), others(x)
    every = cdist(y.astype(float), x.astype(float), "sqeuclidean")
    blocks = distances._blocks(points.beside(y), points)
    least = torch.cat([block for _, block in blocks]).double().numpy()
    assert (least <= every).all()


def test_a_few_thousand_points_are_compared_in_few_blocks():
    """One product of millions of numbers is faster than thousands of products of few."""
    points = Points.of(RNG.normal(size=(2000, 3)))
    assert len(list(distances._blocks(points, points))) == 1
    assert len(list(distances._blocks(points, points[:1500]))) == 1


def test_main_axes_leave_few_pairs_of_many(monkeypatch: pytest.MonkeyPatch):
    """Of low rank, distances are taken of one pair in a hundred, and never of whole blocks."""
    x, looked_at = SETS["low rank"], []
    squared = distances._squared
    monkeypatch.setattr(distances, "_product", None)
    monkeypatch.setattr(
        distances, "_squared", lambda *of: looked_at.append(len(of[2])) or squared(*of)
    )
    points = Points.of(x)
    nearest(points.beside(others(x)), points)
    assert sum(looked_at) < 46 * 400 / 100
