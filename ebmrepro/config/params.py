"""params.yaml as a whole: what is run, and every suite."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from ebmrepro.config.campaign import FURTHER, Campaign
from ebmrepro.config.classifiers import Classifiers
from ebmrepro.config.data import Data, image_shape
from ebmrepro.config.declarations import (
    available_methods,
    available_sources,
    declared,
    hparams_class,
    source_facts,
)
from ebmrepro.config.documents import (
    ParamsError,
    Strict,
    dotted,
    known,
    nearest,
    read_yaml,
    rule,
    shown,
)
from ebmrepro.config.evaluation import Evaluate
from ebmrepro.config.grid import Grid
from ebmrepro.config.linear_codes import LinearCodes
from ebmrepro.config.networks import AnyNet, misfit
from ebmrepro.config.plane import Fundamentals
from ebmrepro.config.tour import Tour
from ebmrepro.config.training import Block, base, scaled
from ebmrepro.config.types import NAME, NOT_A_NAME, Once, PositiveFraction, Seeds, Some
from ebmrepro.config.validation import validate

NEEDED = ("run", "fundamentals")  # blocks at the top of params.yaml
OWN = (*NEEDED, "campaign")  # which may be there; all others are suites
# Blocks that a suite may have -> the list of `run` that names the suites whose block is run.
STUDIES = {"grid": "grids", "classifiers": "classifiers", "linear_codes": "linear_codes"}


class Suite(Strict):
    budget: PositiveFraction  # of every epoch count; a block's own epoch_fraction multiplies it
    data: Data
    dbn: Block
    evaluate: Evaluate
    tour: Tour
    methods: dict[str, Block]
    grid: Grid | None = None  # the key is left out where a suite has none
    classifiers: Classifiers | None = None  # likewise
    linear_codes: LinearCodes | None = None  # likewise

    def block(self, name: str) -> Block:
        return self.dbn if name == "dbn" else self.methods[name]

    @property
    def blocks(self) -> Iterator[tuple[str, str, Block]]:
        """(place in the suite, name, block) of every system."""
        yield "dbn", "dbn", self.dbn
        yield from ((f"methods.{name}", name, block) for name, block in self.methods.items())

    @rule
    def _compared_images_exist(self):
        data, evaluate, inception = self.data, self.evaluate, self.evaluate.inception
        compared = {"split": evaluate.split, "inception.split": inception and inception.split}
        for key, split in compared.items():
            if split == "validation" and not data.validation:
                raise ValueError(
                    f"evaluate.{key}: found 'validation', but data.validation holds out no image"
                )
        real = data.test if evaluate.split == "test" else data.validation
        for count, kind in (
            (evaluate.generated, "generated images"),
            (real, f"images in data.{evaluate.split}"),
        ):
            if inception and inception.splits > count:
                raise ValueError(
                    f"evaluate.inception.splits: found {inception.splits}; there are {count} {kind}"
                )
            if evaluate.neighbours >= count:
                raise ValueError(
                    f"evaluate.neighbours: found {evaluate.neighbours}; {count} {kind} have at "
                    f"most {count - 1} neighbours each"
                )
        return self


class Training(NamedTuple):
    """One system of one suite from one seed."""

    suite: str
    name: str
    seed: int

    @property
    def label(self) -> str:
        return f"{self.suite} {self.name} seed {self.seed}"


class Run(Strict):
    """What `dvc repro` regenerates."""

    suites: Annotated[list[str], Some, Once]
    methods: Annotated[list[str], Once]  # beside the DBN
    variants: Annotated[list[str], Once]
    seeds: Seeds
    grids: Annotated[list[str], Once]  # suites whose `grid` is run
    classifiers: Annotated[list[str], Once]  # suites whose `classifiers` are
    linear_codes: Annotated[list[str], Once]  # suites whose `linear_codes` are

    @property
    def names(self) -> list[str]:
        """Every system of the run, the DBN first."""
        return ["dbn", *self.methods, *self.variants]

    @property
    def trainings(self) -> Iterator[Training]:
        return (Training(s, n, k) for s in self.suites for n in self.names for k in self.seeds)


class Params(Strict):
    run: Run
    fundamentals: Fundamentals
    suites: dict[str, Suite]
    campaign: dict[str, Campaign]  # suite -> what is trained of it for days

    def suite(self, name: str) -> Suite:
        return self.suites[known(name, self.suites, "params.yaml", "suite")]

    def trains(self, training: Training) -> str:
        """Which command trains it, in words."""
        suite, name, seed = training
        if training in self.run.trainings:
            return "`dvc repro` trains it"
        asked = self.campaign.get(suite)
        if asked and seed in asked.seeds[: asked.systems.get(name, 0)]:
            return f"`ebmrepro campaign {suite}/{name}/{seed}` trains it"
        return "it is neither in `run` of params.yaml nor in `campaign`"

    def grid(self, suite: str) -> Grid:
        """The grid of a suite; ParamsError where it has none."""
        return self._part(suite, "grid", "params.yaml")

    def classifiers(self, suite: str) -> Classifiers:
        """What its DBN's errors are held against; ParamsError where there is nothing."""
        return self._part(suite, "classifiers", "params.yaml")

    def linear_codes(self, suite: str) -> LinearCodes:
        """What its auto-encoder's error is held against; ParamsError where there is nothing."""
        return self._part(suite, "linear_codes", "params.yaml")

    def _part(self, suite: str, key: str, place: str) -> Any:
        """A block that a suite may have."""
        suites = {name: one for name, one in self.suites.items() if not name.endswith(FURTHER)}
        there = {name: part for name, one in suites.items() if (part := getattr(one, key))}
        return there[known(suite, there, place, f"suite with `{key}`")]

    def block(self, suite: str, name: str) -> Block:
        """The block of one system with its epochs times the suite's budget and its own fraction."""
        suite_params = self.suite(suite)
        where = f"params.yaml: {suite}.methods"
        block = suite_params.block(known(name, ["dbn", *suite_params.methods], where, "method"))
        part = suite_params.budget * block.epoch_fraction
        return scaled(block, part)


def load(path: str | Path = "params.yaml") -> Params:
    """Read and check the whole file.

    Raises:
        ParamsError: the file is missing, is not YAML 1.2, or holds a wrong key or value.
    """
    return check(read_yaml(path), Path(path))


def check(tree: Mapping[str, Any], path: Path) -> Params:
    """What stands in the file, as parameters; `load` says what is raised."""
    for name in NEEDED:
        if name not in tree:
            raise ParamsError(f"{path}: {name}: this key is missing at the top")
    run = validate(Run, tree["run"], path, ("run",))
    fundamentals = validate(Fundamentals, tree["fundamentals"], path, ("fundamentals",))
    blocks = {name: block for name, block in tree.items() if name not in OWN}
    if misspelt := next((name for name in blocks if not NAME.fullmatch(name)), None):
        raise ParamsError(f"{path}: {dotted([misspelt])}: {NOT_A_NAME}{nearest(misspelt, OWN)}")
    suites = {
        name: _with_hparams(validate(Suite, block, path, (name,)), path, name)
        for name, block in blocks.items()
    }
    asked = tree.get("campaign", {})
    if not isinstance(asked, Mapping):
        raise ParamsError(f"{path}: campaign: found {shown(asked)}; allowed is a block of suites")
    campaign = {
        name: validate(Campaign, block, path, ("campaign", str(name)))
        for name, block in asked.items()
    }
    for name in campaign:
        if name.endswith(FURTHER):
            whose = name.removesuffix(FURTHER)
            suites[name] = suites[known(whose, suites, f"{path}: campaign.{name}", "suite")]
    params = Params(run=run, fundamentals=fundamentals, suites=suites, campaign=campaign)
    _check_run(params, path)
    _check_campaign(params, path)
    return params


def flatten(tree: object, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys: {"a": {"b": 1}} -> {"a.b": 1}. Lists are values."""
    if not isinstance(tree, Mapping):
        return {prefix: tree}
    return {
        dotted: value
        for key, child in tree.items()
        for dotted, value in flatten(child, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def digest(tree: object) -> str:
    """sha256 of the canonical JSON of `tree`."""
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _check_run(params: Params, path: Path) -> None:
    run = params.run
    suites = {name: suite for name, suite in params.suites.items() if not name.endswith(FURTHER)}
    for suite in run.suites:
        known(suite, suites, f"{path}: run.suites", "suite")
        there = params.suites[suite].methods
        for key, names in (("methods", run.methods), ("variants", run.variants)):
            for name in names:
                known(name, there, f"{path}: run.{key}: {suite}.methods", "block")
                if ("__" in name) != (key == "variants"):
                    raise ParamsError(
                        f"{path}: run.{key}: found {name!r}; run.methods takes names of methods, "
                        "run.variants names of the form <method>__<variant>"
                    )
    for key, listed in STUDIES.items():
        for suite in getattr(run, listed):
            params._part(suite, key, f"{path}: run.{listed}")
    for suite in run.classifiers:
        _check_classifiers(params.suites[suite], f"{path}: {suite}")
    for name, suite in suites.items():
        for other in suite.tour.others:
            others = [n for n in suites if n != name]
            known(other, others, f"{path}: {name}.tour.others", "suite")


def _check_campaign(params: Params, path: Path) -> None:
    for suite, asked in params.campaign.items():
        place = f"{path}: campaign"
        known(suite, params.suites, place, "suite")
        for name in asked.systems:
            known(name, ["dbn", *params.suites[suite].methods], f"{place}.{suite}.systems", "block")


def _with_hparams(suite: Suite, path: Path, name: str) -> Suite:
    """The suite with the hyper-parameters of each method as its own class, all checked."""
    known(suite.data.source, available_sources(), f"{path}: {name}.data.source", "source")
    images = _training_images(suite.data, f"{path}: {name}.data")
    shape = image_shape(suite.data)
    checked: dict[str, Block] = {}
    for key, system, block in suite.blocks:
        place = (name, *key.split("."))
        where = f"{path}: {dotted(place)}"
        if key == "methods.dbn":
            raise ParamsError(f"{where}: the DBN's block stands beside `methods`, not in it")
        known(base(system), available_methods(), where, "method")
        if "__" in system and not NAME.fullmatch(system.partition("__")[2]):
            raise ParamsError(f"{where}: found no name of a variant after `__`; {NOT_A_NAME}")
        hparams = validate(hparams_class(system), block.hparams, path, (*place, "hparams"))
        checked[key] = block.model_copy(update={"hparams": hparams})
        _check_players(block, system, where)
        _check_batch(checked[key], system, images, where)
        for part, net in hparams:
            if shape and isinstance(net, AnyNet):
                width = getattr(hparams, "z" if part == "G" else "code", 1)
                if why := misfit(net, shape, width):
                    raise ParamsError(f"{where}.hparams.{part}.{why}{_sized(suite)}")
    if suite.grid:
        where = f"{path}: {name}.grid"
        _check_size(suite.grid.batch_size, images, where)
        _check_size(suite.grid.classifier.batch_size, images, f"{where}.classifier")
        if shape:
            around = 2 * suite.grid.padding
            padded = (shape[0], shape[1] + around, shape[2] + around)
            if why := misfit(suite.grid.classifier.network, padded, 1):
                raise ParamsError(f"{where}.classifier.network.{why}{_sized(suite)}")
    methods = {m: checked[f"methods.{m}"] for m in suite.methods}
    return suite.model_copy(update={"dbn": checked["dbn"], "methods": methods})


def _training_images(data: Data, where: str) -> float:
    """How many there are, infinity where only the data can say; the block fits its source."""
    facts = source_facts(data.source)
    for key in ("image", "folder"):
        if (key in facts.takes) == (getattr(data, key) is not None):
            continue
        if key in facts.takes:
            raise ParamsError(
                f"{where}.{key}: this key is missing; {data.source} needs {', '.join(facts.takes)}"
            )
        takers = [name for name in available_sources() if key in source_facts(name).takes]
        raise ParamsError(
            f"{where}.{key}: {data.source} takes no such key; those that do are {', '.join(takers)}"
        )
    if facts.test and data.test != facts.test:
        raise ParamsError(
            f"{where}.test: found {data.test}; {data.source} has an official test split, "
            f"so it is {facts.test}"
        )
    images = facts.images or math.inf
    for key, count in (("test", data.test), ("validation", data.validation)):
        if count >= images:
            raise ParamsError(
                f"{where}.{key}: found {count}; there are {images} images to draw from, so at most "
                f"{images - 1}"
            )
        images -= count
    return images


def _check_players(block: Block, system: str, where: str) -> None:
    """Each player has an optimiser and each optimiser a player."""
    players = declared(system).get("players")
    if players is None:
        raise ParamsError(
            f"ebmrepro/methods/{base(system)}.py: players: found none; the class of a method names "
            'them, such as `players = ("G", "D")`'
        )
    listed = f"the players of {base(system)} are {', '.join(players)}"
    for key, names in (("optim", block.optim), ("ema", block.ema or {})):
        if unknown := next((name for name in names if name not in players), None):
            hint = f"{listed}{nearest(unknown, players)}"
            raise ParamsError(f"{where}.{key}.{dotted([unknown])}: unknown player; {hint}")
    if lacking := [player for player in players if player not in block.optim]:
        raise ParamsError(f"{where}.optim.{lacking[0]}: this key is missing; {listed}")


def _check_batch(block: Block, system: str, images: float, where: str) -> None:
    size, least = block.batch_size, declared(system).get("smallest_batch", 1)
    why = f"{base(system)} compares the images of a batch"
    normed = [key for key, net in block.hparams if getattr(net, "batch_norm", False)]
    if least < 2 and normed:
        least, why = 2, f"hparams.{normed[0]}.batch_norm takes statistics over a batch"
    if size < least:
        raise ParamsError(f"{where}.batch_size: found {size}; at least {least}, because {why}")
    _check_size(size, images, where)


def _sized(suite: Suite) -> str:
    """Where a suite says how large its images are, for who changed that."""
    image = suite.data.image
    return f"; data.image.size is {image.size}" if image else ""


def _check_classifiers(suite: Suite, where: str) -> None:
    """They leave images to learn from; of a suite that is not asked for them it does not matter."""
    asked = suite.classifiers
    assert asked is not None
    images, where = _training_images(suite.data, f"{where}.data"), f"{where}.classifiers"
    for key, network in (("two_layers", asked.two_layers), ("one_layer", asked.one_layer)):
        found, left = f"{where}.{key}", images - network.held_out
        if network.batch_size > left:
            raise ParamsError(
                f"{found}.batch_size: found {network.batch_size}; held_out, {network.held_out}, "
                f"leaves {max(left, 0)} of the {_left(images)}"
            )
    known("dbn_updown", suite.methods, where, "block")  # the stage depends on it in any case
    if chosen := asked.selected:
        if chosen.first + chosen.held_out > images:
            raise ParamsError(
                f"{where}.selected: found first {chosen.first} and held_out {chosen.held_out}; "
                f"there are {_left(images)}"
            )
        batch = suite.block("dbn_updown").batch_size
        if chosen.first < batch:
            raise ParamsError(
                f"{where}.selected.first: found {chosen.first}; a batch of dbn_updown has {batch}"
            )


def _check_size(size: int, images: float, where: str) -> None:
    if size > images:
        raise ParamsError(f"{where}.batch_size: found {size}; there are {_left(images)}")


def _left(images: float) -> str:
    return f"{images} training images that data.test and data.validation leave"
