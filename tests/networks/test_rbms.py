"""Laws of RBMs of every kind of unit: the fast gradient of CD, and the chain that it starts."""

import math

import pytest
import torch
from binary import states

from ebmrepro.methods.rbm import AIS, Rung
from ebmrepro.metrics import ais, likelihood, partition_rbm
from ebmrepro.networks.energies import RBM, GaussianRBM, LabelledRBM, LinearRBM

KINDS = {
    "binary": lambda: RBM(7, 5, std=1.0),
    "linear hidden units": lambda: LinearRBM(7, 5, std=1.0),
    "Gaussian visible units": lambda: GaussianRBM(7, 5, std=1.0),
    "labelled": lambda: LabelledRBM(4, 3, 5, std=1.0),
}


def made(kind: str) -> tuple[RBM, torch.Tensor, torch.Tensor]:
    """An RBM in double precision, and two batches of visible units."""
    torch.manual_seed(0)
    rbm = KINDS[kind]().double()
    with torch.no_grad():
        rbm.b.normal_()
        rbm.c.normal_()
    v, v_k = torch.rand(2, 6, 7, dtype=torch.float64)
    return rbm, v, v_k


@pytest.mark.parametrize("kind", KINDS)
def test_the_contrast_is_the_difference_of_free_energies_and_so_is_its_derivative(kind):
    rbm, v, v_k = made(kind)
    parameters = list(rbm.parameters())
    expected = rbm(v).mean() - rbm(v_k).mean()
    by_autograd = torch.autograd.grad(3 * expected, parameters)  # an outer derivative that is not 1
    contrast = rbm.contrast(v, v_k, rbm.field(v).detach())
    torch.testing.assert_close(contrast, expected)
    torch.testing.assert_close(torch.autograd.grad(3 * contrast, parameters), by_autograd)


def test_batches_of_a_contrast_may_differ_in_size():
    rbm, v, v_k = made("binary")
    by_autograd = torch.autograd.grad(rbm(v).mean() - rbm(v_k[:2]).mean(), rbm.W)
    contrast = rbm.contrast(v, v_k[:2], rbm.field(v).detach())
    torch.testing.assert_close(torch.autograd.grad(contrast, rbm.W), by_autograd)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sample_visible", [False, True])
def test_a_field_that_is_known_changes_nothing_in_a_chain(kind, sample_visible):
    rbm, v, _ = made(kind)
    torch.manual_seed(1)
    alone = rbm.gibbs(v, 3, sample_visible=sample_visible)
    torch.manual_seed(1)
    shared = rbm.gibbs(v, 3, sample_visible=sample_visible, field=rbm.field(v).detach())
    assert torch.equal(alone, shared)


# Gaussian visible units ------------------------------------------------------------------------


def gaussian(visible: int, hidden: int, std: float = 1.0, seed: int = 0) -> GaussianRBM:
    torch.manual_seed(seed)
    rbm = GaussianRBM(visible, hidden, std).double()
    with torch.no_grad():
        rbm.b.normal_()
        rbm.c.normal_()
    return rbm


def by_hand() -> GaussianRBM:
    """Two visible units and one hidden: W = (2, -1), b = (1, 0), c = 0.5."""
    rbm = GaussianRBM(2, 1, std=1.0).double()
    with torch.no_grad():
        rbm.W.copy_(torch.tensor([[2.0], [-1.0]]))
        rbm.b.copy_(torch.tensor([1.0, 0.0]))
        rbm.c.fill_(0.5)
    return rbm


@torch.no_grad()
def test_a_gaussian_rbms_free_energy_and_means_by_hand():
    rbm, v = by_hand(), torch.tensor([[0.0, 2.0]], dtype=torch.float64)
    # E(v, 0) = ((0 - 1)^2 + (2 - 0)^2) / 2 = 2.5; the field of h is 0.5 + 0 * 2 + 2 * (-1) = -1.5
    assert rbm(v).item() == pytest.approx(2.5 - math.log(1 + math.exp(-1.5)))
    assert rbm.up(v).item() == pytest.approx(1 / (1 + math.exp(1.5)))
    on, off = torch.ones(1, 1).double(), torch.zeros(1, 1).double()
    assert rbm.down(on).tolist() == [[3.0, -1.0]]  # b + W, no sigmoid
    assert rbm.down(off).tolist() == [[1.0, 0.0]]


@torch.no_grad()
def test_a_gaussian_rbms_free_energy_sums_over_its_hidden_units():
    rbm, v, h = gaussian(3, 4), torch.randn(5, 3).double(), states(4).double()
    alone = (v - rbm.b).square().sum(1) / 2
    energy = alone[:, None] - v @ rbm.W @ h.T - h @ rbm.c
    torch.testing.assert_close(rbm(v), -(-energy).logsumexp(1))


def test_cd_1_of_a_gaussian_rbm_by_hand(monkeypatch: pytest.MonkeyPatch):
    """v_0 = (0, 2), h drawn as 1, v_1 = its mean (3, -1): dW = <v p>_0 - <v p>_1, without the
    variance, which is 1; db = v_0 - v_1.
    """
    rbm, v = by_hand(), torch.tensor([[0.0, 2.0]], dtype=torch.float64)
    monkeypatch.setattr(rbm, "draw_hidden", lambda field: torch.ones_like(field))
    v_1 = rbm.gibbs(v, 1, sample_visible=False)
    assert v_1.tolist() == [[3.0, -1.0]]
    rbm.contrast(v, v_1, rbm.field(v).detach()).backward()
    p_0, p_1 = 1 / (1 + math.exp(1.5)), 1 / (1 + math.exp(-7.5))  # 0.5 + 3 * 2 + (-1) * (-1) = 7.5
    of_w = torch.tensor([[0 * p_0 - 3 * p_1], [2 * p_0 + 1 * p_1]], dtype=torch.float64)
    torch.testing.assert_close(rbm.W.grad, -of_w)
    torch.testing.assert_close(rbm.b.grad, -torch.tensor([0.0 - 3.0, 2.0 + 1.0]).double())
    torch.testing.assert_close(rbm.c.grad, -torch.tensor([p_0 - p_1]).double())


@torch.no_grad()
def test_a_chain_of_a_gaussian_rbm_has_the_mixtures_moments():
    """p(v) is a mixture of Gaussians N(b + W h, 1), one for each h, of weights log_sum_visible."""
    rbm, h, n = gaussian(2, 2, 0.7), states(2).double(), 40_000
    weights = (h @ rbm.c + rbm.log_sum_visible(h @ rbm.W.T + rbm.b, rbm.b)).softmax(0)
    means = h @ rbm.W.T + rbm.b
    mean = weights @ means
    spread = torch.eye(2) + (weights[:, None] * (means - mean)).T @ (means - mean)
    v = rbm.draw(rbm.gibbs(torch.zeros(n, 2).double(), 60, sample_visible=True))
    torch.testing.assert_close(v.mean(0), mean, atol=0.05, rtol=0)
    torch.testing.assert_close(torch.cov(v.T), spread, atol=0.08, rtol=0)


@torch.no_grad()
def test_a_gaussian_rbms_partition_function_is_its_integral():
    """Of exp(-F) over the plane, here as a sum over a fine grid."""
    rbm = gaussian(2, 3, 0.8)
    axis = torch.linspace(-15, 15, 1201, dtype=torch.float64)
    v = torch.cartesian_prod(axis, axis)
    on_grid = (-rbm(v)).logsumexp(0) + 2 * math.log(axis[1] - axis[0])
    assert partition_rbm.exact_log_z(rbm) == pytest.approx(on_grid.item(), abs=1e-6)


def test_a_gaussian_rbm_without_weights_has_a_closed_log_z_and_ais_finds_it_without_error():
    rbm = GaussianRBM(4, 6, std=1.0)
    with torch.no_grad():
        rbm.W.zero_()
        rbm.b.copy_(torch.tensor([0.0, 1.0, -2.0, 0.5]))
    closed = 6 * math.log(2) + 2 * math.log(2 * math.pi)
    assert partition_rbm.exact_log_z(rbm) == pytest.approx(closed)
    path = partition_rbm.FromBaseRates(rbm, rbm.b.detach(), 10, torch.Generator())
    assert path.log_z_0 == pytest.approx(closed)
    weights = ais.log_weights(path, [0.0, 0.3, 1.0])
    torch.testing.assert_close(weights, torch.zeros(10, dtype=torch.float64), atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_move_towards_a_gaussian_rbm_leaves_the_distribution_of_its_temperature_as_it_is():
    """Its mean, of states that were drawn from it by weights on a grid."""
    rbm, beta, n = gaussian(1, 2, 1.5).float(), 0.6, 100_000
    draws = torch.Generator().manual_seed(0)
    path = partition_rbm.FromBaseRates(rbm, torch.tensor([-1.0]), n, draws)
    grid = torch.linspace(-12, 12, 2401)[:, None]
    p = path.log_f(path._state(grid), beta).softmax(0)
    start = grid[torch.multinomial(p, n, replacement=True, generator=draws)]
    moved = path.move(path._state(start), beta)[:, 0].double()
    mean = (p @ grid.double()).item()
    spread = (p @ (grid.double() - mean).square()).item()
    assert moved.mean().item() == pytest.approx(mean, abs=5 * math.sqrt(spread / n))
    assert moved.var().item() == pytest.approx(spread, rel=0.03)


@pytest.mark.parametrize("std", [0.2, 0.6])
def test_ais_from_a_gaussian_holds_the_exact_log_z_in_at_least_95_of_100_trials(std: float):
    rbm = gaussian(12, 8, std).float()
    rungs = [Rung(up_to=1.0, step=1 / 200)]
    asked = AIS(chains=100, base_counts=None, burn_in=8, temperatures=rungs)
    exact, draws = partition_rbm.exact_log_z(rbm), torch.Generator().manual_seed(1)
    with torch.no_grad():
        found = likelihood.against_exact(rbm, torch.zeros(12), asked, 100, exact, draws)
    assert found["ais_within"] >= 0.95
    assert abs(found["ais_error"]) < 0.1
