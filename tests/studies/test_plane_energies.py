"""What holds for any energy: samplers, Z on a grid, ratios. Exact where something is exact."""

from __future__ import annotations

import math

import pytest
import torch

from ebmrepro.networks import samplers
from ebmrepro.networks.samplers import Draws
from ebmrepro.studies.plane import partition
from ebmrepro.studies.plane.exact import Exact, total_variation
from ebmrepro.studies.plane.partition import Grid


def gaussian(sd: float):
    return lambda x: x.square().sum(-1) / (2 * sd**2)


def tilted(x: torch.Tensor) -> torch.Tensor:
    """Two valleys of unequal depth, a walk of a moment apart."""
    u, v = x[..., 0], x[..., 1]
    return (u.square() - 1).square() + 0.5 * u + v.square() / 0.5


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
def test_z_by_grid_is_a_gaussians_closed_form(dimension: int):
    found = partition.log_z(gaussian(0.7), Grid(4.0, 16, dimension)).item()
    assert found == pytest.approx(dimension / 2 * math.log(2 * math.pi * 0.49), abs=1e-5)


def test_a_coarse_grid_is_wrong_and_a_finer_one_better():
    log_z = math.log(2 * math.pi * 0.04)
    errors = [
        abs(partition.log_z(gaussian(0.2), Grid(4.0, k, 2)).item() - log_z) for k in (10, 20, 40)
    ]
    assert errors[0] > 0.1 and errors[0] > 10 * errors[1] > 100 * errors[2]


def test_a_grid_in_parts_is_the_grid(monkeypatch: pytest.MonkeyPatch):
    grid = Grid(2.0, 5, 3)
    whole, log_z = grid.points(), partition.log_z(gaussian(0.5), grid)
    assert whole.unique(dim=0).shape == (125, 3)
    monkeypatch.setattr(partition, "CHUNK", 7)
    assert torch.equal(grid.points(), whole)
    assert partition.log_z(gaussian(0.5), grid).item() == pytest.approx(log_z.item(), abs=1e-12)


def distance(sampler: object, step: float, moves: int) -> float:
    """Total variation between 4,000 chains of `tilted`, from noise, and its density on a grid."""
    grid = Grid(4.0, 64, 2)
    mass = (-tilted(grid.points()).double()).softmax(0)[None]
    draws = Draws([0])
    chain = sampler(tilted, 4 * draws.uniform(4000, 2) - 2, step, draws)  # type: ignore[operator]
    return total_variation(samplers.after(moves, chain), mass, grid, 16).item()


def test_langevin_ends_within_a_twentieth_of_the_grid_density():
    assert distance(samplers.langevin, 0.02, 300) < 0.05


def test_langevin_with_long_steps_does_not():
    assert distance(samplers.langevin, 0.13, 300) > 0.07


def test_a_sampler_with_half_the_noise_does_not():
    def cold(energy, x, step, draws):  # type: ignore[no-untyped-def]
        return samplers.langevin(lambda y: 2 * energy(y), x, step, draws)

    assert distance(cold, 0.02, 300) > 0.15


def test_mala_is_right_with_the_same_long_steps():
    assert distance(samplers.mala, 0.13, 300) < 0.05


def test_mala_leaves_a_gaussian_invariant_and_langevin_does_not():
    draws, sd, step = Draws([1]), 0.5, 0.2
    x = sd * draws.normal(20_000, 1)
    corrected = samplers.after(30, samplers.mala(gaussian(sd), x, step, draws))
    biased = samplers.after(30, samplers.langevin(gaussian(sd), x, step, draws))
    assert corrected.std().item() == pytest.approx(sd, rel=0.02)
    assert biased.std().item() == pytest.approx(sd / (1 - step / (2 * sd**2)) ** 0.5, rel=0.02)


def test_descent_ends_at_the_bottom():
    x = torch.tensor([[[3.0, -2.0], [0.1, 0.1]]])
    assert samplers.after(200, samplers.descend(gaussian(1.0), x, 0.1)).abs().max() < 1e-6


def test_a_member_draws_the_same_alone_and_in_company():
    together, alone = Draws([3, 4]), Draws([4])
    for shape in ((5,), (2, 3)):
        assert torch.equal(together.normal(*shape)[1], alone.normal(*shape)[0])
        assert torch.equal(together.uniform(*shape)[1], alone.uniform(*shape)[0])
        assert torch.equal(together.indices(9, *shape)[1], alone.indices(9, *shape)[0])


def test_after_counts_moves():
    assert samplers.after(3, iter(torch.arange(4))) == 2


def test_kl_is_zero_for_the_density_itself_and_positive_for_others():
    exact = Exact(Grid(4.0, 32, 2), lambda x: -gaussian(0.6)(x)[None])
    same = exact.kl(exact.energies(lambda x: gaussian(0.6)(x)[None] + 7))
    assert same.item() == pytest.approx(0, abs=1e-9)
    wide = exact.kl(exact.energies(lambda x: gaussian(0.8)(x)[None])).item()
    r = 0.36 / 0.64
    assert wide == pytest.approx(r - 1 - math.log(r), abs=1e-4)  # two Gaussians of two dimensions


def test_exact_draws_are_nearer_than_those_of_another_density():
    exact = Exact(Grid(4.0, 32, 2), lambda x: -gaussian(0.6)(x)[None])
    energies = exact.energies(lambda x: gaussian(0.6)(x)[None])
    points = exact.draw(energies, 5000, Draws([0]))
    near = total_variation(points, exact.p, exact.grid, 16).item()
    far = total_variation(1.3 * points, exact.p, exact.grid, 16).item()
    assert near < 0.05 < 0.15 < far
    assert total_variation(points + 100, exact.p, exact.grid, 16).item() == pytest.approx(
        1, abs=0.01
    )
