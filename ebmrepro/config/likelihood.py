"""How the likelihood of an RBM is measured."""

from __future__ import annotations

import itertools
from typing import Annotated

from pydantic import Field

from ebmrepro.config.documents import Strict, rule
from ebmrepro.config.types import Count, PositiveFraction, Seed, Several


class Rung(Strict):
    """Inverse temperatures from the rung below (from 0) to `up_to`, `step` apart."""

    up_to: PositiveFraction
    step: PositiveFraction


class AIS(Strict):
    """Annealed importance sampling from an RBM without weights."""

    chains: Several
    temperatures: Annotated[list[Rung], Field(min_length=1)]

    @rule
    def _rungs_reach_one(self):
        tops = [0.0, *(rung.up_to for rung in self.temperatures)]
        if tops[-1] != 1:
            raise ValueError(f"temperatures: found {tops[-1]} at the end; the last up_to is 1")
        for (low, high), rung in zip(itertools.pairwise(tops), self.temperatures, strict=True):
            if low >= high:
                raise ValueError(f"temperatures: found up_to {high} after {low}; each is higher")
            steps = (high - low) / rung.step
            if round(steps) < 1 or abs(steps - round(steps)) > 1e-6:
                raise ValueError(
                    f"temperatures: found step {rung.step} from {low} to {high}; a whole number "
                    "of steps should fit"
                )
        return self

    @property
    def betas(self) -> list[float]:
        """All inverse temperatures, 0 and 1 among them, rising."""
        found = [0.0]
        for rung in self.temperatures:
            low, steps = found[-1], round((rung.up_to - found[-1]) / rung.step)
            found += [low + (rung.up_to - low) * i / steps for i in range(1, steps)] + [rung.up_to]
        return found


class Likelihoods(Strict):
    """How the likelihood of a trained RBM, or the lower bound of a stack, is measured."""

    seed: Seed  # of the binarisation of the images and of all chains
    train: Count  # training images measured beside the test images, at most
    posterior: Count  # samples of q(h | v) per image, for a stack's bound
    ais: AIS
    trials: Count  # of the same AIS beside the exact Z, where at most 20 hidden units allow it
