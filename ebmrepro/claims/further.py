"""Further seeds of a suite that is run: `ebmrepro campaign` trains them, and the claims count them.

They are carried under the suite's name and FURTHER, where no stage of the run removes them. One
counts while its fingerprint is today's: trained by the same code, on the same data, from the same
numbers as the seeds of the run, so that an edit of its block or of a method leaves it out; and if
it was measured as they are (the suite's block `evaluate`). Code that measures is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ebmrepro.config import forms
from ebmrepro.config.campaign import FURTHER
from ebmrepro.config.params import Params
from ebmrepro.runs import carried, fingerprints
from ebmrepro.system.reading import known


def seeds(root: Path, suite: str, settings: Params) -> dict[str, list[int]]:
    """System -> the further seeds of `suite` that count beside the run's."""
    further = suite + FURTHER
    own, theirs = (_reference(root, name) for name in (suite, further))
    dataset = own.get("dataset")
    if dataset is None or further not in settings.campaign:
        return {}
    if own.get("evaluate") != theirs.get("evaluate"):
        return {}
    there = {
        name: [k for k in own if k not in settings.run.seeds]
        for name, own in carried.systems(root, further).items()
        if name == "dbn" or name in settings.suites[suite].methods
    }
    return {
        name: [
            seed
            for seed in own
            if carried.fingerprint(root, further, name, seed)
            == fingerprints.of(further, name, seed, settings, dataset["splits"])
        ]
        for name, own in there.items()
    }


def in_words(seeds: Sequence[int], entries: Sequence[carried.Entry], features: bool) -> str:
    """What these further seeds are; `features`: something was measured in those of a DBN."""
    how = f"seeds {seeds[0]} to {seeds[-1]}, {len(seeds)} of them, are {carried.in_words(entries)}"
    own = "; in features of the DBN of the first of them" if features else ""
    return f"Beside the seeds of the run, {how}{own}."


def _reference(root: Path, suite: str) -> dict[str, Any]:
    path = root / "results" / suite / "reference" / "reference.json"
    return known(forms.Reference.read, path) or {}
