"""What to type to regenerate the numbers of a claim."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import count, islice

from ebmrepro.claims import form
from ebmrepro.claims.form import Claim
from ebmrepro.config.params import Params, Suite
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
    return _experiment(suite, among, seeds, [f"{stage}@{suite}"])


def anew(claim: Claim, suite: str, settings: Params, there: carried.Seeds) -> str:
    """What would make a claim's numbers where they lack, beside what is carried: DVC removes what
    it makes again. Empty where params.yaml has no block of the suite for one of its systems, or
    nothing lacks that a training would give.
    """
    statistics = [test.statistic for test in claim.tests]
    names = form.trained(statistics)
    asked = settings.suites.get(suite)
    if asked is None or not all(_has_block(name, asked) for name in names):
        return ""
    seen = claim.changed.seen.get(suite, []) if claim.changed else []
    seeds = [*islice((k for k in count() if k not in seen), claim.seeds[suite])]
    lacking = {
        name: sorted({*seeds, *there.get(name, [])})
        for name in form.systems(statistics)
        if not {*seeds} <= {*there.get(name, [])}
    }
    trained = [name for name in there if not carried.stage(name).trains]
    among = [*dict.fromkeys([*trained, *names])]
    stages = form.stages(statistics)
    found = [carried_again(suite, lacking)]
    found += [stage_again(suite, stage, among, seeds) for stage in stages]
    return " && ".join(filter(None, found))


def _has_block(name: str, suite: Suite) -> bool:
    """A study has a key of the suite, by the name of its stage."""
    stage = carried.stage(name)
    if stage.trains:
        return getattr(suite, stage.name, None) is not None
    return name == "dbn" or name in suite.methods


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
