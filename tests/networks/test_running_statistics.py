"""A discriminator with batch normalisation is the function that was trained, also in evaluation."""

import copy
from typing import Any

import pytest
import small
import torch
from torch import Tensor

from ebmrepro.config.optimisers import Adam
from ebmrepro.networks import running_statistics
from ebmrepro.networks.images import from_uint8
from ebmrepro.training.batches import Batches
from ebmrepro.training.loop import Training

NORMED: dict[str, Any] = {**small.CONV, "batch_norm": True}
NETWORKS = {"dcgan": ("G", "D"), "ebgan_pt": ("G", "encoder", "decoder")}
SIZE = 32


def real(n: int = 256) -> tuple[Tensor, ...]:
    return from_uint8(small.pictures(n)[0]).split(SIZE)


def model(name: str, epochs: int = 40) -> Any:
    changes: dict[str, Any] = {"epochs": epochs, **dict.fromkeys(NETWORKS[name], NORMED)}
    return small.build(name, **changes)


@pytest.fixture(scope="module", params=NETWORKS)
def trained(request: pytest.FixtureRequest) -> Any:
    model_ = model(request.param)
    pictures, _ = small.pictures(256)
    batches = Batches(pictures, None, SIZE, 0, torch.device("cpu"))
    adam = Adam(name="adam", lr=0.002, beta1=0.5, beta2=0.999)
    list(Training(model_, batches, {"G": adam, "D": adam}).epochs())
    return model_.eval()


@torch.no_grad()
def mean_energy(of: Any, batches: tuple[Tensor, ...]) -> float:
    return torch.cat([of.energy(x) for x in batches]).mean().item()


def test_energies_keep_the_order_and_the_size_that_they_had_in_training(trained: Any):
    torch.manual_seed(0)
    with torch.no_grad():
        fakes = trained.sample(256).split(SIZE)
    playing, scored = copy.deepcopy(trained).train(), copy.deepcopy(trained)
    assert running_statistics.estimate(scored, scored.energy, real()) == 256
    was, is_ = ([mean_energy(of, x) for x in (real(), fakes)] for of in (playing, scored))
    gap = was[1] - was[0]
    assert gap > 0, "in training D tells fakes from data"
    assert is_[0] == pytest.approx(was[0], abs=0.02 * gap)
    # In training fakes are normalised by their own batch, which a score of one image cannot be; by
    # how much that moves them is another on every CPU, whose rounding 320 steps of a game enlarge.
    assert gap / 2 < is_[1] - is_[0] < 2 * gap
    mixed = mean_energy(trained, real())
    assert abs(mixed - was[0]) > 0.1 * gap, "the statistics of a training mix data and fakes"


def test_the_statistics_are_those_of_torch():
    ours, theirs = (model("dcgan").eval() for _ in range(2))
    running_statistics.estimate(ours, ours.energy, real())
    torch.optim.swa_utils.update_bn(real(), theirs.D)
    for key, value in theirs.D.state_dict().items():
        torch.testing.assert_close(ours.D.state_dict()[key], value, msg=key)


def test_only_statistics_of_the_energy_change():
    it = model("ebgan_pt").eval()
    it.G(torch.randn(8, 4))
    before = copy.deepcopy(it.state_dict())
    momenta = [getattr(part, "momentum", None) for part in it.modules()]
    running_statistics.estimate(it, it.energy, real())
    changed = {key for key, value in it.state_dict().items() if not torch.equal(value, before[key])}
    assert changed and all(key.startswith("D.") for key in changed)
    assert {key.rpartition(".")[2] for key in changed} <= {
        "running_mean", "running_var", "num_batches_tracked",
    }  # fmt: skip
    assert not any(part.training for part in it.modules())
    assert [getattr(part, "momentum", None) for part in it.modules()] == momenta


def test_an_energy_without_batch_normalisation_takes_no_image():
    it = small.build("dcgan", small.NORMED).eval()  # in G alone
    before = copy.deepcopy(it.state_dict())
    assert running_statistics.estimate(it, it.energy, real()) == 0
    assert all(torch.equal(value, before[key]) for key, value in it.state_dict().items())
