"""How long stages take, by the times that others took: of this machine, of carried results, ours.

An estimate, said with "about". What has been recorded on another machine is taken to be off by one
factor for all stages, which the stages that have ended meanwhile tell.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from ebmrepro.config.documents import read_yaml
from ebmrepro.config.training import base
from ebmrepro.runs import carried
from ebmrepro.system import atomic, reading

OURS = Path(__file__).with_name("seconds.yaml")
RECORD = Path(".ebmrepro/seconds.json")  # of this machine, by stage
DOUBT = 60.0  # seconds of stages as expected that weigh against the first that are not
NOTHING: Mapping[str, float] = {}


class Outlook:
    """Times of the stages of the project at `root`, by their addresses in DVC."""

    def __init__(self, root: Path):
        self.root = root
        self.taken: dict[str, float] = {}  # by the stages that have ended in this run
        self.expected: dict[str, float] = {}  # of the same, before they had

    @cached_property
    def own(self) -> dict[str, float]:
        """What was recorded on this machine; where that is damaged nothing, for it is a comfort."""
        try:
            told = reading.known(reading.tree, self.root / RECORD) or {}
            return {str(stage): float(seconds) for stage, seconds in told.items()}
        except (reading.Damaged, AttributeError, TypeError, ValueError):
            return {}

    @cached_property
    def known(self) -> dict[str, float]:
        found: dict[str, float] = dict(read_yaml(OURS))
        for file in sorted(self.root.glob(f"results/*/{carried.FILE}")):
            suite = file.parent.name
            with contextlib.suppress(reading.Damaged):  # the report refuses it, and names it
                for (system, seed), entry in carried.provenance(self.root, suite).items():
                    if entry["seconds_in_all"] is not None:
                        found[training(suite, system, seed)] = entry["seconds_in_all"]
        return found | self.own

    def of(self, stage: str) -> float | None:
        """Seconds of a stage as recorded, of its other seeds, or of others of its suite's."""
        name, _, rest = stage.partition("@")
        for key in (stage, stage.rpartition("-")[0], f"{name}@{rest.partition('-')[0]}"):
            alike = [s for k, s in self.known.items() if k == key or k.startswith(f"{key}-")]
            if key and alike:
                return statistics.fmean(alike)
        return None

    def ended(self, stage: str, seconds: float) -> None:
        """Remember what a stage took."""
        if (expected := self.of(stage)) is not None:
            self.expected[stage] = expected
        self.taken[stage] = self.own[stage] = self.known[stage] = round(seconds, 1)

    def keep(self) -> None:
        """Write down what this run has told, for runs to come."""
        if self.taken:
            path = self.root / RECORD
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_json(path, self.own)

    def left(
        self, stages: Iterable[str], at_once: int, since: Mapping[str, float] = NOTHING
    ) -> float | None:
        """Seconds until all of these have run, so many at once; None where one is unknown.

        Args:
            since: seconds for which those that run have been at it.
        """
        each = {stage: self.of(stage) for stage in stages}
        rest = [
            max(self._pace * seconds - since.get(stage, 0.0), 0.0)
            for stage, seconds in each.items()
            if seconds is not None
        ]
        if len(rest) < len(each):
            return None
        return max(sum(rest) / max(at_once, 1), max(rest, default=0.0))

    @property
    def _pace(self) -> float:
        """How many times as long as recorded stages take in this run."""
        taken = sum(self.taken[stage] for stage in self.expected)
        return (taken + DOUBT) / (sum(self.expected.values()) + DOUBT)


def training(suite: str, system: str, seed: int) -> str:
    """The stage that trains a system from a seed."""
    if system == "dbn":
        return f"pretrain@{suite}-{seed}"
    if carried.stage(system).trains:
        return carried.targets(suite, system, [seed])[0]
    kind = "train" if base(system) == system else "train_variant"
    return f"{kind}@{suite}-{system}-{seed}"
