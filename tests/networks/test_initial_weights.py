"""How a network starts: spreads and bounds of its weights, by hand."""

import math
from typing import Any

import pytest
import torch
from network_specs import spec
from torch import nn

from ebmrepro.networks import layers


def started(rule: str | None, made: Any, *size: Any, **values: Any) -> list[Any]:
    """The layers with weights of a network that starts by a rule."""
    network = made(spec(**values, **({"init": rule} if rule else {})), *size)
    weighted = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
    return [part for part in network.modules() if isinstance(part, weighted)]


def spread(layer: Any) -> float:
    assert not layer.bias.any()
    return layer.weight.std().item()


MAGANS = {"kind": "mlp", "hidden": [256], "activation": "relu", "batch_norm": False}
BACK = {"kind": "conv", "channels": [64, 128], "activation": "relu", "batch_norm": False}


def test_torchs_own_start_stays_where_no_rule_is_named():
    torch.manual_seed(0)
    (first, *_) = started(None, layers.encoder, (1, 28, 28), 256, **MAGANS)
    assert first.weight.std().item() == pytest.approx(1 / math.sqrt(3 * 784), rel=0.01)  # 0.021
    torch.manual_seed(0)
    torch.testing.assert_close(first.weight, nn.Linear(784, 256).weight)


def test_he_starts_relu_layers_normally_and_all_others_by_glorots_uniform_rule():
    """MAGAN's release on MNIST: D's first layer has sd 0.050 where torch's has 0.021."""
    torch.manual_seed(0)
    first, code = started("he_normal", layers.encoder, (1, 28, 28), 256, **MAGANS)
    assert spread(first) == pytest.approx(math.sqrt(2 / 784), rel=0.01)
    assert spread(first) == pytest.approx(0.050, abs=0.001)
    assert first.weight.abs().max() > 4 * math.sqrt(2 / 784), "normal, not uniform"
    bound = math.sqrt(6 / (256 + 256))  # nothing follows the code
    assert 0.99 * bound < code.weight.abs().max() <= bound
    rectified = layers.encoder(spec(**MAGANS, init="he_normal"), (1, 28, 28), 256, rectified=True)
    assert spread(layers.linear_layers(rectified)[-1]) == pytest.approx(
        math.sqrt(2 / 256), rel=0.02
    )


def test_he_counts_a_transposed_convolution_by_its_outputs_as_the_release_does():
    """Its deconvolution hands he_init k k channels_out as the number of inputs. G's first layer is
    one from 1x1 to 7x7: 49 x 128; then 4 x 4 x 64. So G begins at an sd of 0.038, near black-grey.
    """
    torch.manual_seed(0)
    first, second, last = started("he_normal", layers.generator, (1, 28, 28), 50, **BACK)
    assert spread(first) == pytest.approx(math.sqrt(2 / (49 * 128)), rel=0.02)
    assert spread(second) == pytest.approx(math.sqrt(2 / (16 * 64)), rel=0.02)
    assert last.weight.abs().max() <= math.sqrt(6 / (16 * 64 + 16 * 1))  # tanh, so uniform
    G = layers.generator(spec(**BACK, init="he_normal"), (1, 28, 28), 50)
    assert G(torch.randn(200, 50)).std().item() == pytest.approx(0.038, abs=0.003)


def test_a_leaky_relu_is_none_to_he():
    torch.manual_seed(0)
    leaky = {**MAGANS, "activation": "leaky_relu"}
    (first, _) = started("he_normal", layers.encoder, (1, 28, 28), 256, **leaky)
    assert first.weight.abs().max() <= math.sqrt(6 / (784 + 256))


@pytest.mark.parametrize(
    ("rule", "deviation"), [("small", 0.01), ("glorot", math.sqrt(2 / (784 + 256)))]
)
def test_small_and_glorot_start_every_layer_alike(rule: str, deviation: float):
    torch.manual_seed(0)
    normed = {**MAGANS, "batch_norm": True}  # which is left as it is
    (first, _) = started(rule, layers.encoder, (1, 28, 28), 256, **normed)
    assert spread(first) == pytest.approx(deviation, rel=0.01)
