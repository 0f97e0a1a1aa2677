"""The deep auto-encoder of real-valued pixels, after Hinton and Salakhutdinov (2006)."""

from typing import Any

import numpy as np
import pytest
import small
import torch

from ebmrepro.methods.base.method import Labelled
from ebmrepro.networks.images import from_uint8, to_uint8

NAME = "autoencoder_gaussian"


def counted(**changes: Any):
    """A model that has seen the small images once, and these images."""
    model, x = small.build(NAME, **changes), from_uint8(small.pictures()[0])
    for batch in x.split(8):
        (turn,) = model.step(batch, 0)
        assert turn.loss is None, "the first epoch moves nobody"
    model.after_epoch(0, {})
    return model, x


def test_units_have_mean_0_each_and_variance_1_on_average():
    model, x = counted()
    v = model.units(x)
    torch.testing.assert_close(v.mean(0), torch.zeros(64), atol=1e-5, rtol=0)
    assert v.var(0, correction=0).mean().item() == pytest.approx(1, rel=1e-5)
    assert v.var(0, correction=0).std() > 0.01, "one number for all pixels, not one each"
    torch.testing.assert_close(model.image(v), x, atol=1e-5, rtol=0)


def test_pixels_that_are_all_alike_have_a_scale():
    model = small.build(NAME)
    list(model.step(torch.zeros(8, *small.SHAPE), 0))
    model.after_epoch(0, {})
    assert model.scale.item() == pytest.approx(1 / 255)


def test_layers_learn_in_turn_the_first_for_as_long_as_is_its_own():
    model = small.build(NAME, first_epochs=3, rbm_epochs=2, finetune_epochs=2)
    assert model.epochs == 1 + 3 + 2 + 2 + 2
    players = [next(iter(model.step(small.batch(model), e))).player for e in range(model.epochs)]
    greedy = ["bottom"] * 3 + ["rbms.0"] * 2 + ["top"] * 2
    assert players == ["bottom", *greedy, "pretrained", "pretrained"]
    assert [model.phase(e) for e in range(model.epochs)] == [
        "count",
        *[0] * 3,
        1,
        1,
        2,
        2,
        None,
        None,
    ]


def test_the_contrast_of_the_first_rbm_takes_means_of_real_pixels():
    model, x = counted(cd_steps=1)
    torch.manual_seed(7)
    (turn,) = model.step(x[:8], 1)
    turn.loss.backward()
    rbm = model.bottom
    with torch.no_grad():
        torch.manual_seed(7)
        v0 = model.units(x[:8])
        p0 = torch.sigmoid(v0 @ rbm.W + rbm.c)
        vk = torch.rand_like(p0).lt(p0).float() @ rbm.W.T + rbm.b
        pk = torch.sigmoid(vk @ rbm.W + rbm.c)
    torch.testing.assert_close(rbm.W.grad, -(v0.T @ p0 - vk.T @ pk) / 8)
    torch.testing.assert_close(rbm.b.grad, -(v0 - vk).mean(0))


def test_the_unrolled_decoder_has_linear_outputs():
    model, x = counted()
    for rbm in model.stack:
        for part in (rbm.W, rbm.b, rbm.c):
            torch.nn.init.normal_(part)
    model.after_epoch(model.greedy_epochs, {})
    with torch.no_grad():
        h = model.units(x)
        for rbm in model.stack[:-1]:
            h = torch.sigmoid(h @ rbm.W + rbm.c)
        z = h @ model.top.W + model.top.c
        torch.testing.assert_close(model.code(x), z)
        for rbm in model.stack[:0:-1]:
            z = torch.sigmoid(z @ rbm.W.T + rbm.b)
        z = z @ model.bottom.W.T + model.bottom.b
    assert z.abs().max() > 1
    torch.testing.assert_close(model.pretrained.reconstruct(model.units(x)), z)


@pytest.mark.parametrize("which", ["pretrained", "scratch", "small"])
def test_fine_tuning_descends_half_the_squared_error_of_units_and_tells_that_of_pixels(which: str):
    model, x = counted()
    turns = {t.player: t for t in model.step(x, 1 + model.greedy_epochs)}
    with torch.no_grad():
        v = model.units(x)
        squared = (v - getattr(model, which).reconstruct(v)).square().sum(1).mean()
    torch.testing.assert_close(turns[which].loss.detach(), squared / 2)
    told = turns[which].terms[f"sum_sq/{which}"]
    torch.testing.assert_close(told, squared * model.scale**2)


def test_the_energy_is_the_squared_error_of_pixels_in_0_to_1():
    model, x = counted()
    with torch.no_grad():  # nothing is cut off
        model.pretrained.decoder[-1].weight.mul_(0.01)
        model.pretrained.decoder[-1].bias.zero_()
    grey, grey_hat = ((part.detach().numpy() + 1) / 2 for part in (x, model.reconstruct(x)))
    by_hand = np.square(grey - grey_hat).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(model.energy(x).detach().numpy(), by_hand, rtol=1e-4)


def test_the_diagnosis_is_in_pixels_in_0_to_1():
    model, x = counted()
    values = model.diagnose([Labelled(x, torch.zeros(len(x)))], [Labelled(x, torch.zeros(len(x)))])
    assert values["reconstruction_sum_sq"] == pytest.approx(model.energy(x).mean().item(), rel=1e-5)
    pixels = to_uint8(x).reshape(len(x), -1) / 255
    assert values["mean_image_sum_sq"] == pytest.approx(pixels.var(axis=0).sum(), rel=1e-6)
    # In the paper's unit that is the number of pixels.
    assert values["mean_image_sum_sq"] / model.scale.item() ** 2 == pytest.approx(64, rel=1e-4)


def test_a_training_learns_more_than_the_mean_image():
    model = small.build(NAME, finetune_epochs=200)
    list(small.training(model, NAME).epochs())
    x = from_uint8(small.pictures()[0])
    values = model.diagnose([Labelled(x, torch.zeros(len(x)))], [Labelled(x, torch.zeros(len(x)))])
    assert values["reconstruction_sum_sq"] < 0.95 * values["mean_image_sum_sq"]
