"""What trainings take at the least, from their numbers alone: what cannot fit is refused first.

Without torch, and never more than is needed: weights, their gradients and Adam's two moments in
float32, images that are held, and a step for each batch on the fastest machine there is.
`ebmrepro check --dry` measures what this only bounds.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from ebmrepro.config.data import image_shape
from ebmrepro.config.declarations import source_facts
from ebmrepro.config.documents import ParamsError, Strict
from ebmrepro.config.networks import MLP, Conv, Conv3x3
from ebmrepro.config.params import Params
from ebmrepro.config.plane import Fundamentals
from ebmrepro.config.training import Block
from ebmrepro.config.types import in_epochs

COPIES = 4  # of every weight: itself, its gradient, two moments
FLOAT = 4  # bytes
WORK = 6  # operations for each weight and image: forwards, and backwards twice
SPEED = 1e15  # operations a second, of a GPU of 2023 with half the bits
STEP = 1e-6  # seconds, of a step that does nothing
LONGEST = 366 * 24 * 3600.0  # seconds of one training


class Least(NamedTuple):
    """What one part of the pipeline takes at the least."""

    place: str  # key in params.yaml
    bytes: int
    seconds: float


def fits(settings: Params) -> None:
    """Refuse what this machine cannot hold, or no machine can end in a year, of `run`.

    Raises:
        ParamsError: the key, what it takes at the least, and what there is.
    """
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for place, needed, seconds in _parts(settings):
        if needed > there:
            raise ParamsError(
                f"params.yaml: {place}: takes at least {needed / 2**30:,.0f} GiB of memory; this "
                f"machine has {there / 2**30:,.0f}"
            )
        if seconds > LONGEST:
            raise ParamsError(
                f"params.yaml: {place}: takes at least {seconds / LONGEST:,.0f} years; allowed is 1"
            )


def _parts(settings: Params) -> Iterator[Least]:
    yield from _plane(settings.fundamentals)
    for suite in settings.run.suites:
        asked = settings.suite(suite)
        shape, facts = image_shape(asked.data), source_facts(asked.data.source)
        pixels = math.prod(shape or (1, 1, 1))
        yield Least(f"{suite}.evaluate.generated", asked.evaluate.generated * pixels, 0)
        images = max((facts.images or 0) - asked.data.test - asked.data.validation, 0)
        for place, name, _ in asked.blocks:
            if name in settings.run.names:
                yield training(f"{suite}.{place}", settings.block(suite, name), pixels, images)


def training(place: str, block: Block, pixels: int, images: int) -> Least:
    """One training of images with so many values; of how many may be unknown, 0."""
    count = sum(weights(value, pixels) for _, value in block.hparams)
    steps = max(_epochs(block.hparams), default=0) * max(images // block.batch_size, 1)
    seconds = steps * max(STEP, WORK * count * block.batch_size / SPEED)
    return Least(place, count * COPIES * FLOAT, seconds)


def weights(value: Any, pixels: int) -> int:
    """Of a network, or of hidden layers, between `pixels` and a single number at the least."""
    match value:
        case MLP(hidden=widths) if widths:
            return _between([min(pixels, widths[0]), *widths])
        case Conv3x3(n=n, scales=scales, repeats=repeats):
            return 9 * n * n * scales * repeats
        case Conv(channels=channels):
            return 16 * _between(channels)
        case [int(), *_] as widths:
            return _between([pixels, *widths])
    return 0


def _between(widths: list[int]) -> int:
    return sum(a * b for a, b in itertools.pairwise(widths)) or widths[0]


def _epochs(hparams: Strict) -> Iterator[int]:
    for key, field in type(hparams).model_fields.items():
        if in_epochs(field):
            yield getattr(hparams, key)


def _plane(asked: Fundamentals) -> Iterator[Least]:
    where = "fundamentals"
    members = len(asked.seeds) * len(asked.densities.model_fields_set)
    count = _between([2, *asked.network.hidden, 1])
    yield Least(f"{where}.network.hidden", members * count * COPIES * FLOAT, 0)
    yield Least(f"{where}.grid", members * asked.grid**2 * FLOAT, 0)
    for name, points in (("train", asked.train), ("held_out", asked.held_out)):
        yield Least(f"{where}.{name}", members * points * 2 * FLOAT, 0)
    for way, spec in asked.training:
        step = max(STEP, WORK * count * members * spec.batch_size / SPEED)
        yield Least(f"{where}.training.{way}.steps", 0, spec.steps * step)
        yield Least(f"{where}.training.{way}.batch_size", members * spec.batch_size * 2 * FLOAT, 0)
    chains = asked.sampling.chains * members
    yield Least(f"{where}.sampling.moves", 0, asked.sampling.moves * STEP)
    yield Least(f"{where}.sampling.chains", chains * 2 * FLOAT, 0)
