"""Trainings of a suite that are run once, for days, and carried."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ebmrepro.config.documents import Strict, rule
from ebmrepro.config.types import Count, Seeds

FURTHER = "__seeds"  # after the name of a suite that is run: its block, trained from further seeds


class Campaign(Strict):
    seeds: Seeds  # the DBN of the first, and of the second, gives the features of all measures
    systems: Annotated[dict[str, Count], Field(min_length=1)]  # in order -> how many of the seeds

    @rule
    def _features_have_their_network(self):
        if "dbn" not in self.systems:
            raise ValueError("systems: found no dbn; all is measured in the features of one")
        return self

    @rule
    def _as_many_seeds_as_asked(self):
        for name, count in self.systems.items():
            if count > len(self.seeds):
                raise ValueError(
                    f"systems.{name}: found {count}; there are {len(self.seeds)} seeds"
                )
        return self
