"""Log-likelihoods of RBMs, and of stacks their lower bound, where everything can be enumerated."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from binary import states

from ebmrepro.methods.rbm import AIS, Likelihoods, Rung
from ebmrepro.metrics import likelihood, partition_rbm
from ebmrepro.networks.energies import RBM

RUNGS = [Rung(up_to=0.5, step=0.02), Rung(up_to=1.0, step=0.005)]
SETTINGS = AIS(chains=100, base_counts=None, burn_in=300, temperatures=RUNGS)
ASKED = Likelihoods(seed=3, train=50, posterior=200, ais=SETTINGS, trials=5)


def stack(*widths: int) -> list[RBM]:
    torch.manual_seed(1)
    found = [RBM(*pair, 1.0) for pair in itertools.pairwise(widths)]
    for rbm in found:
        with torch.no_grad():
            rbm.b.normal_()
            rbm.c.normal_()
    return found


@torch.no_grad()
def log_p(models: list[RBM], v: torch.Tensor) -> torch.Tensor:
    """Exact log p(v) of a stack of two: the sum over h of p(v | h) p_top(h)."""
    first, top = models
    h = states(first.c.numel())
    log_prior = -top(h).double() - partition_rbm.exact_log_z(top)
    down = (h @ first.W.T + first.b).double()
    log_v_given_h = v.double() @ down.T - torch.nn.functional.softplus(down).sum(1)
    return (log_v_given_h + log_prior).logsumexp(1)


def test_the_exact_likelihood_of_a_tiny_stack_sums_to_one():
    assert log_p(stack(5, 4, 3), states(5)).exp().sum().item() == pytest.approx(1)


def test_the_bound_is_the_expectation_over_the_posterior_and_below_the_exact_likelihood():
    models, v = stack(5, 4, 3), states(5)
    exact, z = log_p(models, v), partition_rbm.exact_log_z(models[1])
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        sampled = likelihood.log_p_star(models, v, 4000, draws) - z
        # E_q[log p(v | h) + log p*(h) - log q(h | v)] over all h, by hand.
        first, top = models
        h, q = states(4), first.up(v)
        log_q = (q.log() @ h.T + (1 - q).log() @ (1 - h).T).double()
        down = h @ first.W.T + first.b
        log_v = (v @ down.T - torch.nn.functional.softplus(down).sum(1)).double()
        bound = (log_q.exp() * (log_v - top(h).double() - log_q)).sum(1) - z
    torch.testing.assert_close(sampled, bound, atol=0.15, rtol=0)
    assert (bound < exact).all()
    assert (exact - bound).max() > 0.05, "a bound that is never loose tests nothing"


def test_a_second_layer_that_is_the_first_one_upside_down_changes_nothing():
    """Then p_top(h) is the first RBM's own prior and q its posterior: the bound is tight."""
    first = stack(5, 4)[0]
    top = RBM(4, 5, 1.0)
    with torch.no_grad():
        top.W.copy_(first.W.T)
        top.b.copy_(first.c)
        top.c.copy_(first.b)
        v, draws = states(5), torch.Generator().manual_seed(0)
        of_two = likelihood.log_p_star([first, top], v, 4000, draws)
    exact = -first(v).detach().double()
    torch.testing.assert_close(of_two, exact, atol=0.15, rtol=0)


def images(n: int = 60, pixels: int = 6) -> dict[str, torch.Tensor]:
    torch.manual_seed(2)
    return {"train": torch.rand(n, pixels), "test": torch.rand(n, pixels)}


def test_an_rbms_likelihood_agrees_with_enumeration_and_its_interval_is_that_of_log_z():
    models = stack(6, 4)
    found = likelihood.measure(models, images(), ASKED)
    assert found["log_z_low"] < found["log_z_exact"] < found["log_z_high"]
    assert found["log_likelihood_low"] < found["log_likelihood_exact"]
    assert found["log_likelihood_exact"] < found["log_likelihood_high"]
    width = found["log_z_high"] - found["log_z_low"]
    assert found["log_likelihood_high"] - found["log_likelihood_low"] == pytest.approx(width)
    assert found["log_z_low"] < found["log_z_exact"] < found["log_z_above_high"]
    assert abs(found["log_z_gap"]) < 0.1 and found["r_hat"] < 1.1
    assert found["ais_temperatures"] == len(ASKED.ais.betas) == 126
    assert 1 <= found["ais_effective"] <= found["ais_chains"] == 100
    uniform = -6 * math.log(2)  # of grey levels drawn evenly the best model is a fair coin
    assert found["log_likelihood_exact"] < uniform + 0.5


def test_training_images_are_as_likely_as_the_same_ones_held_out():
    bits = images(ASKED.train)["train"].round()  # nothing is left to the draw that binarises
    found = likelihood.measure(stack(6, 4), {"train": bits, "test": bits}, ASKED)
    assert found["log_likelihood_train"] == pytest.approx(found["log_likelihood"])


def test_of_a_stack_the_bound_is_measured_and_no_likelihood():
    found = likelihood.measure(stack(6, 4, 3), images(), ASKED)
    assert found["log_likelihood_bound_low"] < found["log_likelihood_bound"]
    assert "log_likelihood" not in found


def test_images_are_binarised_once_from_a_seed():
    models = stack(6, 4)
    once, again = (likelihood.measure(models, images(), ASKED) for _ in range(2))
    other = likelihood.measure(models, images(), ASKED.model_copy(update={"seed": 4}))
    assert once == again
    assert once["log_likelihood"] != other["log_likelihood"]
