"""Energies of two numbers, which can be seen."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ebmrepro.config.documents import Strict, rule
from ebmrepro.config.optimisers import Adam
from ebmrepro.config.types import (
    Axis,
    Count,
    Fraction,
    Layers,
    Levels,
    NonNegative,
    Positive,
    Rising,
    Seeds,
    Several,
    Some,
)


class Ring(Strict):
    """Equal Gaussians of standard deviation `sd` on a circle."""

    modes: Count
    radius: Positive
    sd: Positive


class Moons(Strict):
    """Two half circles, blurred by a Gaussian of standard deviation `sd`."""

    radius: Positive
    sd: Positive


class Pinwheel(Strict):
    """Gaussian blades `at` a distance from the centre, twisted by radians per unit of distance."""

    blades: Count
    at: Positive
    along: Positive  # standard deviations of a blade, outwards ...
    across: Positive  # ... and sideways
    twist: Annotated[float, Field(ge=-1e6, le=1e6)]


class Checkerboard(Strict):
    """Uniform on every other square of 4 x 4, from -`half` to `half`."""

    half: Positive


class Densities(Strict):
    """What the networks of the plane learn."""

    ring: Ring
    moons: Moons
    pinwheel: Pinwheel
    checkerboard: Checkerboard


class Domain(Strict):
    """A flat floor with soft walls: without them Z is infinite for an energy that is a line."""

    wall: Positive  # where the walls begin, on both axes
    stiffness: Positive  # of a wall: stiffness / 2 times the squared distance behind it, in nats
    half: Positive  # half the side of the square that grids cover

    @rule
    def _walls_inside(self):
        if self.half <= self.wall:
            raise ValueError(
                f"half: found {self.half}; it should be greater than wall: {self.wall}"
            )
        return self


class PlaneNet(Strict):
    hidden: Layers
    spread: Positive  # of the first layer's random weights, relative to 1 / sqrt(inputs)


class Chains(Strict):
    """Contrastive divergence."""

    steps: Count
    batch_size: Count
    optim: Adam
    langevin_steps: Count  # of every chain, per step of training
    langevin_step: Positive
    restart: Fraction  # share of the chains that begin anew, per step of training


class Likelihood(Strict):
    """Maximum likelihood, Z from a grid."""

    steps: Count
    batch_size: Count
    optim: Adam
    grid: Axis  # points per axis


class Game(Strict):
    """A generator against an auto-encoder."""

    steps: Count
    batch_size: Several
    D: Adam
    G: Adam
    code: Count
    z: Count


class Margin(Game):
    """EBGAN's loss."""

    margin: Positive


class PlaneTraining(Strict):
    cd: Chains
    ml: Likelihood
    ebgan: Margin


class PlaneSampling(Strict):
    """Long chains on the learnt energies, and chains of several steps on the ring itself."""

    chains: Count
    moves: Count
    step: Positive
    steps: Annotated[list[Positive], Field(min_length=2)]  # rising, for the bias of Langevin
    ring_chains: Count
    ring_moves: Count
    every: Count  # one in so many states of the second half of the moves is looked at
    bins: Axis  # per axis, of the histogram; divides `grid`


class PlaneAIS(Strict):
    chains: Several
    temperatures: Several
    base_sd: Positive  # of the Gaussian at inverse temperature 0
    step: Positive  # of the one MALA move per temperature


class Partition(Strict):
    """log Z of a mixture of two Gaussians in 1 to `dimensions` dimensions."""

    dimensions: Annotated[int, Field(ge=2, le=20)]
    accuracy: Positive  # nats that the grid's log Z may be off
    sd: Positive
    centre: Positive  # distance of either Gaussian from the origin
    half: Positive
    ais: PlaneAIS


class Gammas(Game):
    values: Annotated[Levels, Rising]
    lambda_k: Positive


class Margins(Game):
    values: Annotated[Levels, Rising]


class Weights(Margin):
    values: Annotated[list[NonNegative], Some, Rising]


class Dials(Strict):
    """Games on the ring in which one number takes several values."""

    seeds: Seeds
    moments: Count  # of a curve
    points: Several  # of G, looked at and kept
    gamma: Gammas  # of BEGAN
    margin: Margins  # of EBGAN
    pt_weight: Weights  # of the pulling-away term, at one margin

    @rule
    def _moments_in_steps(self):
        for name in ("gamma", "margin", "pt_weight"):
            game = getattr(self, name)
            per_moment = game.steps // self.moments * game.batch_size
            if per_moment < self.points:
                raise ValueError(
                    f"points: found {self.points}; {name} makes {per_moment} in each of "
                    f"{self.moments} moments of {game.steps} steps by batch_size {game.batch_size}"
                )
        return self


class Film(Strict):
    frames: Annotated[int, Field(ge=2, le=10**4)]
    points: Count
    moves: Count  # Langevin moves between two frames
    descent_step: Positive


class Fundamentals(Strict):
    """The stage `fundamentals`: energies of the plane."""

    seeds: Seeds
    densities: Densities
    train: Count  # points that are learnt from, per density and seed
    held_out: Several
    domain: Domain
    network: PlaneNet
    training: PlaneTraining
    grid: Axis  # points per axis where Z is measured; the half of it says how far it can be off
    temperatures: Levels  # tried for EBGAN's energy
    sampling: PlaneSampling
    ais: PlaneAIS
    partition: Partition
    film: Film
    dials: Dials

    @rule
    def _bins_fit(self):
        if self.grid % (2 * self.sampling.bins):
            raise ValueError(
                f"grid: found {self.grid}; it should be a multiple of twice sampling.bins, "
                f"{2 * self.sampling.bins}"
            )
        return self
