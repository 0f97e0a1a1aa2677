"""EBGAN's grid of fully connected networks."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from ebmrepro.config.documents import Strict, rule
from ebmrepro.config.networks import KIND, MLP, Conv
from ebmrepro.config.optimisers import Adam
from ebmrepro.config.types import (
    Count,
    Decay,
    Levels,
    Natural,
    Once,
    Positive,
    PositiveFraction,
    Seed,
    Several,
    Some,
)

Depths = Annotated[list[Several], Some, Once]  # numbers of layers; D and Enc + Dec have 2
Sizes = Annotated[list[Count], Some, Once]
Switches = Annotated[list[bool], Some, Once]
Rules = Annotated[list[Literal["adam", "sgd"]], Some, Once]

NETWORK = ("nLayerG", "nLayerD", "sizeG", "sizeD", "dropoutD")  # the settings that are no rule's


class GridTable(Strict):
    """One column of EBGAN's table 1: the values of each setting, all combinations of which count.

    The paper's names. In EBGAN nLayerD counts Enc and Dec together, and Dec is always one layer.
    """

    nLayerG: Depths
    nLayerD: Depths
    sizeG: Sizes
    sizeD: Sizes
    dropoutD: Switches
    optimD: Rules
    optimG: Rules
    lr: Annotated[Levels, Once]

    @property
    def count(self) -> int:
        return math.prod(len(values) for _, values in self)

    @property
    def networks(self) -> list[list[Any]]:
        """The values of all settings of networks."""
        return [sorted(getattr(self, key)) for key in NETWORK]


class GridTables(Strict):
    ebgan: GridTable
    gan: GridTable


class GridDraw(Strict):
    """How many configurations are drawn; a larger draw holds a smaller one of the same seed."""

    ebgan: Count
    gan: Count
    ebgan_pt: Natural  # the first so many of EBGAN's, with the pulling-away term
    matched: bool  # GANs have the networks of the EBGANs, and optimisers and rates in turn


class GridStd(Strict):
    """Standard deviations of initial weights."""

    G: Positive
    D: Positive


class GridAdam(Strict):
    beta1: Decay
    beta2: Decay


class GridSweep(Strict):
    """One EBGAN trained with several margins."""

    margins: Annotated[Levels, Once]
    nLayerG: Several
    nLayerD: Several
    sizeG: Count
    sizeD: Count
    dropoutD: bool
    lr: Positive


class GridClassifier(Strict):
    """What I' asks: a network of the suite's training images and labels."""

    network: Annotated[MLP | Conv, KIND]
    epochs: Count  # not scaled by any budget: the judge is the same for every grid
    batch_size: Count
    optim: Adam
    seed: Seed

    @rule
    def _is_the_same_in_training_and_after(self):
        if self.network.batch_norm:
            raise ValueError("network.batch_norm: found true; the judge has none")
        return self


class GridScore(Strict):
    generated: Several  # images drawn from each trained generator
    seed: Seed  # of that draw, with the training's seed added
    best: Count  # images shown of the best models and of each margin


class Grid(Strict):
    """EBGAN's grid of fully connected networks: many small trainings of one suite."""

    epoch_fraction: PositiveFraction  # of `epochs` that are run here, times the suite's budget
    epochs: Count  # of every configuration
    batch_size: Several
    padding: Natural  # black pixels on each side of an image, for the judge as well
    z: Count  # dimension of z ~ N(0, I)
    margin: Positive  # m, of the L2 norm
    pt_weight: Positive  # of the pulling-away term
    dropout: Annotated[float, Field(gt=0, lt=1)]  # share of D's hidden units, where dropoutD
    init_std: GridStd
    adam: GridAdam
    draw: GridDraw
    table: GridTables
    sweep: GridSweep
    score: GridScore
    classifier: GridClassifier

    @rule
    def _the_draw_exists(self):
        for kind in ("ebgan", "gan"):
            drawn, there = getattr(self.draw, kind), getattr(self.table, kind).count
            if drawn > there:
                raise ValueError(f"draw.{kind}: found {drawn}; table.{kind} has {there}")
        if self.draw.ebgan_pt > self.draw.ebgan:
            raise ValueError(
                f"draw.ebgan_pt: found {self.draw.ebgan_pt}; they are drawn among EBGAN's "
                f"{self.draw.ebgan}"
            )
        if self.draw.matched and self.table.ebgan.networks != self.table.gan.networks:
            raise ValueError(
                "draw.matched: found true; table.gan has other networks than table.ebgan"
            )
        return self
