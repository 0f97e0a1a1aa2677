"""The networks of the papers: shapes, connections and parameters, counted by hand.

Where a paper prints a number it is named in the test; all others are arithmetic from its layers.
Large networks are built without memory, on torch's device `meta`.
"""

import hashlib
from typing import Any

import pytest
import torch
from network_specs import auto_encoder, began, conv, layer, maps, planes
from params_file import shipped
from torch import nn

from ebmrepro.config import networks
from ebmrepro.config.campaign import FURTHER
from ebmrepro.config.data import image_shape
from ebmrepro.config.documents import ParamsError
from ebmrepro.methods.base import method
from ebmrepro.networks import layers

SHIPPED = shipped()
AT_128 = planes([1024, 512, 256, 128, 64, 64], [100, 64, 32, 16, 8, 4])
AT_256 = planes([2048, 1024, 512, 256, 128, 64, 64], [100, 64, 32, 16, 8, 4, 2])

# --- what was there before ------------------------------------------------------------------------

BEFORE = {  # names and shapes of the state, and a sum over the initial weights of seed 0
    ("digits", "dcgan"): ("c67478102bd9", 10.839077807502454),
    ("digits", "ebgan"): ("39321d718a4c", 18.523928486004436),
    ("digits", "ebgan_pt"): ("39321d718a4c", 18.523928486004436),
    ("digits", "began"): ("fdeb8c7d8df1", 8.22581067821937),
    ("digits", "magan"): ("1935d29bee0b", 18.523928486004436),
    ("mnist", "dcgan"): ("00647ca3195e", 25.93826860193357),
    ("mnist", "ebgan"): ("c8b64e45d390", 39.109370195958284),
    ("mnist", "began"): ("ed228db36c60", 4.940066183337849),
    ("mnist", "magan"): ("d296c531462b", 3.3021326532676984),
}


@pytest.mark.parametrize(("suite", "name"), BEFORE)
def test_the_networks_of_committed_results_start_as_they_did(suite: str, name: str):
    """Results in git rest on them: the same parameters, in the same order, of the same seed."""
    shape = (1, 8, 8) if suite == "digits" else (1, 28, 28)
    model = method.build(name, SHIPPED.block(suite, name).hparams, shape, 10, seed=0)
    text = ";".join(f"{key} {tuple(value.shape)}" for key, value in model.state_dict().items())
    means = [p.double().abs().mean().item() for p in model.parameters()]
    names, total = BEFORE[suite, name]
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == names
    assert sum(i * mean for i, mean in enumerate(means, 1)) == pytest.approx(total, rel=1e-6)


# --- DCGAN, EBGAN, MAGAN --------------------------------------------------------------------------


def test_dcgans_generator_at_64_is_the_papers():
    """1024 - 512 - 256 - 128 - 3 (figure 1), by hand: the paper prints no count."""
    with torch.device("meta"):
        G = layers.generator(conv([128, 256, 512, 1024]), (3, 64, 64), 100)
        found = maps(G, torch.empty(2, 100), nn.ConvTranspose2d)
    assert found == [(512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]
    first = 100 * 16 * 1024 + 16 * 1024
    ups = layer(1024, 512) + layer(512, 256) + layer(256, 128) + layer(128, 3)
    assert layers.count(G) == first + ups + 2 * (1024 + 512 + 256 + 128) == 12_675_715
    assert [type(part).__name__ for part in G[:5]] == [
        "Linear",
        "Unflatten",
        "BatchNorm2d",
        "ReLU",
        "ConvTranspose2d",
    ]
    assert isinstance(G[-1], nn.Tanh) and isinstance(G[-2], nn.ConvTranspose2d)


def test_dcgans_networks_of_the_torch_code_have_its_parameters_and_biases():
    """PyTorch's DCGAN example, which has no biases, has 3,576,704 in G and 2,765,568 in D."""
    channels = [64, 128, 256, 512]
    with torch.device("meta"):
        G = layers.generator(conv(channels), (3, 64, 64), 100)
        D = layers.critic(conv(channels, activation="leaky_relu"), (3, 64, 64))
        assert D(torch.empty(2, 3, 64, 64)).shape == (2,)
    assert layers.count(G) == 3_576_704 + 16 * 512 + 256 + 128 + 64 + 3
    assert layers.count(D) == 2_765_568 + sum(channels) + 1
    norms = [part.num_features for part in D.modules() if isinstance(part, nn.BatchNorm2d)]
    assert norms == [128, 256, 512]  # none on the input layer


def test_ebgans_auto_encoder_at_64_is_the_papers():
    """(64)4c2s-(128)4c2s-(256)4c2s and back; the code is the last map. By hand."""
    with torch.device("meta"):
        net = conv([64, 128, 256], "conv_map", "leaky_relu")
        D = auto_encoder(net, (3, 64, 64), 16_384)
        x = torch.empty(2, 3, 64, 64)
        assert D.encoder(x).shape == (2, 8 * 8 * 256) and D.reconstruct(x).shape == x.shape
        down = maps(D, x, nn.Conv2d)
        up = maps(D, x, nn.ConvTranspose2d)
    assert down[:3] == [(64, 32, 32), (128, 16, 16), (256, 8, 8)]
    assert up[:3] == [(128, 16, 16), (64, 32, 32), (3, 64, 64)]
    encoder = layer(3, 64) + layer(64, 128) + layer(128, 256) + 2 * (128 + 256)
    decoder = layer(256, 128) + layer(128, 64) + layer(64, 3) + 2 * (128 + 64)
    assert layers.count(D) == encoder + decoder == 1_318_659
    assert not any(isinstance(part, nn.Linear) for part in D.modules())
    _, first, *_, last, tanh = D.decoder.children()
    assert isinstance(first, nn.ConvTranspose2d)  # the code has had the encoder's activation
    assert isinstance(last, nn.ConvTranspose2d) and isinstance(tanh, nn.Tanh)


def test_magans_networks_are_those_of_the_authors_release():
    """By hand, from its code: down to 4x4, twice the channels each time; no normalisation."""
    for shape, z, channels in (
        ((3, 32, 32), 320, [128, 256, 512]),
        ((3, 64, 64), 350, [64, 128, 256, 512]),
    ):
        with torch.device("meta"):
            G = layers.generator(conv(channels, norm=False), shape, z)
            net = conv(channels, "conv_map", "leaky_relu", norm=False)
            D = auto_encoder(net, shape, 4 * 4 * 512)
            assert G(torch.empty(2, z)).shape == D.reconstruct(torch.empty(2, *shape)).shape
        ends = [3, *channels]
        down = sum(layer(a, b) for a, b in zip(ends, channels, strict=False))
        up = sum(layer(b, a) for a, b in zip(ends, channels, strict=False))
        assert layers.count(D) == down + up
        assert layers.count(G) == (z + 1) * 4 * 4 * 512 + up
        assert not any(isinstance(part, nn.BatchNorm2d) for part in [*G.modules(), *D.modules()])


# --- noise at every scale -------------------------------------------------------------------------


def test_the_generator_at_128_takes_noise_at_every_scale():
    """(1024)4c-(512)4c2s-(256)4c2s-(128)4c2s-(64)4c2s-(64)4c2s-(3)3c, planes 100-64-32-16-8-4."""
    numbers = [100, 64 * 4**2, 32 * 8**2, 16 * 16**2, 8 * 32**2, 4 * 64**2]
    assert AT_128.numbers == numbers and sum(numbers) == 31_844
    with torch.device("meta"):
        G = layers.generator(AT_128, (3, 128, 128), 31_844)
        out = G(torch.empty(2, 31_844))
        ups = maps(G, torch.empty(2, 31_844), nn.ConvTranspose2d)
    assert ups == [
        (1024, 4, 4),
        (512, 8, 8),
        (256, 16, 16),
        (128, 32, 32),
        (64, 64, 64),
        (64, 128, 128),
    ]
    assert out.shape == (2, 3, 128, 128)
    taken = [100, 1024 + 64, 512 + 32, 256 + 16, 128 + 8, 64 + 4]
    widths = [1024, 512, 256, 128, 64, 64]
    by_hand = sum(layer(a, b) for a, b in zip(taken, widths, strict=True)) + layer(64, 3, kernel=3)
    assert layers.count(G) == by_hand + 2 * sum(widths)


def test_the_generator_at_256_has_one_scale_more():
    assert sum(AT_256.numbers) == 31_844 + 2 * 128**2 == 64_612
    with torch.device("meta"):
        G = layers.generator(AT_256, (3, 256, 256), 64_612)
        assert maps(G, torch.empty(2, 64_612), nn.ConvTranspose2d)[0] == (2048, 4, 4)
        assert G(torch.empty(2, 64_612)).shape == (2, 3, 256, 256)


def test_each_number_of_the_noise_reaches_the_image():
    net = planes([6, 5, 4], [3, 2, 1])
    z = torch.randn(2, 3 + 2 * 16 + 64, requires_grad=True)
    layers.generator(net, (1, 16, 16), z.shape[1]).eval()(z).square().sum().backward()
    assert z.grad is not None and (z.grad != 0).all()


def test_noise_at_a_scale_moves_the_image_where_it_stands():
    """A plane is a map: what changes in one corner of it changes the image there and not across."""
    G = layers.generator(planes([6, 5, 4], [3, 2, 1]), (1, 16, 16), 3 + 32 + 64).eval()
    z = torch.randn(1, 99)
    other = z.clone()
    other[0, -1] += 1  # the last of the 8x8 plane: bottom right
    moved = (G(z) != G(other))[0, 0]
    assert moved[-2:, -2:].any() and not moved[:8, :8].any()


# --- all kinds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [1, 2, 3, 8, 9, 12, 28, 32])
def test_a_network_that_is_said_to_fit_gives_images_of_that_size(side: int):
    shape = (2, side, side + 4)
    for net, code in (
        *((began(2, scales), 3) for scales in (1, 2, 3, 4)),
        *((conv([2] * n), 3) for n in range(1, 7)),
        *((conv([2] * n, "conv_map"), 2 * (side >> n) * (side + 4 >> n)) for n in (1, 2, 3, 4)),
    ):
        try:
            D = auto_encoder(net, shape, code).eval()
        except ParamsError:
            assert networks.misfit(net, shape, code)
            continue
        assert networks.misfit(net, shape, code) is None
        x = torch.randn(1, *shape)
        assert D.encoder(x).shape == (1, code) and D.reconstruct(x).shape == x.shape
    halves = [n for n in range(1, 7) if networks.misfit(conv([2] * n), shape, 3) is None]
    assert halves == [n for n in range(1, 7) if side >> n]


@pytest.mark.parametrize(
    ("net", "shape", "width", "words"),
    [
        (began(4, 4), (1, 28, 28), 8, "scales: found 4; images of 28x28 allow 3"),
        (
            conv([64, 128, 256], "conv_map"),
            (3, 64, 64),
            100,
            "channels: found a last map of 256x8x8; it is the code, so code is 16384, not 100",
        ),
        (
            AT_128,
            (3, 64, 64),
            31_844,
            "channels: found 6 layers, which make 128x128; images are 64x64",
        ),
        (
            AT_128,
            (3, 128, 128),
            100,
            "planes: found 31844 numbers in them; they are z, so z is that and not 100",
        ),
    ],
)
def test_a_network_that_does_not_fit_is_refused_in_words(
    net: Any, shape: tuple[int, int, int], width: int, words: str
):
    assert networks.misfit(net, shape, width) == words
    make = layers.generator if net is AT_128 else layers.encoder
    with pytest.raises(ParamsError, match=f"^params.yaml: {words}"):
        make(net, shape, width)


@pytest.mark.parametrize(
    ("suite", "name"),
    [
        (suite, name)
        for suite, block in SHIPPED.suites.items()
        if not suite.endswith(FURTHER)  # further seeds of the same networks
        for name in block.methods
    ],
)
def test_every_shipped_network_can_be_built_and_run(suite: str, name: str):
    """Forward, on no memory, at the suite's image size."""
    data = SHIPPED.suites[suite].data
    shape = image_shape(data)
    assert shape is not None
    hp = SHIPPED.block(suite, name).hparams
    with torch.device("meta"):
        model = method.load(name)(hp, shape, 10)
        x = model.sample(2)
        assert x.shape == (2, *shape) and model.energy(x).shape == (2,)
