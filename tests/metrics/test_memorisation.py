"""A generator that copies its training images is told from one that has learnt."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu

from ebmrepro.metrics import memorisation
from ebmrepro.metrics.density_coverage import density_coverage
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.memorisation import authenticity, copying


def test_authenticity_by_hand():
    """On a line: training at 0, 1, 10. 0.4 is nearer to 0 than 1 is; 2.5 is further from 1 than 0
    is; 10 is a copy; 25 is further from 10 than 1 is."""
    seen = np.array([[0.0], [1.0], [10.0]])
    assert authenticity(seen, [[0.4], [2.5], [10.0], [25.0]]) == 0.5
    assert authenticity(seen, seen) == 0


def test_copying_is_the_mann_whitney_z_of_nearest_distances():
    rng = np.random.default_rng(0)
    seen, held_out, fake = (rng.normal(size=(n, 3)) for n in (60, 40, 50))

    def nearest(x: np.ndarray) -> np.ndarray:
        return np.linalg.norm(x[:, None] - seen[None], axis=2).min(axis=1)

    u = mannwhitneyu(nearest(fake), nearest(held_out)).statistic
    expected = (u - 50 * 40 / 2) / np.sqrt(50 * 40 * (50 + 40 + 1) / 12)
    assert copying(seen, held_out, fake) == pytest.approx(expected)
    assert copying(seen, held_out, held_out) == 0
    assert copying(seen, held_out, seen[:50]) < -8


def prdc(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float]:
    """Density and coverage as the authors' package computes them: distances, not their squares."""
    among = np.sort(np.linalg.norm(real[:, None] - real[None], axis=2), axis=1)[:, k]
    between = np.linalg.norm(real[:, None] - fake[None], axis=2)
    density = (between < among[:, None]).sum(axis=0).mean() / k
    return float(density), float((between.min(axis=1) < among).mean())


def test_density_and_coverage_are_those_of_prdc_where_no_distance_is_tied():
    rng = np.random.default_rng(1)
    for n, m, k in ((30, 40, 3), (50, 20, 5)):
        real, fake = rng.normal(size=(n, 4)), rng.normal(0.3, 1.2, size=(m, 4))
        assert density_coverage(real, fake, k) == pytest.approx(prdc(real, fake, k))


def test_a_copy_of_repeated_images_covers_them_where_prdc_says_0():
    real = np.repeat([[0.0, 1.0], [5.0, 5.0]], 4, axis=0)
    assert density_coverage(real, real[:4], 3) == (4 / 3, 0.5)
    assert prdc(real, real[:4], 3) == (0.0, 0.0)


def measured(seen: np.ndarray, real: np.ndarray, fake: np.ndarray):
    none = np.empty((0, 0), dtype=np.float32)
    parts = (Features("dbn", x.astype(np.float32), none) for x in (seen, real, fake))
    return memorisation.of_training(*parts, settings=None)  # type: ignore[arg-type]


def test_a_network_that_was_trained_to_copy_twenty_images_is_flagged_and_fair_draws_are_not():
    """A decoder of 20 free codes, fitted until it gives the images back, against new draws of the
    density that they came from."""
    rng = np.random.default_rng(2)
    seen, real, fair = (rng.normal(size=(n, 16)).astype(np.float32) for n in (20, 200, 200))
    images = torch.from_numpy(seen)
    codes = torch.randn(20, 8, requires_grad=True)
    decoder = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.Tanh(), torch.nn.Linear(64, 16))
    adam = torch.optim.Adam([codes, *decoder.parameters()], lr=0.01)
    start = loss = (decoder(codes) - images).square().mean()
    for _ in range(1500):
        loss = (decoder(codes) - images).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss.item() < start.item() / 100
    with torch.no_grad():
        copies = decoder(codes[torch.randint(0, 20, (200,))]).numpy()
    found = measured(seen, real, copies)
    assert found.flags["authenticity_dbn"] == "sits with copies of the training images"
    assert found.values["copying_dbn"] < -10
    honest = measured(seen, real, fair)
    assert honest.flags["authenticity_dbn"] is None
    assert abs(honest.values["copying_dbn"]) < 3
