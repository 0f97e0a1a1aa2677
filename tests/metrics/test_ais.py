"""Annealed importance sampling against partition functions that are known."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ebmrepro.metrics import ais
from ebmrepro.networks.energies import RBM
from ebmrepro.networks.samplers import Draws

BETAS = [i / 99 for i in range(100)]


class Annealed:
    """An RBM's p(v) with its weights scaled by beta; at beta = 0 its units are independent."""

    def __init__(self, rbm: RBM, chains: int):
        self.rbm, self.chains = rbm, chains

    @property
    def log_z_0(self) -> float:
        """H log 2 + sum_i log(1 + exp(b_i)), with c = 0 at beta = 0."""
        return len(self.rbm.c) * math.log(2) + F.softplus(self.rbm.b).sum().item()

    def start(self) -> Tensor:
        return torch.bernoulli(torch.sigmoid(self.rbm.b).expand(self.chains, -1))

    @torch.no_grad()
    def log_f(self, x: Tensor, beta: float) -> Tensor:
        return -self.rbm.free_energy(x, beta * (x @ self.rbm.W + self.rbm.c))

    @torch.no_grad()
    def move(self, x: Tensor, beta: float) -> Tensor:
        h = torch.bernoulli(torch.sigmoid(beta * (x @ self.rbm.W + self.rbm.c)))
        return torch.bernoulli(torch.sigmoid(beta * (h @ self.rbm.W.T) + self.rbm.b))


def rbm(std: float) -> RBM:
    model = RBM(10, 6, std)
    with torch.no_grad():
        model.b.copy_(torch.linspace(-1, 1, 10))
        model.c.copy_(torch.linspace(1, -1, 6))
    return model


@torch.no_grad()
def enumerated(model: RBM) -> float:
    states = torch.tensor(list(itertools.product([0.0, 1.0], repeat=10)))
    return (-model(states).double()).logsumexp(0).item()


def test_log_z_of_an_rbm_is_its_enumeration():
    model = rbm(0.8)
    path = Annealed(model, 400)
    found = ais.estimate(ais.log_weights(path, BETAS), path.log_z_0, len(BETAS))
    assert found.log_z == pytest.approx(enumerated(model), abs=0.1)
    assert abs(path.log_z_0 - enumerated(model)) > 1  # where it began is not where it ended
    assert found.low < found.log_z < found.high < found.log_z + 0.2
    assert 1 <= found.effective <= found.chains == 400


def test_log_z_is_known_where_the_path_begins():
    """With W = 0 and c = 0 every distribution of the path is the same: no weight, no error."""
    model = rbm(0.0)
    with torch.no_grad():
        model.c.zero_()
    path = Annealed(model, 20)
    found = ais.estimate(ais.log_weights(path, BETAS), path.log_z_0, len(BETAS))
    assert found.log_z == pytest.approx(enumerated(model), abs=1e-5)
    assert found.high - found.low == pytest.approx(0, abs=1e-5)
    assert found.effective == pytest.approx(20)


@pytest.mark.parametrize(("dimension", "start"), [(1, 1.0), (3, 1.0), (2, 0.7), (2, 1.6)])
def test_log_z_of_a_gaussian_is_its_closed_form(dimension: int, start: float):
    """From Gaussians of several deviations, `start`."""
    sd = 0.5
    path = ais.FromGaussian(
        lambda x: x.square().sum(-1) / (2 * sd**2), Draws([0]), 400, dimension, start, 0.1
    )
    found = ais.estimate(ais.log_weights(path, BETAS)[0], path.log_z_0, len(BETAS))
    truth = dimension / 2 * math.log(2 * math.pi * sd**2)
    assert found.log_z == pytest.approx(truth, abs=0.1)
    assert found.log_z != pytest.approx(truth, abs=1e-9)


def test_the_interval_is_the_delta_methods_by_hand():
    """Weights 1 and 3: mean 2, s = sqrt(2), so 1.959964 sqrt(2) / (2 sqrt(2)) to either side, and
    (1 + 3)^2 / (1 + 9) chains' worth."""
    found = ais.estimate(torch.tensor([1.0, 3.0], dtype=torch.float64).log(), 5.0, 11)
    assert found.log_z == pytest.approx(5 + math.log(2))
    ends = found.log_z - found.low, found.high - found.log_z
    assert ends == pytest.approx((1.959964 / 2, 1.959964 / 2), rel=1e-6)
    assert found.effective == pytest.approx(1.6)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    energy, log_z = (lambda x: x.square().sum(-1) / 0.5), math.log(math.pi * 0.5)
    path = ais.FromGaussian(energy, Draws(list(range(100))), 100, 2, 1.0, 0.1)
    weights = ais.log_weights(path, [*BETAS[::10], 1.0])
    found = [ais.estimate(row, path.log_z_0, 11) for row in weights]
    assert 90 <= sum(f.low <= log_z <= f.high for f in found) <= 99


def test_few_temperatures_leave_few_effective_chains():
    def effective(count: int) -> float:
        energy = lambda x: x.square().sum(-1) / (2 * 0.1**2)  # noqa: E731
        path = ais.FromGaussian(energy, Draws([0]), 200, 3, 0.5, 0.005)
        betas = [i / (count - 1) for i in range(count)]
        return ais.estimate(ais.log_weights(path, betas)[0], 0.0, count).effective

    assert effective(3) < 20 < 60 < effective(300)


@pytest.mark.parametrize("betas", [[0.0], [0.0, 0.5], [0.1, 1.0], [0.0, 0.5, 0.5, 1.0]])
def test_temperatures_rise_from_zero_to_one(betas: list[float]):
    path = ais.FromGaussian(lambda x: x.square().sum(-1), Draws([0]), 2, 1, 1.0, 0.1)
    with pytest.raises(ValueError, match="rise from 0 to 1"):
        ais.log_weights(path, betas)


def test_chains_move_once_at_each_temperature_between_the_ends_on_both_ways():
    """Neither f_0, which is drawn from, nor the last, after which nothing weighs, has a move."""

    class Counted(Annealed):
        def move(self, x: Tensor, beta: float) -> Tensor:
            moves.append(beta)
            return super().move(x, beta)

    betas, moves = [0.0, 0.25, 0.5, 1.0], []
    path = Counted(rbm(0.1), 5)
    ais.log_weights(path, betas)
    assert moves == [0.25, 0.5]
    moves.clear()
    ais.reverse_log_weights(path, betas, path.start())
    assert moves == [0.5, 0.25]


def test_one_chain_gives_its_weight_and_knows_no_spread():
    found = ais.estimate(torch.tensor([2.5], dtype=torch.float64), 1.0, 11)
    assert (found.log_z, found.low, found.high, found.effective) == (3.5, 3.5, 3.5, 1)
