"""What is measured of a trained system, and against which real images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ebmrepro.config.documents import Strict
from ebmrepro.config.types import (
    BelowMirror,
    Count,
    Natural,
    Positive,
    PositiveFraction,
    Seed,
    Several,
)


class InInception(Strict):
    """What is measured in features of the Inception network, and against which real images."""

    split: Literal["train", "test", "validation"]  # real images that generated ones are held to
    images: Several  # of that split, evenly spaced, at most
    splits: Count  # of the generated images, for the Inception score
    statistics: BelowMirror | None = None  # a published file of mu and sigma


class Paths(Strict):
    """Paths through a generator's z between real images, drawn as BEGAN's figure 4 is."""

    rows: Annotated[int, Field(ge=1, le=100)]  # of each of three kinds
    between: Annotated[int, Field(ge=2, le=100)]  # images from one end to the other
    steps: Natural  # of the search for z, by Adam
    lr: Positive


class Evaluate(Strict):
    split: Literal["test", "validation"]  # real images that generated ones are compared with
    generated: Several  # images drawn from each model
    energies: Several  # images per set whose energy is measured, at most
    seed: Seed  # of the draws; generated images add the training's seed
    neighbours: Count  # k of improved precision and recall
    coverage_share: PositiveFraction  # a class is covered when so many of the images are of it ...
    coverage_confidence: PositiveFraction  # ... with at least this probability
    paths: Paths | None = None  # left out: not drawn
    inception: InInception | None = None  # left out: of Inception's measures, `fid` alone
