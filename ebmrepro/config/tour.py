"""Five questions that one energy can answer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ebmrepro.config.documents import Strict, rule
from ebmrepro.config.types import (
    Count,
    Fraction,
    Natural,
    NonNegative,
    Positive,
    PositiveFraction,
    Rising,
    Some,
)

Amounts = Annotated[list[Positive], Some, Rising]
Parts = Annotated[list[PositiveFraction], Some, Rising]


class Counting(Strict):
    """A Markov chain over labels: what follows a label, by probability.

    With what is left, every label is as likely as any other: a slip.
    """

    next: Fraction  # the next label, after the last the first
    same: Fraction  # the same label again

    @rule
    def _slips_have_a_probability(self):
        if self.next + self.same >= 1:
            raise ValueError(
                f"next: found {self.next}; next and same, {self.same}, should add up to less than 1"
            )
        return self


class Decision(Strict):
    """Sequences of images, whose labels are found one by one and together."""

    sequences: Count
    length: Annotated[int, Field(ge=2, le=10**6)]
    noise: NonNegative  # standard deviation, in units of pixel values in [-1, 1]
    counting: Counting
    brute_force: Annotated[int, Field(ge=2, le=6)]  # length up to which every labelling is tried
    # At which the cost of the search is counted.
    lengths: Annotated[list[Annotated[int, Field(ge=1, le=1000)]], Some, Rising]


class Ranking(Strict):
    """Amounts of each corruption, least first; an amount of 0 is added to them."""

    images: Count
    noise: Amounts  # standard deviation, in units of pixel values in [-1, 1]
    occlusion: Parts  # share of the area
    blur: Amounts  # standard deviation in pixels
    inversion: Parts  # 0.5 is flat grey, 1 the negative


class Conditional(Strict):
    bins: Count  # of a reliability diagram
    fitted_on: Count  # images that the temperature is fitted on, at most


class Generation(Strict):
    images: Count
    noise: Positive  # of the images to be denoised; standard deviation, pixel values in [-1, 1]
    steps: Count  # of the descent of the energy, at most
    step: Positive  # its first length, root mean square over pixels
    samples: Count  # images drawn, by each way of drawing
    sample_steps: Count  # of the descent from noise to a sample


class Tour(Strict):
    """Five questions that one energy can answer; detection asks what `evaluate` asks."""

    seed: Natural  # of noise, sequences and draws
    others: list[str]  # suites of the same image shape, to be detected as other data
    decision: Decision
    ranking: Ranking
    conditional: Conditional
    generation: Generation
