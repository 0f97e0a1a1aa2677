"""The deep auto-encoder's arithmetic, after Hinton and Salakhutdinov (2006) and their code."""

import math

import numpy as np
import pytest
import small
import torch

from ebmrepro.methods.base.method import Labelled
from ebmrepro.networks.energies import LinearRBM
from ebmrepro.networks.images import to_uint8
from ebmrepro.networks.layers import linear_layers


def linear_rbm(visible: int = 3, hidden: int = 2) -> LinearRBM:
    rbm = LinearRBM(visible, hidden, std=1.0)
    with torch.no_grad():
        rbm.b.normal_()
        rbm.c.normal_()
    return rbm


def test_a_linear_rbms_free_energy_integrates_over_its_hidden_units():
    """F(v) = - log of the integral of exp(-E(v, h)) over h, here as a sum over a fine grid."""
    rbm = linear_rbm(hidden=2)
    axis = torch.linspace(-20, 20, 801, dtype=torch.float64)
    h = torch.cartesian_prod(axis, axis)
    W, b, c = (p.detach().double() for p in (rbm.W, rbm.b, rbm.c))
    for v in torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0], [0.3, 0.9, 0.5]]):
        energy = -(h @ (v.double() @ W)) - v.double() @ b + (h - c).square().sum(1) / 2
        by_hand = -torch.logsumexp(-energy, dim=0) - 2 * math.log(axis[1] - axis[0])
        assert rbm(v[None])[0].item() == pytest.approx(by_hand.item(), abs=1e-5)


def test_a_linear_rbms_free_energy_by_hand():
    rbm = LinearRBM(1, 1, std=1.0)
    with torch.no_grad():
        rbm.W.fill_(2.0)
        rbm.b.fill_(1.0)
        rbm.c.fill_(3.0)
    # F(1) = -1 - ((3 + 2)^2 - 3^2) / 2 - log(2 pi) / 2
    assert rbm(torch.ones(1, 1)).item() == pytest.approx(-1 - 8 - math.log(2 * math.pi) / 2)


def test_the_contrast_of_the_top_rbm_descends_by_statistics_of_hidden_means():
    """As in the released code: hidden states are means with noise N(0, 1), statistics are means."""
    model = small.build("autoencoder", cd_steps=1)
    x = torch.rand(8, 64)
    torch.manual_seed(7)
    turn = model.contrastive_divergence(x, epoch=2 * model.hp.rbm_epochs)
    assert turn.player == "top"
    turn.loss.backward()
    with torch.no_grad():
        v0 = model.rbms[1].up(model.rbms[0].up(x))
        torch.manual_seed(7)
        m0 = v0 @ model.top.W + model.top.c
        vk = torch.sigmoid((m0 + torch.randn_like(m0)) @ model.top.W.T + model.top.b)
        mk = vk @ model.top.W + model.top.c
    torch.testing.assert_close(model.top.W.grad, -(v0.T @ m0 - vk.T @ mk) / 8)
    torch.testing.assert_close(model.top.b.grad, -(v0 - vk).mean(0))
    torch.testing.assert_close(model.top.c.grad, -(m0 - mk).mean(0))
    assert all(p.grad is None for p in model.rbms.parameters()), "layers learn in turn"


def test_the_contrast_of_a_lower_rbm_descends_by_statistics_of_probabilities():
    model = small.build("autoencoder", cd_steps=1)
    v0 = torch.rand(8, 64)
    torch.manual_seed(7)
    turn = model.contrastive_divergence(v0, epoch=0)
    turn.loss.backward()
    rbm = model.stack[0]
    with torch.no_grad():
        torch.manual_seed(7)
        p0 = rbm.up(v0)
        vk = rbm.down(torch.bernoulli(p0))
        pk = rbm.up(vk)
    torch.testing.assert_close(rbm.W.grad, -(v0.T @ p0 - vk.T @ pk) / 8)


def test_hidden_noise_of_a_linear_rbm_has_variance_one(monkeypatch: pytest.MonkeyPatch):
    rbm, states = linear_rbm(visible=3, hidden=2), []
    down = rbm.down
    monkeypatch.setattr(rbm, "down", lambda h: states.append(h) or down(h))
    v = torch.tensor([[0.2, 0.7, 1.0]]).expand(40_000, 3)
    rbm.gibbs(v, 1, sample_visible=False)
    (h,) = states
    torch.testing.assert_close(h.mean(0), rbm.up(v[:1])[0].detach(), atol=0.03, rtol=0)
    torch.testing.assert_close(torch.cov(h.T), torch.eye(2), atol=0.04, rtol=0)


def test_a_chain_of_a_linear_rbm_reaches_its_distribution():
    rbm = linear_rbm(visible=2, hidden=1)
    with torch.no_grad():
        rbm.W.mul_(0.5)
    all_v = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    p = torch.softmax(-rbm(all_v), dim=0).detach()
    start = torch.rand(20_000, 2).round()
    v = torch.bernoulli(rbm.gibbs(start, 60, sample_visible=True))
    found = torch.bincount((v @ torch.tensor([2.0, 1.0])).long(), minlength=4) / len(v)
    assert (found - p).abs().max() < 0.015


def test_the_unrolled_encoder_is_the_pass_up_and_the_decoder_the_pass_down_by_transposes():
    model = small.build("autoencoder")
    for rbm in model.stack:
        torch.nn.init.normal_(rbm.W)
        torch.nn.init.normal_(rbm.b)
        torch.nn.init.normal_(rbm.c)
    model.after_epoch(model.greedy_epochs - 1, {})
    x = torch.rand(4, *small.SHAPE) * 2 - 1
    h = (x.flatten(1) + 1) / 2
    for rbm in model.stack[:-1]:
        h = torch.sigmoid(h @ rbm.W + rbm.c)
    z = h @ model.top.W + model.top.c  # linear
    torch.testing.assert_close(model.code(x), z)
    for rbm in model.stack[::-1]:
        z = torch.sigmoid(z @ rbm.W.T + rbm.b)
    torch.testing.assert_close(model.reconstruct(x), (z * 2 - 1).unflatten(1, small.SHAPE))


def test_fine_tuning_unties_the_weights():
    model = small.build("autoencoder")
    list(small.training(model, "autoencoder").epochs())
    up, down = model.pretrained.encoder[0].weight, model.pretrained.decoder[-2].weight
    assert up.shape == down.T.shape and not torch.allclose(up, down.T)


def test_both_networks_have_the_same_shape_and_one_starts_at_random():
    model = small.build("autoencoder")
    shapes = [p.shape for p in model.pretrained.parameters()]
    assert shapes == [p.shape for p in model.scratch.parameters()]
    spread = model.scratch.encoder[0].weight.std().item()
    assert spread == pytest.approx(math.sqrt(2 / (64 + 10)), rel=0.2)  # Glorot's
    assert not model.scratch.encoder[0].bias.any()


def test_both_networks_learn_equally_long():
    model = small.build("autoencoder")
    training = small.training(model, "autoencoder")
    list(training.epochs())
    steps = {p: int(training.players[p].optimiser.state[0]["step"]) for p in model.players[2:]}
    assert set(steps.values()) == {model.hp.finetune_epochs * len(training.batches)}


@pytest.mark.parametrize("which", ["pretrained", "scratch"])
def test_fine_tuning_descends_the_cross_entropy_and_tells_the_squared_error(which: str):
    model = small.build("autoencoder")
    x = small.batch(model)
    v = (x.flatten(1) + 1) / 2
    turns = {t.player: t for t in model.step(x, model.greedy_epochs)}
    with torch.no_grad():
        p = getattr(model, which).reconstruct(v)
        loss = -(v * p.log() + (1 - v) * (1 - p).log()).sum(1).mean()
        squared = (v - p).square().sum(1).mean()
    torch.testing.assert_close(turns[which].loss.detach(), loss)
    torch.testing.assert_close(turns[which].terms[f"sum_sq/{which}"], squared)


def test_the_energy_sums_the_squared_error_over_pixels_between_0_and_1():
    model = small.build("autoencoder")
    x = small.batch(model)
    grey, grey_hat = to_uint8(x) / 255.0, (model.reconstruct(x).detach().numpy() + 1) / 2
    by_hand = np.square(grey - grey_hat).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(model.energy(x).detach().numpy(), by_hand, rtol=1e-4)


def test_codes_are_drawn_from_the_gaussian_of_the_codes_that_were_seen():
    """No turn is taken here, so that the codes of the epoch are those of its end."""
    model = small.build("autoencoder")
    x = torch.rand(64, *small.SHAPE) * 2 - 1
    with torch.no_grad():  # the codes differ by more than their mean
        linear_layers(model.pretrained.encoder)[-1].bias.add_(0.02 - model.code(x).mean(0))
    for batch in x.split(8):
        list(model.step(batch, model.greedy_epochs))
    model.after_epoch(model.greedy_epochs, {})
    z = model.code(x).detach()
    torch.testing.assert_close(model.code_mean, z.mean(0), atol=1e-5, rtol=1e-5)
    covariance = model.code_factor @ model.code_factor.T
    torch.testing.assert_close(covariance, torch.cov(z.T, correction=0), atol=1e-5, rtol=1e-4)
    assert not model.code_moments.any(), "an epoch forgets the one before"
    drawn = []
    model.pretrained.decoder.register_forward_pre_hook(lambda _, given: drawn.append(*given))
    torch.manual_seed(0)
    model.sample(20_000)
    white = torch.linalg.solve(model.code_factor, (drawn[0] - z.mean(0)).T)
    torch.testing.assert_close(white.mean(1), torch.zeros(3), atol=0.04, rtol=0)  # 5 deviations
    torch.testing.assert_close(torch.cov(white), torch.eye(3), atol=0.05, rtol=0)


def test_diagnosis_holds_the_networks_against_principal_components_by_svd():
    """The numbers of Figure 2, with PCA from a decomposition of our own."""
    model = small.build("autoencoder", small_start=True)
    train, test = torch.rand(40, *small.SHAPE) * 2 - 1, torch.rand(10, *small.SHAPE) * 2 - 1
    y = torch.zeros(40, dtype=torch.int64)
    values = model.diagnose([Labelled(train, y)], [Labelled(test, y[:10])])
    seen, shown = ((to_uint8(x).reshape(len(x), -1) / 255.0) for x in (train, test))
    mean = seen.mean(0)
    axes = np.linalg.svd(seen - mean, full_matrices=False)[2][:3]  # the code has 3 numbers
    rest = (shown - mean) - (shown - mean) @ axes.T @ axes
    assert values["pca_sum_sq"] == pytest.approx(np.square(rest).sum(1).mean(), rel=1e-9)
    assert values["mean_image_sum_sq"] == pytest.approx(np.square(shown - mean).sum(1).mean())
    v = (test.flatten(1) + 1) / 2
    of = {"": model.pretrained, "_random": model.scratch, "_small": model.small}
    for suffix, network in of.items():
        error = (v - network.reconstruct(v)).square().sum(1).mean().item()
        assert values[f"reconstruction_sum_sq{suffix}"] == pytest.approx(error, rel=1e-5)


def test_the_reconstructions_of_both_networks_are_images():
    model = small.build("autoencoder")
    x = small.batch(model)
    found = model.reconstructions(x)
    assert list(found) == ["pretrained", "random"]
    assert all(x_hat.shape == x.shape and x_hat.abs().max() <= 1 for x_hat in found.values())
    torch.testing.assert_close(found["pretrained"], model.reconstruct(x))
