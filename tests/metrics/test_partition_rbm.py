"""Partition functions of RBMs: in closed form, by enumeration, and by AIS against both."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from binary import states

from ebmrepro.methods.rbm import AIS, Rung
from ebmrepro.metrics import ais, likelihood, partition_rbm
from ebmrepro.networks.energies import RBM


def rbm(visible: int, hidden: int, std: float, seed: int = 0) -> RBM:
    torch.manual_seed(seed)
    model = RBM(visible, hidden, std)
    with torch.no_grad():
        model.b.normal_()
        model.c.normal_()
    return model


@torch.no_grad()
def brute_force(model: RBM) -> float:
    """log of the sum over all v and all h of exp(-E(v, h)), pair by pair."""
    v, h = states(model.b.numel()).double(), states(model.c.numel()).double()
    W, b, c = model.W.double(), model.b.double(), model.c.double()
    return (v @ W @ h.T + (v @ b)[:, None] + h @ c).logsumexp((0, 1)).item()


def path(model: RBM, chains: int, seed: int = 0) -> partition_rbm.FromBaseRates:
    base = torch.linspace(-1, 1, model.b.numel())
    draws = torch.Generator().manual_seed(seed)
    return partition_rbm.FromBaseRates(model, base, chains, draws)


def linear(steps: int, chains: int = 100) -> AIS:
    return schedule((1.0, 1 / steps), chains=chains)


def schedule(*rungs: tuple[float, float], chains: int = 100) -> AIS:
    found = [Rung(up_to=top, step=step) for top, step in rungs]
    return AIS(chains=chains, base_counts=None, burn_in=400, temperatures=found)


def test_enumerating_hidden_states_is_enumerating_all_pairs_of_states():
    for visible, hidden in ((5, 4), (3, 10), (7, 1)):
        model = rbm(visible, hidden, 1.0)
        assert partition_rbm.exact_log_z(model) == pytest.approx(brute_force(model), abs=1e-9)


def test_more_hidden_units_than_can_be_enumerated_are_refused():
    with pytest.raises(ValueError, match="found 21; at most 20"):
        partition_rbm.exact_log_z(RBM(2, 21, 0.1))


def test_without_weights_log_z_has_a_closed_form_and_ais_finds_it_without_error():
    """log Z = H log 2 + sum_i log(1 + exp(b_i)) at W = 0 and c = 0; biases equal: all weights 1."""
    model = RBM(4, 6, std=1.0)
    with torch.no_grad():
        model.W.zero_()
        model.b.copy_(torch.tensor([0.0, 1.0, -2.0, 0.5]))
    closed = 6 * math.log(2) + sum(math.log(1 + math.exp(b)) for b in (0.0, 1.0, -2.0, 0.5))
    assert partition_rbm.exact_log_z(model) == pytest.approx(closed, abs=1e-9)
    same = partition_rbm.FromBaseRates(model, model.b.detach(), 10, torch.Generator())
    assert same.log_z_0 == pytest.approx(closed, abs=1e-6)
    weights = ais.log_weights(same, linear(5).betas)
    torch.testing.assert_close(weights, torch.zeros(10, dtype=torch.float64), atol=1e-6, rtol=0)


def test_the_path_leads_from_independent_units_to_the_rbm():
    model, v = rbm(6, 3, 1.0), states(6)
    annealed = path(model, 1)
    state = annealed._state(v).detach()
    with torch.no_grad():
        torch.testing.assert_close(annealed.log_f(state, 1.0).float(), -model(v))
    of_base = annealed.log_f(state, 0.0).logsumexp(0).item()
    assert of_base == pytest.approx(annealed.log_z_0, abs=1e-5)


def test_a_move_leaves_the_distribution_of_its_temperature_as_it_is():
    model, beta, n = rbm(3, 2, 1.5), 0.6, 40_000
    annealed = path(model, n)
    p = annealed.log_f(annealed._state(states(3)).detach(), beta).softmax(0)
    which = torch.multinomial(p, n, replacement=True, generator=annealed.draws)
    moved = annealed.move(annealed._state(states(3)[which]).detach(), beta)[:, :3]
    found = (moved @ torch.tensor([4.0, 2.0, 1.0])).long().bincount(minlength=8) / n
    assert (found - p).abs().max() < 5 * math.sqrt(0.25 / n)


def test_the_interval_of_ais_holds_the_exact_log_z_in_at_least_95_of_100_trials():
    """Three standard errors, on RBMs of several strengths of weights."""
    for std in (0.3, 1.0):
        model = rbm(16, 8, std)
        base = torch.zeros(16)
        exact = partition_rbm.exact_log_z(model)
        draws = torch.Generator().manual_seed(1)
        found = likelihood.against_exact(model, base, linear(100), 100, exact, draws)
        assert found["ais_trials"] == 100
        assert found["ais_within"] >= 0.95, std
        assert abs(found["ais_error"]) < 0.1


def test_trials_that_miss_are_counted_as_missing():
    model, draws = rbm(16, 8, 1.0), torch.Generator().manual_seed(1)
    wrong = partition_rbm.exact_log_z(model) + 5
    found = likelihood.against_exact(model, torch.zeros(16), linear(50, 20), 5, wrong, draws)
    assert found["ais_within"] == 0
    assert found["ais_error"] == pytest.approx(-5, abs=1)


def test_an_interval_adds_its_errors_before_it_takes_the_logarithm():
    weights = torch.tensor([1.0, 3.0], dtype=torch.float64).log()
    found = ais.estimate_within(weights, 10.0, 5, errors=1)
    # mean 2, standard deviation sqrt(2), standard error 1
    assert found.log_z == pytest.approx(10 + math.log(2))
    assert (found.low, found.high) == pytest.approx((10 + math.log(1), 10 + math.log(3)))
    assert found.effective == pytest.approx(16 / 10)
    assert ais.estimate_within(weights, 10.0, 5, errors=3).low == -math.inf


def test_base_rates_are_the_log_odds_of_each_pixel_and_none_is_impossible():
    v = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(
        partition_rbm.base_rates(v), torch.tensor([3 / 1, 1 / 3]).log(), atol=1e-6, rtol=0
    )


def test_the_authors_base_rates_have_five_counts_more_for_every_hundred_cases():
    """base_rate.m: p = (count + 5 B) / (100 B + 5 B) of B batches of 100."""
    v = torch.zeros(200, 3)
    v[:50, 1], v[:, 2] = 1, 1
    found = partition_rbm.base_rates(v, 5.0)
    torch.testing.assert_close(found[:2].sigmoid(), torch.tensor([10 / 210, 60 / 210]))
    assert found[2].isfinite(), "a unit that is always on has a base rate that AIS can start from"


def test_going_back_from_exact_draws_the_mean_weight_is_one_over_the_ratio_of_z():
    """E[w] = Z_0 / Z_1, whatever the number of temperatures: here three."""
    model = rbm(4, 3, 1.0)
    annealed = path(model, 200_000)
    p = annealed.log_f(annealed._state(states(4)).detach(), 1.0).softmax(0)
    which = torch.multinomial(p, annealed.chains, replacement=True, generator=annealed.draws)
    x = annealed._state(states(4)[which]).detach()
    weights = ais.reverse_log_weights(annealed, [0.0, 0.5, 1.0], x)
    found = ais.reversed_within(weights, annealed.log_z_0, 3, 3)
    assert found.log_z == pytest.approx(partition_rbm.exact_log_z(model), abs=0.02)
    assert found.low < partition_rbm.exact_log_z(model) < found.high


def test_an_interval_from_above_is_that_of_the_mean_weight_upside_down():
    weights = torch.tensor([1.0, 3.0], dtype=torch.float64).log()
    found = ais.reversed_within(weights, 10.0, 5, errors=1)  # mean 2, standard error 1
    assert found.log_z == pytest.approx(10 - math.log(2))
    assert (found.low, found.high) == pytest.approx((10 - math.log(3), 10 - math.log(1)))
    assert ais.reversed_within(weights, 10.0, 5, errors=3).high == math.inf


@pytest.mark.parametrize(("hidden", "std", "seed"), [(6, 0.5, 0), (12, 1.0, 1), (16, 0.7, 2)])
def test_the_two_directions_hold_the_exact_log_z_between_them_within_a_tenth_of_a_nat(
    hidden: int, std: float, seed: int
):
    model, draws = rbm(16, hidden, std, seed), torch.Generator().manual_seed(seed)
    base, asked = torch.zeros(16), linear(1000)
    (below,) = likelihood._estimates(model, base, asked, 1, draws)
    images = torch.ones(50, 16)  # where half of the chains start
    found = likelihood.from_above(model, base, images, asked, below, draws)
    assert below.low <= partition_rbm.exact_log_z(model) <= found["log_z_above_high"]
    assert abs(found["log_z_gap"]) < 0.1
    assert found["r_hat"] < 1.05 and 1 <= found["ais_effective_above"] <= 100


def test_chains_that_cannot_leave_a_mode_show_in_r_hat():
    """Two modes, all off and all on, that Gibbs sampling does not pass between in 400 steps."""
    model = RBM(20, 1, 0.0)
    with torch.no_grad():
        model.W.fill_(8.0)
        model.b.fill_(-4.0)
        model.c.fill_(-70.0)  # not -80: then the modes would have the same F
    base, draws = torch.full((20,), -4.0), torch.Generator().manual_seed(0)
    below = ais.Estimate(0.0, 0.0, 0.0, 1.0, 100, 11)
    found = likelihood.from_above(model, base, torch.ones(50, 20), linear(10), below, draws)
    assert found["r_hat"] > 1.1


def test_the_authors_schedule_is_three_rungs_of_14_501_temperatures():
    betas = schedule((0.5, 1e-3), (0.9, 1e-4), (1.0, 1e-5)).betas
    assert len(betas) == 1 + 500 + 4000 + 10_000
    assert (betas[0], betas[500], betas[4500], betas[-1]) == (0.0, 0.5, 0.9, 1.0)
    assert betas[501] - betas[500] == pytest.approx(1e-4)
    assert all(a < b for a, b in itertools.pairwise(betas))


@pytest.mark.parametrize(
    ("rungs", "message"),
    [
        ([(0.5, 0.1)], "found 0.5 at the end; the last up_to is 1"),
        ([(1.0, 0.3)], "a whole number of steps should fit"),
        ([(0.5, 0.1), (0.5, 0.1), (1.0, 0.1)], "found up_to 0.5 after 0.5"),
    ],
)
def test_a_schedule_that_does_not_lead_to_one_is_refused(rungs: list, message: str):
    with pytest.raises(ValueError, match=message):
        schedule(*rungs)
