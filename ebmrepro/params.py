"""The shape of params.yaml, strict and free of torch.

`documents.py` reads the file and says what is wrong with it, in one line; here is what is allowed.
"""

from __future__ import annotations

import ast
import hashlib
import json
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import Field

from ebmrepro.documents import ParamsError, Strict, known, read_yaml, validate
from ebmrepro.documents import UserError as UserError
from ebmrepro.documents import nearest as nearest
from ebmrepro.documents import rule as rule

METHODS = Path(__file__).parent / "methods"
SOURCES = Path(__file__).parent / "data"
SOURCE_HELPERS = {"__init__", "batches", "check", "files", "idx", "probes", "splits"}


class _Scaled:
    """Marks a number of epochs, which a suite's `budget` multiplies."""


Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]  # of a running mean
Epochs = Annotated[int, Field(ge=1), _Scaled()]
Reduction = Literal["norm", "sum_sq", "mean_sq", "mean_abs"]
Activation = Literal["relu", "leaky_relu", "elu"]


class MLP(Strict):
    """Fully connected layers, input to output; a decoder or generator names its own widths."""

    kind: Literal["mlp"]
    hidden: list[Count]
    activation: Activation
    batch_norm: bool


class Conv(Strict):
    """4x4 convolutions of stride 2, from the image side; a generator runs them backwards."""

    kind: Literal["conv"]
    channels: Annotated[list[Count], Field(min_length=1)]
    activation: Activation
    batch_norm: bool


Net = Annotated[Union[MLP, Conv], Field(discriminator="kind")]  # noqa: UP007 (read by ast)


class Adam(Strict):
    """Kingma and Ba (2015)."""

    name: Literal["adam"]
    lr: Positive
    beta1: Decay
    beta2: Decay


class Adamax(Strict):
    """Kingma and Ba (2015), section 7.1."""

    name: Literal["adamax"]
    lr: Positive
    beta1: Decay
    beta2: Decay


class Momentum(Strict):
    """`initial` in the first `epochs` epochs in which the player moves, `final` afterwards."""

    initial: Decay
    final: Decay
    epochs: Natural


class SGD(Strict):
    """Gradient descent; weights (not biases) decay, inside the learning-rate bracket."""

    name: Literal["sgd"]
    lr: Positive
    momentum: Momentum
    weight_decay: NonNegative


Optim = Annotated[Adam | Adamax | SGD, Field(discriminator="name")]


class Block(Strict):
    """One system of one suite: all numbers of its training."""

    batch_size: Count
    grids: Count  # image grids at fixed z written over the training
    optim: dict[str, Optim]  # player -> its optimiser
    hparams: Any  # the method's own class, see `hparams_class`


class Data(Strict):
    source: str
    test: Count  # images in the test split
    validation: Natural  # images held out from the training split; 0 for a final run
    split_seed: int


class Evaluate(Strict):
    split: Literal["test", "validation"]  # real images that generated ones are compared with
    generated: Count  # images drawn from each model
    energies: Count  # images per set whose energy is measured, at most
    seed: int  # of the draws
    neighbours: Count  # k of improved precision and recall
    coverage_share: Share  # a class is covered when this share of the images is of it ...
    coverage_confidence: Share  # ... with at least this probability


class Suite(Strict):
    budget: Share  # share of every epoch count that is run
    data: Data
    dbn: Block
    evaluate: Evaluate
    methods: dict[str, Block]

    def block(self, name: str) -> Block:
        return self.dbn if name == "dbn" else self.methods[name]


class Run(Strict):
    """What `dvc repro` regenerates."""

    suites: Annotated[list[str], Field(min_length=1)]
    methods: Annotated[list[str], Field(min_length=1)]
    variants: list[str]
    seeds: Annotated[list[Natural], Field(min_length=1)]

    @property
    def names(self) -> list[str]:
        """Every system of the run, the DBN first."""
        return ["dbn", *self.methods, *self.variants]

    @property
    def trainings(self) -> Iterator[tuple[str, str, int]]:
        """(suite, name, seed) of every training."""
        return ((s, n, k) for s in self.suites for n in self.names for k in self.seeds)


class Params(Strict):
    run: Run
    suites: dict[str, Suite]

    def suite(self, name: str) -> Suite:
        return self.suites[known(name, self.suites, "params.yaml", "suite")]

    def block(self, suite: str, name: str) -> Block:
        """The block of one system with the suite's budget applied to its epoch counts."""
        suite_params = self.suite(suite)
        where = f"params.yaml: {suite}.methods"
        block = suite_params.block(known(name, ["dbn", *suite_params.methods], where, "method"))
        return block.model_copy(update={"hparams": _scale(block.hparams, suite_params.budget)})


def base(name: str) -> str:
    """The method of a name: `began` of `began` and of its variant `began__gamma_low`."""
    return name.partition("__")[0]


def load(path: str | Path = "params.yaml") -> Params:
    """Read and check the whole file.

    Raises:
        ParamsError: the file is missing, is not YAML 1.2, or holds a wrong key or value.
    """
    path = Path(path)
    tree = read_yaml(path)
    if "run" not in tree:
        raise ParamsError(f"{path}: run: this key is missing at the top")
    run = validate(Run, tree.pop("run"), path, ("run",))
    suites = {name: validate(Suite, block, path, (name,)) for name, block in tree.items()}
    checked = {name: _with_hparams(suite, path, name) for name, suite in suites.items()}
    params = Params(run=run, suites=checked)
    _check_run(params, path)
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


@cache
def hparams_class(name: str) -> type[Strict]:
    """`Hparams` of a method, read from its file without running it.

    Running the file would import torch, which takes seconds; checking params.yaml must not.
    The class may therefore use only the names of this module and of `typing`.
    """
    method = known(base(name), available_methods(), "params.yaml", "method")
    path = METHODS / f"{method}.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef) and node.name == "Hparams":
            code = compile(ast.Module([node], []), str(path), "exec", dont_inherit=True)
            names = {**vars(typing), **globals(), "__name__": f"ebmrepro.methods.{method}"}
            exec(code, names)
            return names["Hparams"]
    raise ParamsError(f"{path.name}: found no class Hparams")


def available_methods() -> list[str]:
    return sorted(path.stem for path in METHODS.glob("*.py") if path.stem != "__init__")


def available_sources() -> list[str]:
    return sorted(p.stem for p in SOURCES.glob("*.py") if p.stem not in SOURCE_HELPERS)


def _check_run(params: Params, path: Path) -> None:
    run = params.run
    for suite in run.suites:
        known(suite, params.suites, f"{path}: run.suites", "suite")
        there = params.suites[suite].methods
        for key, names in (("methods", run.methods), ("variants", run.variants)):
            for name in names:
                known(name, there, f"{path}: run.{key}: {suite}.methods", "block")
                if ("__" in name) != (key == "variants"):
                    raise ParamsError(
                        f"{path}: run.{key}: found {name!r}; run.methods takes names of methods, "
                        "run.variants names of the form <method>__<variant>"
                    )
    for key in ("suites", "methods", "variants", "seeds"):
        values = getattr(run, key)
        if len(set(values)) != len(values):
            raise ParamsError(f"{path}: run.{key}: found {values}, each may stand there once")
    for name, suite in params.suites.items():
        if suite.evaluate.split == "validation" and not suite.data.validation:
            raise ParamsError(
                f"{path}: {name}.evaluate.split: found 'validation', but "
                f"{name}.data.validation holds out no image"
            )


def _with_hparams(suite: Suite, path: Path, name: str) -> Suite:
    known(suite.data.source, available_sources(), f"{path}: {name}.data.source", "source")

    def checked(block: Block, key: str, method: str) -> Block:
        known(base(method), available_methods(), f"{path}: {name}.{key}", "method")
        place = (name, *key.split("."), "hparams")
        hparams = validate(hparams_class(method), block.hparams, path, place)
        return block.model_copy(update={"hparams": hparams})

    methods = {m: checked(block, f"methods.{m}", m) for m, block in suite.methods.items()}
    return suite.model_copy(
        update={"dbn": checked(suite.dbn, "dbn", "dbn"), "methods": methods},
    )


def _scale(hparams: Strict, budget: float) -> Strict:
    fields = type(hparams).model_fields
    scaled = {
        key: max(1, round(getattr(hparams, key) * budget))
        for key, field in fields.items()
        if any(isinstance(mark, _Scaled) for mark in field.metadata)
    }
    return hparams.model_copy(update=scaled)
