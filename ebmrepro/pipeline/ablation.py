"""An ablation as one DVC experiment: a system and a variant of it, made by the same run.

The variant is a block of its own, `<method>__<what is changed>`, as `ebmrepro variant` would write
it, but only in the experiment: DVC runs it in a workspace of its own, and params.yaml, models and
results here stay as they are. The system itself is a target too, so that both have the same code,
data, DBN and machine behind them. What has been trained before comes from DVC's cache.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ebmrepro.config import estimate
from ebmrepro.config.documents import known, read_yaml
from ebmrepro.config.params import OWN, check, digest
from ebmrepro.config.training import base
from ebmrepro.config.variant import changed, place_of
from ebmrepro.pipeline import before
from ebmrepro.pipeline.outlook import Outlook, training
from ebmrepro.pipeline.repro import DRIVER, attended, environment, warm
from ebmrepro.runs import carried
from ebmrepro.runs.carried import counted, duration
from ebmrepro.system import git
from ebmrepro.system.errors import UserError

FILE = Path("params.yaml")
LONGEST = 40  # letters of what a variant is called after its method
# What DVC says besides: of outputs that are made for the first time, after each stage, at the end.
HUSHED = r"No file hash info found|^Updating lock file|^\s*$|^To apply the results|dvc exp apply"
LONG = 600.0  # seconds, from which on a price is named before anything is run
FAMILIAR = ("hparams", "optim")  # parts of a key that every block has


class Ablation(NamedTuple):
    """What is to be run, and what it will be called."""

    name: str  # of DVC's experiment
    suite: str
    system: str
    variant: str
    seeds: Sequence[int]
    overrides: Sequence[str]  # of params.yaml, as `dvc exp run -S` takes them
    targets: Sequence[str]  # stages

    @property
    def command(self) -> list[str]:
        """Of `dvc`, without --force, which would train again what is in the cache."""
        changes = [word for each in self.overrides for word in ("-S", each)]
        return ["exp", "run", "--temp", "-n", self.name, *changes, *self.targets]


def plan(suite: str, system: str, changes: Sequence[str], path: Path = FILE) -> Ablation:
    """The ablation of a system by KEY=VALUE, dotted keys of its block and values as YAML has them.

    Raises:
        ParamsError: a suite, system, key or value is wrong; the message is that of params.yaml.
    """
    tree = read_yaml(path)
    settings = check(tree, path)
    known(suite, [key for key in tree if key not in OWN], str(path), "suite")
    here, run = settings.suite(suite), tree["run"]
    methods = tree[suite]["methods"]
    known(system, ["dbn", *here.methods], f"{path}: {suite}.methods", "method")
    block = tree[suite]["dbn"] if system == "dbn" else methods[system]
    block = changed(block, changes, f"{path}: {place_of(suite, system)}")
    check({**tree, suite: _with(tree[suite], system, block)}, path)  # a wrong key is named there
    variant = _name(system, changes, block, methods)
    methods[variant] = block
    overrides = []
    if variant not in here.methods:
        overrides.append(f"+{suite}.methods.{variant}={_in_hydra(block)}")
    if suite not in run["suites"]:  # all that its stages are made of is named, nothing else
        method = (
            base(system) if base(system) != "dbn" else next(m for m in methods if "__" not in m)
        )
        run |= {"suites": [suite], "methods": [method], "variants": []}
        overrides += [f"run.{key}={_in_hydra(run[key])}" for key in ("suites", "methods")]
    if system == base(system) and system not in (*run["methods"], "dbn"):
        run["methods"] = [*run["methods"], system]
        overrides.append(f"run.methods={_in_hydra(run['methods'])}")
    listed = [*run["methods"], "dbn", *run["variants"]]
    more = [s for s in (system, variant) if s not in listed]
    if more or run["variants"] != settings.run.variants:
        run["variants"] = [*run["variants"], *more]
        overrides.append(f"run.variants={_in_hydra(run['variants'])}")
    estimate.fits(check(tree, path))
    targets = [t for s in (system, variant) for t in carried.targets(suite, s, run["seeds"])]
    name = f"{suite}-{variant}"
    return Ablation(name, suite, system, variant, run["seeds"], overrides, targets)


def price(ablation: Ablation, outlook: Outlook, jobs: int) -> float | None:
    """Seconds of its trainings if none has been run before; None where no record says.

    The variant is taken to be as slow as its system.
    """
    system = ablation.system
    trained = dict.fromkeys(["dbn", system]), [system]  # of the variant's time we know as much
    stages = [
        [training(ablation.suite, name, k) for name in names for k in ablation.seeds]
        for names in trained
    ]
    times = [outlook.left(each, jobs) for each in stages]
    known = [seconds for seconds in times if seconds is not None]
    return sum(known) if len(known) == len(times) else None


def in_words(ablation: Ablation, seconds: float | None) -> str:
    """How long it may take, in a line."""
    own = f"{ablation.suite}, {counted(len(ablation.seeds), 'seed')}"
    about = "no record says how long the trainings take"
    if seconds is not None:
        about = f"trainings up to about {duration(seconds)}, less for those in DVC's cache"
    return f"{ablation.system} and {ablation.variant} on {own}: {about}"


def run(ablation: Ablation, root: Path, jobs: int = 1) -> None:
    """Run it by DVC; its results are then those of the experiment of its name.

    Args:
        jobs: stages to run at once.

    Raises:
        UserError: the folder is no pipeline in git, or DVC stopped, which says why above.
    """
    before.in_project(root, "dvc.yaml")
    before.in_git(root)
    head = git.commit(root, "HEAD")
    if not head:
        raise UserError(f"{root.resolve()}: DVC's experiments need a commit of git to stand on")
    # The same ablation has the same name, and takes the place of the last one on this commit.
    place = git.experiment(head, ablation.name)
    aside = git.experiment(head, ablation.name, git.ASIDE)
    if last := git.commit(root, place) or git.commit(root, aside):
        git.ask(root, "update-ref", aside, last)
    git.ask(root, "update-ref", "-d", place)
    with warm(root, environment(jobs)) as around:
        driver = [*DRIVER, "--jobs", str(jobs), *ablation.command]
        status = attended(driver, root, around, HUSHED)
    if status and last:
        git.ask(root, "update-ref", place, last)
    git.ask(root, "update-ref", "-d", aside)
    if status:
        raise UserError(
            f"dvc exp run -n {ablation.name}: ended with code {status}; nothing changed"
        )


def _name(system: str, changes: Sequence[str], block: object, methods: Mapping[str, object]) -> str:
    """The method's name and what is changed; that of a variant in the file that is the same."""
    own = (name for name in methods if base(name) == base(system) and name != system)
    if there := next((name for name in own if methods[name] == block), None):
        return there
    keys = [change.partition("=") for change in changes]
    words = [
        ".".join(k for k in key.split(".") if k not in FAMILIAR) + f" {v}" for key, _, v in keys
    ]
    already = system.partition("__")[2]
    told = re.sub(r"[^a-z0-9]+", "_", " ".join([already, *words]).lower()).strip("_")
    if len(told) > LONGEST or f"{base(system)}__{told}" in methods or not told[0].isalpha():
        told = f"v{digest(block)[:6]}_{told}"[:LONGEST].strip("_")
    return f"{base(system)}__{told}"


def _with(suite: Mapping[str, Any], system: str, block: object) -> Mapping[str, Any]:
    if system == "dbn":
        return {**suite, "dbn": block}
    return {**suite, "methods": {**suite["methods"], system: block}}


def _in_hydra(value: Any) -> str:
    """A value in the grammar that `dvc exp run -S` reads: JSON with bare keys."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_in_hydra(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_in_hydra, value)) + "]"
    return json.dumps(value)
