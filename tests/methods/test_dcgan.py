"""DCGAN's losses, by hand. Radford et al. (2016), after Goodfellow et al. (2014)."""

import math

import pytest
import small
import torch


def test_losses_are_cross_entropies_of_the_probability_that_x_is_real():
    model = small.build("dcgan")
    logits = iter([torch.tensor([0.0, 2.0]), torch.tensor([-1.0, 1.0]), torch.tensor([-1.0, 1.0])])
    model.D = torch.nn.Identity()
    model.D.forward = lambda x: next(logits)  # type: ignore[method-assign]
    d, g = model.step(torch.zeros(2, *small.SHAPE), epoch=0)

    def sigmoid(t: float) -> float:
        return 1 / (1 + math.exp(-t))

    real = -(math.log(sigmoid(0)) + math.log(sigmoid(2))) / 2  # - log D(x)
    fake = -(math.log(1 - sigmoid(-1)) + math.log(1 - sigmoid(1))) / 2  # - log(1 - D(G(z)))
    assert d.loss is not None and d.loss.item() == pytest.approx(real + fake)
    wished = -(math.log(sigmoid(-1)) + math.log(sigmoid(1))) / 2  # - log D(G(z))
    assert g.loss is not None and g.loss.item() == pytest.approx(wished)
    assert d.terms["energy/real"].item() == -1  # minus the mean logit


def test_weights_start_as_the_paper_draws_them():
    model = small.build("dcgan", {**small.MLP, "hidden": [300, 300]}, init_std=0.02)
    weights = [p for p in model.parameters() if p.ndim > 1]
    assert torch.cat([w.flatten() for w in weights]).std().item() == pytest.approx(0.02, rel=0.02)
    assert all(p.abs().max() == 0 for name, p in model.named_parameters() if name.endswith("bias"))


def test_one_key_says_how_its_weights_start():
    with pytest.raises(ValueError, match=r"D.init: found 'small'; init_std says it here"):
        small.hparams("dcgan", D={**small.MLP, "init": "small"})
