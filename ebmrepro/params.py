"""The shape of params.yaml, strict and free of torch.

The file is read as YAML 1.2, as DVC reads it: under YAML 1.1, `1e-4` is a string and `no` is false.
A wrong file raises `ParamsError`, whose message is one line: place, what was found, what is
allowed.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import json
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

METHODS = Path(__file__).parent / "methods"
SOURCES = Path(__file__).parent / "data"
SOURCE_HELPERS = {"__init__", "batches", "check", "files", "idx", "probes", "splits"}


class UserError(ValueError):
    """What a person can mend; the message is one line that names the place and what is allowed."""


class ParamsError(UserError):
    """A wrong params.yaml or command line."""


class Strict(BaseModel):
    """No unknown keys, no coercion, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _Scaled:
    """Marks a number of epochs, which a suite's `budget` multiplies."""


Count = Annotated[int, Field(ge=1)]
Several = Annotated[int, Field(ge=2)]
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
    generated: Several  # images drawn from each model
    energies: Several  # images per set whose energy is measured, at most
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
        return self.suites[_known(name, self.suites, "params.yaml", "suite")]

    def block(self, suite: str, name: str) -> Block:
        """The block of one system with the suite's budget applied to its epoch counts."""
        suite_params = self.suite(suite)
        where = f"params.yaml: {suite}.methods"
        block = suite_params.block(_known(name, ["dbn", *suite_params.methods], where, "method"))
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
    try:
        tree = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run in the project's folder") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict) or "run" not in tree:
        raise ParamsError(f"{path}: found no `run` block at the top")
    suites = {str(name): block for name, block in tree.items() if name != "run"}
    params = _validate(Params, {"run": tree["run"], "suites": suites}, path, ())
    checked = {name: _with_hparams(suite, path, name) for name, suite in params.suites.items()}
    params = params.model_copy(update={"suites": checked})
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
    method = _known(base(name), available_methods(), "params.yaml", "method")
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


def nearest(found: str, allowed: typing.Iterable[str]) -> str:
    """`; did you mean X?` when some allowed name is close, else nothing."""
    close = difflib.get_close_matches(found, list(allowed), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _known(found: str, allowed: typing.Iterable[str], where: str, kind: str) -> str:
    allowed = list(allowed)
    if found in allowed:
        return found
    listed = ", ".join(allowed)
    raise ParamsError(f"{where}: no {kind} {found!r}; there are {listed}{nearest(found, allowed)}")


def _check_run(params: Params, path: Path) -> None:
    run = params.run
    for suite in run.suites:
        _known(suite, params.suites, f"{path}: run.suites", "suite")
        there = params.suites[suite].methods
        for key, names in (("methods", run.methods), ("variants", run.variants)):
            for name in names:
                _known(name, there, f"{path}: run.{key}: {suite}.methods", "block")
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
    _known(suite.data.source, available_sources(), f"{path}: {name}.data.source", "source")

    def checked(block: Block, key: str, method: str) -> Block:
        _known(base(method), available_methods(), f"{path}: {name}.{key}", "method")
        place = (name, *key.split("."), "hparams")
        hparams = _validate(hparams_class(method), block.hparams, path, place)
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


def _validate(model: type[Any], tree: object, path: Path, place: tuple[str, ...]) -> Any:
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    # A misspelt key is missing under its right name as well; what stands in the file is said first.
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    keys = [str(key) for key in first["loc"]]
    if place == () and keys[:1] == ["suites"]:
        keys = keys[1:]
    where = f"{path}: {'.'.join([*place, *_without_tags(keys, tree, place)])}"
    found = first["input"]
    if first["type"] == "missing":
        raise ParamsError(f"{where}: this key is missing")
    if first["type"] == "extra_forbidden":
        allowed = _siblings(model, first["loc"], tree)
        listed = ", ".join(allowed)
        raise ParamsError(
            f"{where}: unknown key; allowed are {listed}{nearest(str(first['loc'][-1]), allowed)}"
        )
    if isinstance(found, Mapping):
        found = "a block of keys"
    elif isinstance(found, str):
        found = repr(found)
    message = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
    raise ParamsError(f"{where}: found {found}; it {message}")


def _without_tags(keys: list[str], tree: object, place: tuple[str, ...]) -> list[str]:
    """Pydantic puts a union's tag into the place (`G.mlp.hidden`); the file has none."""
    if place == () and isinstance(tree, Mapping):
        tree = tree["suites"] if keys[:1] != ["run"] else tree
    kept: list[str] = []
    for key in keys:
        if isinstance(tree, Mapping) and key in tree:
            tree, kept = tree[key], [*kept, key]
        elif isinstance(tree, list) and key.isdigit():
            tree, kept = tree[int(key)] if int(key) < len(tree) else None, [*kept, key]
        elif key == keys[-1]:
            kept.append(key)
    return kept


def _siblings(model: type[Any], loc: tuple[Any, ...], tree: object) -> list[str]:
    """The keys allowed at the place where an unknown one was found."""
    kind: Any = model
    for key in loc[:-1]:
        kind = _child(kind, key)
    return list(kind.model_fields)


def _child(kind: Any, key: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        kind = kind.model_fields[key].annotation if key in kind.model_fields else kind
    else:
        arguments = [a for a in typing.get_args(kind) if a is not type(None)]
        if typing.get_origin(kind) is dict:
            kind = arguments[1]
        elif typing.get_origin(kind) is list:
            kind = arguments[0]
        else:  # a union of blocks: the key is the tag
            kind = next(
                a
                for a in arguments
                if any(key in typing.get_args(f.annotation) for f in a.model_fields.values())
            )
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind
