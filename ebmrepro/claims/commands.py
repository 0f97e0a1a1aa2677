"""What to type to regenerate the numbers of a claim."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ebmrepro.runs import carried


def again(suite: str, systems: Sequence[str], stages: Sequence[str], seeds: Sequence[int]) -> str:
    """Of a suite that `run` of params.yaml names, with all that the numbers rest on."""
    if suite == "fundamentals":
        return "dvc repro fundamentals"
    targets = [each for name in systems for each in carried.targets(suite, name, seeds)]
    targets += [f"{stage}@{suite}" for stage in stages]
    return f"dvc repro {' '.join(targets)}"


def carried_again(suite: str, wanted: carried.Seeds) -> str:
    """Of these systems of a carried suite: one run for each set of seeds."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, seeds in wanted.items():
        groups.setdefault(tuple(seeds), []).append(name)
    return " && ".join(
        _experiment(
            suite, names, seeds, [t for name in names for t in carried.targets(suite, name, seeds)]
        )
        for seeds, names in groups.items()
    )


def stage_again(suite: str, stage: str, among: Sequence[str], seeds: Sequence[int]) -> str:
    """Of a stage over several systems of a carried suite at once."""
    names = [name for name in among if not carried.stage(name).trains]
    return _experiment(suite, names, seeds, [f"{stage}@{suite}"])


def _experiment(
    suite: str, names: Sequence[str], seeds: Sequence[int], stages: Sequence[str]
) -> str:
    """`run` is changed for this one run, and holds nothing that the suite may not have."""
    lists: dict[str, list[str]] = {"suites": [suite], "methods": [], "variants": []}
    for name in names:
        for item, key in carried.stage(name).over.items():
            own = suite if item == "suite" else name
            if item != "seed" and own not in lists.setdefault(key, []):
                lists[key].append(own)
    lists["seeds"] = [str(seed) for seed in seeds]
    changes = [f"run.{key}=[{','.join(items)}]" for key, items in lists.items()]
    return " ".join(["dvc exp run", *(f"-S {shlex.quote(c)}" for c in changes), *stages])
