"""A trained method from its folder, and images through it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from ebmrepro import data
from ebmrepro.config.params import Params
from ebmrepro.methods.base import method
from ebmrepro.methods.base.method import Labelled, Method
from ebmrepro.networks import device, images, precision, running_statistics
from ebmrepro.networks.random import seeded
from ebmrepro.runs import results
from ebmrepro.runs.layout import folder
from ebmrepro.system import reading

PASS = 1000 * 3 * 64 * 64  # values of the images that pass a network together, at most
GRID = 100  # images per grid at fixed z, in ten columns
NORMALISING = 10_000  # training images at most that batch normalisation is estimated on


def restore(suite: str, name: str, seed: int, settings: Params) -> Method:
    """A trained method, in evaluation mode, from its folder.

    Raises:
        UserError: there are no weights, or they are damaged, or another network's.
    """
    from safetensors.torch import load

    model = untrained(suite, name, seed, settings)
    path = folder(suite, name, seed) / "model.safetensors"
    with reading.opened(path, "not its weights; remove it and train again"):
        model.load_state_dict(load(results.weights(path)))
    return model.to(device.device()).eval()


def scoring(suite: str, name: str, seed: int, settings: Params) -> tuple[Method, dict[str, str]]:
    """A trained method to score real images with, and lines of a protocol: batch normalisation in
    its energy has the statistics of real training images. Nothing that is stored changes.
    """
    model = restore(suite, name, seed, settings)
    size, (seen, _) = (
        settings.block(suite, name).batch_size,
        data.read(Path("data") / suite, "train"),
    )
    order = np.random.default_rng(seed).permutation(len(seen))[:NORMALISING]
    rows = (np.sort(order[i : i + size]) for i in range(0, len(order) - size + 1, size))
    x = (images.from_uint8(seen[part]).to(device.device()) for part in rows)
    if not (count := running_statistics.estimate(model, model.energy, x)):
        return model, {}
    told = f"of the energy: mean statistics of {count:,} training images in batches of {size}"
    return model, {"batch normalisation": told}


def untrained(suite: str, name: str, seed: int, settings: Params) -> Method:
    """The same method with its initial weights, in evaluation mode and in float32."""
    precision.multiply(None)
    about = data.describe(Path("data") / suite)
    hp, shape = settings.block(suite, name).hparams, tuple(about["shape"])
    return method.build(name, hp, shape, len(about["classes"]), seed).to(device.device()).eval()


class Split:
    """A split of a suite in batches on the device, one at a time, as often as it is gone through:
    as float32 the whole of it may be larger than any memory.
    """

    def __init__(self, suite: str, split: str):
        self._images, self._labels = data.read(Path("data") / suite, split)

    def __iter__(self) -> Iterator[Labelled]:
        size, where = at_a_time(self._images.shape[1:]), device.device()
        for i in range(0, len(self._images), size):
            x, y = self._images[i : i + size], np.array(self._labels[i : i + size])
            yield Labelled(images.from_uint8(x).to(where), torch.from_numpy(y).to(where))


def at_a_time(shape: Sequence[int]) -> int:
    """How many images of a shape pass a network together: 1,000, fewer where they are large."""
    return max(1, min(1000, PASS // math.prod(shape)))


@torch.no_grad()
def draw(model: Method, n: int, seed: int) -> np.ndarray:
    """`n` images of a method from a seed of their own, uint8 (n, C, H, W)."""
    batch = at_a_time(model.shape)
    with seeded(seed, next(model.parameters()).device):
        sizes = (min(batch, n - drawn) for drawn in range(0, n, batch))
        return np.concatenate([images.to_uint8(model.sample(size)) for size in sizes])


@torch.no_grad()
def in_batches(
    function: Callable[[torch.Tensor], torch.Tensor], pictures: np.ndarray
) -> np.ndarray:
    """uint8 (N, C, H, W) through a network, as float32 (N, ...)."""
    size = at_a_time(pictures.shape[1:])
    parts = (pictures[i : i + size] for i in range(0, len(pictures), size))
    x = (images.from_uint8(part).to(device.device()) for part in parts)
    return np.concatenate([function(part).float().cpu().numpy() for part in x])
