"""The ladder network's arithmetic, by hand and by a plain numpy network of the same weights."""

import itertools
import math

import numpy as np
import pytest
import torch

from ebmrepro.networks.ladder import EPSILON, Ladder, combine

WIDTHS, WEIGHTS = [5, 4, 3, 2], [10.0, 2.0, 0.5, 0.3]


def ladder(noise: float = 0.0, weights: list[float] = WEIGHTS) -> Ladder:
    """With numbers in all its places, none of them 0 or 1."""
    torch.manual_seed(1)
    network = Ladder(WIDTHS, noise, weights)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_()
    return network


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def normalised(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean, sd = x.mean(0), np.sqrt(x.var(0) + EPSILON)
    return (x - mean) / sd, mean, sd


def in_numpy(network: Ladder, v: np.ndarray, noise: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Logits, and costs of each image by layer (L + 1, N): Rasmus et al.'s algorithm 1."""
    weights = {
        key: value.detach().numpy().astype(float) for key, value in network.named_parameters()
    }
    top = len(WIDTHS) - 1
    clean, noisy = [(v, np.zeros(5), np.ones(5))], [v + noise[0]]
    h, h_noisy = v, noisy[0]
    for layer in range(1, top + 1):
        W, beta = weights[f"up.{layer - 1}.weight"].T, weights[f"beta.{layer - 1}"]
        clean.append(normalised(h @ W))
        noisy.append(normalised(h_noisy @ W)[0] + noise[layer])
        h, h_noisy = (np.maximum(z + beta, 0) for z in (clean[-1][0], noisy[-1]))
    logits = weights["gamma"] * (noisy[-1] + weights[f"beta.{top - 1}"])
    u = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    costs = []
    for layer in range(top, -1, -1):
        u, (a1, a2, a3, a4, a5, a6, a7, a8, a9, a10) = normalised(u)[0], weights[f"a.{layer}"]
        mu = a1 * sigmoid(a2 * u + a3) + a4 * u + a5
        scale = a6 * sigmoid(a7 * u + a8) + a9 * u + a10
        estimate = (noisy[layer] - mu) * scale + mu
        z, mean, sd = clean[layer]
        costs.insert(0, (((estimate - mean) / sd - z) ** 2).sum(1) / WIDTHS[layer])
        if layer:
            u = estimate @ weights[f"down.{layer - 1}.weight"].T
    return logits, np.array(costs)


def test_the_combination_by_hand():
    """One unit, z = 2, u = 0: mu = a1 s(a3) + a5 and v = a6 s(a8) + a10, with s(log 3) = 3/4."""
    a = torch.tensor([4.0, 7.0, math.log(3), 9.0, -1.0, 2.0, 5.0, 0.0, 8.0, 0.5])[:, None]
    z, u = torch.tensor([[2.0]]), torch.zeros(1, 1)
    # mu = 3 - 1 = 2, so that z is what was expected, and v does not matter
    assert combine(z, u, a).item() == pytest.approx(2.0)
    # z = 4: (4 - 2)(2 / 2 + 0.5) + 2 = 5
    assert combine(z + 2, u, a).item() == pytest.approx(5.0)
    # u = 1 with a1 = a6 = 0: mu = 9 - 1 = 8, v = 8 + 0.5, (4 - 8) 8.5 + 8 = -26
    a[[0, 5]] = 0
    assert combine(z + 2, u + 1, a).item() == pytest.approx(-26.0)


def test_every_estimate_is_nought_at_the_start():
    network = Ladder(WIDTHS, 0.3, WEIGHTS)
    v = torch.rand(6, 5)
    assert not network.reconstruct(v).any()
    torch.testing.assert_close(network(v), 10 / 5 * v.square().sum(1))  # lambda_0 / V ||x - 0||^2


def test_costs_and_classes_are_those_of_a_plain_network(monkeypatch: pytest.MonkeyPatch):
    network, v = ladder(noise=0.3), torch.rand(7, 5)
    noise = [torch.randn(7, width) for width in WIDTHS]
    given = itertools.cycle(noise)
    monkeypatch.setattr(torch, "randn_like", lambda z: next(given))
    bottom, above = network.costs(v)
    logits, costs = in_numpy(network, v.numpy(), [0.3 * n.numpy() for n in noise])
    np.testing.assert_allclose(bottom.detach(), 10 * costs[0], rtol=1e-4)
    np.testing.assert_allclose(above.detach(), np.array(WEIGHTS[1:]) @ costs[1:], rtol=1e-3)
    np.testing.assert_allclose(network.classify(v).detach(), logits, rtol=1e-3, atol=1e-4)


def test_estimates_of_upper_layers_are_normalised_by_the_clean_path():
    """Where an estimate is the clean field itself, W h, its cost is 0, though z is normalised."""
    network, v = ladder(), torch.rand(7, 5)
    for layer, (z, mean, sd) in enumerate(network.clean(v), start=1):
        field = z * sd + mean
        torch.testing.assert_close(z.mean(0), torch.zeros(WIDTHS[layer]), atol=1e-5, rtol=0)
        torch.testing.assert_close(z.var(0, unbiased=False), torch.ones(WIDTHS[layer]))
        assert network._cost(layer, (field - mean) / sd, z).max() < 1e-9
    h = v @ network.up[0].weight.T  # type: ignore[operator, union-attr]
    torch.testing.assert_close(h.mean(0), network.clean(v)[0][1])


def test_a_cost_of_weight_0_is_none_and_asks_for_no_clean_path(monkeypatch: pytest.MonkeyPatch):
    network = ladder(weights=[10.0, 0.0, 0.0, 0.0])
    monkeypatch.setattr(network, "clean", lambda v: pytest.fail("it was computed"))
    bottom, above = network.costs(torch.rand(7, 5))
    assert bottom.all() and not above.any()


def test_there_is_noise_in_training_and_none_in_evaluation():
    network, v = ladder(noise=0.3), torch.rand(7, 5)
    assert not torch.equal(network(v), network(v))
    network.eval()
    assert torch.equal(network(v), network(v))
    states, _ = network.encode(v)
    assert torch.equal(states[0], v)
