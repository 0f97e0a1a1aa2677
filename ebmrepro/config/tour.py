"""Five questions that one energy can answer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ebmrepro.config.documents import Strict, rule
from ebmrepro.config.types import (
    Count,
    Fraction,
    Lengths,
    Levels,
    Natural,
    NonNegative,
    Positive,
    PositiveFractions,
    _check_rises,
)


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
    length: Annotated[int, Field(ge=2)]
    noise: NonNegative  # standard deviation, in units of pixel values in [-1, 1]
    counting: Counting
    brute_force: Annotated[int, Field(ge=2, le=6)]  # length up to which every labelling is tried
    lengths: Lengths  # at which the cost of the search is counted

    @rule
    def _lengths_rise(self):
        _check_rises("lengths", self.lengths)
        return self


class Ranking(Strict):
    """Amounts of each corruption, least first; an amount of 0 is added to them."""

    images: Count
    noise: Levels  # standard deviation, in units of pixel values in [-1, 1]
    occlusion: PositiveFractions  # share of the area
    blur: Levels  # standard deviation in pixels
    inversion: PositiveFractions  # 0.5 is flat grey, 1 the negative

    @rule
    def _amounts_rise(self):
        for key in ("noise", "occlusion", "blur", "inversion"):
            _check_rises(key, getattr(self, key))
        return self


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
