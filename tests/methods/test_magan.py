"""MAGAN's margin, by hand. Wang et al. (2017), algorithm 1, and the lecture's three conditions."""

import math
from typing import Any

import numpy as np
import pytest
import small
import torch

from ebmrepro.methods.base.method import Method


def magan(margin: float = 10.0, before: float = 5.0, **changes: Any) -> Method:
    model = small.build("magan", pretrain_epochs=2, **changes)
    model.get_buffer("margin").fill_(margin)
    model.get_buffer("E_G_before").fill_(before)
    return model


def after(model: Method, real: float, fake: float, epoch: int = 3) -> float:
    means = {"energy/real": torch.tensor(real), "energy/fake": torch.tensor(fake)}
    model.after_epoch(epoch, means)
    return model.get_buffer("margin").item()


def test_the_margin_moves_to_the_mean_real_energy_when_all_three_conditions_hold():
    model = magan()
    assert after(model, real=4.0, fake=6.0) == 4.0
    assert model.get_buffer("E_G_before").item() == 6.0
    assert model.get_buffer("updates").item() == 1


@pytest.mark.parametrize(
    ("why", "real", "fake"),
    [
        ("(1) the generator still brings its energy down", 4.0, 4.9),
        ("(2) data are not below the margin", 10.0, 12.0),
        ("(3) data are not below the fakes", 6.0, 6.0),
    ],
)
def test_one_condition_that_fails_keeps_it(why: str, real: float, fake: float):
    assert after(magan(), real, fake) == 10.0, why


def test_equal_synthetic_energies_count_as_no_progress():
    assert after(magan(before=5.0), real=4.0, fake=5.0) == 4.0  # E_G^{t-1} <= E_G^t


def test_the_margin_never_rises():
    model = magan(margin=3.0)
    for real, fake in [(5.0, 6.0), (2.0, 7.0), (2.5, 8.0), (1.0, 9.0)]:
        before = model.get_buffer("margin").item()
        assert after(model, real, fake) <= before


def test_it_cannot_move_at_the_end_of_the_first_epoch():
    model = small.build("magan")
    assert model.get_buffer("E_G_before").item() == math.inf
    model.get_buffer("margin").fill_(10.0)
    assert after(model, real=4.0, fake=6.0) == 10.0


def test_losses_by_hand():
    model: Any = magan(margin=2.0)
    small.give_energies(model, [0.5, 1.5, 1.0, 4.0], [1.0, 4.0])
    d, g = model.step(torch.zeros(2, *small.SHAPE), epoch=5)
    assert d.loss.item() == pytest.approx(1 + (1 + 0) / 2)  # D(x) + mean [m_t - D(G(z))]^+
    assert d.terms["hinge/active"].item() == 0.5
    assert g.loss.item() == 2.5 and g.terms["energy/fake"].item() == 2.5  # L_G = D(G(z))


def curves(real: list[float], fake: list[float], m: list[float]) -> dict[str, np.ndarray]:
    columns = {"energy/real": real, "energy/fake": fake, "magan/margin": m}
    return {key: np.array(values) for key, values in columns.items()}


def test_each_condition_that_fails_counts_in_each_epoch_that_had_a_chance():
    # epoch   pretraining, measuring, then five of the game; m_0 = 10 is measured in the second
    real = [20.0, 10.0, 9.0, 8.0, 12.0, 7.0, 6.0]
    fake = [math.nan, math.nan, 11.0, 12.0, 13.0, 12.5, 5.0]
    margin = [0.0, 10.0, 10.0, 8.0, 8.0, 8.0, 8.0]
    # third: no E_G before it. Fourth: all hold, m moves to 8. Fifth: 12 is not below m = 8.
    # Sixth: E_G fell from 13 to 12.5. Seventh: E_G fell, and 6 is not below 5.
    assert magan().recount(curves(real, fake, margin)) == {
        "chances": 4,
        "stopped_by_generator": 2,
        "stopped_by_margin": 1,
        "stopped_by_fakes": 1,
    }


def test_equal_energies_of_fakes_do_not_stop_and_an_equal_margin_does():
    assert magan().recount(curves([8.0, 8.0], [9.0, 9.0], [8.0, 8.0])) == {
        "chances": 1,
        "stopped_by_generator": 0,
        "stopped_by_margin": 1,
        "stopped_by_fakes": 0,
    }


def test_frozen_it_stays():
    assert after(magan(margin_moves=False), real=4.0, fake=6.0) == 10.0


def test_pretraining_sees_real_images_only_and_then_one_pass_only_looks():
    model = small.build("magan", pretrain_epochs=2, epochs=1)
    x = small.batch(model)
    for epoch in (0, 1):
        (turn,) = model.step(x, epoch)
        assert turn.player == "D" and turn.loss is not None
    (look,) = model.step(x, 2)
    assert look.loss is None and "energy/real" in look.terms
    assert len(list(model.step(x, 3))) == 2
    assert model.epochs == 4


def test_the_first_margin_is_the_mean_real_energy_after_pretraining():
    model = small.build("magan", pretrain_epochs=2, epochs=1)
    training = small.training(model, "magan")
    records = training.epochs()
    pretrained = [next(records), next(records)]
    assert [record["magan/margin"] for record in pretrained] == [0, 0]
    weights = {k: v.clone() for k, v in model.named_parameters()}
    measured = next(records)
    assert all(torch.equal(v, weights[k]) for k, v in model.named_parameters())
    energies = torch.stack([model.energy(x).mean() for x, _ in training.batches.epoch(2)])
    assert measured["magan/margin"] == pytest.approx(energies.mean().item(), rel=1e-6)


def test_energies_sum_squares_over_the_image_without_root_or_mean():
    model = small.build("magan")
    x = torch.rand(3, *small.SHAPE)
    x_hat = model.reconstruct(x)
    assert x_hat is not None
    torch.testing.assert_close(model.energy(x), (x - x_hat).square().sum((1, 2, 3)))


def test_to_a_unit_encoder_black_is_no_input():
    """Its first layer sees (x + 1) / 2: of a black image only biases pass, of a white one W too."""
    model = small.build("magan", encoder={**small.MLP, "kind": "unit_mlp", "hidden": []})
    unit, flat, layer, *_ = model.D.encoder
    black, white = -torch.ones(1, *small.SHAPE), torch.ones(1, *small.SHAPE)
    through = torch.nn.Sequential(unit, flat, layer)
    torch.testing.assert_close(through(black)[0], layer.bias)
    torch.testing.assert_close(through(white)[0], layer.bias + layer.weight.sum(1))


def test_only_an_encoder_may_be_of_the_unit_kind():
    with pytest.raises(ValueError, match="unit_mlp"):
        small.hparams("magan", G={**small.MLP, "kind": "unit_mlp"})


def test_a_margin_that_neither_moves_nor_starts_from_a_trained_network_is_refused():
    for moves, epochs in ((True, 0), (True, 1), (False, 1)):
        small.hparams("magan", margin_moves=moves, pretrain_epochs=epochs)
    with pytest.raises(ValueError, match="margin_moves: found False with pretrain_epochs 0"):
        small.hparams("magan", margin_moves=False, pretrain_epochs=0)
