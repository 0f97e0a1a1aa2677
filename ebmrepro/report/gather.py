"""The files of the runs that params.yaml names, and of carried suites, as plain values.

What is shown of a training is read from results/, which git keeps, so that a suite that was run on
another machine is read as one that was run here. Of its models, which only the machine that trained
them has, nothing is read for a carried suite: its report is the same bytes everywhere.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ebmrepro.config.params import Params, flatten
from ebmrepro.config.training import base
from ebmrepro.report import pictures, words
from ebmrepro.runs import carried
from ebmrepro.system.errors import UserError

Array = np.ndarray[Any, np.dtype[Any]]

SHOWN = 64  # images of a grid: the first of their file, not picked


class ReportError(UserError):
    """A result file that cannot be read; the message is one line for a person."""


@dataclass(frozen=True)
class Run:
    """One training of one system; a part that is not there is empty or None."""

    seed: int
    training: Mapping[str, Any] | None  # training.json
    curves: Mapping[str, Array]  # column -> (epochs,), NaN where nothing was measured
    measured: Mapping[str, Any] | None  # metrics.json
    energies: Mapping[str, Array]  # image set -> (images,)
    generated: Array | None  # uint8 (at most SHOWN, C, H, W)
    progress: Sequence[tuple[int, bytes]]  # (step, PNG of the grid at fixed z)
    filters: Array | None = None  # (visible, hidden), for a DBN
    codes: Mapping[str, Array] = field(default_factory=dict)  # way, (N, 2), and labels (N,)
    rebuilt: Mapping[str, Array] = field(default_factory=dict)  # way -> uint8 (n, C, H, W)
    provenance: Mapping[str, Any] | None = None  # what a carried training ran on

    def value(self, measure: str) -> float | None:
        """A measure's value, None where it was not measured or is not finite."""
        found = (self.measured or {}).get("values", {}).get(measure)
        return None if found is None or not np.isfinite(found) else float(found)


@dataclass(frozen=True)
class Difference:
    """A key in which a variant's block is not its method's."""

    key: str
    method: object
    variant: object


@dataclass(frozen=True)
class System:
    """A method or a variant of one in one suite, with its runs by seed."""

    name: str
    title: str
    base: str
    numbers: Mapping[str, Any]  # its block, dotted keys, with all epochs of params.yaml
    differences: Sequence[Difference]  # empty for a method
    runs: Sequence[Run]

    @property
    def method(self) -> bool:
        """No variant of one."""
        return self.name == self.base

    @property
    def measured(self) -> Sequence[Run]:
        return [run for run in self.runs if run.measured is not None]

    @property
    def first(self) -> Run | None:
        """The run that pictures show: the first seed of params.yaml that was run."""
        return next((run for run in self.runs if run.generated is not None), None)

    def curves(self, column: str) -> Sequence[Array]:
        """The column of each run that has it and measured it."""
        found = (run.curves.get(column) for run in self.runs)
        return [c for c in found if c is not None and len(c) and np.isfinite(c).any()]

    def values(self, measure: str) -> Sequence[float]:
        """A measure's value of each run that has one."""
        return [value for run in self.runs if (value := run.value(measure)) is not None]

    def hparam(self, key: str) -> float | None:
        """A number of its `hparams`, None where it has none of that name."""
        return self.number(f"hparams.{key}")

    def number(self, key: str) -> float | None:
        """A number of its block by its dotted key, None where that is no number."""
        found = self.numbers.get(key)
        if isinstance(found, bool) or not isinstance(found, int | float):
            return None
        return float(found)


@dataclass(frozen=True)
class Tour:
    """The answers to the five questions, as the stage `tour` leaves them."""

    measured: Mapping[str, Any]  # metrics.json
    arrays: Mapping[str, Array]  # `<array>` and `<array>/<system>/<seed>`
    pictures: Mapping[str, bytes]  # `<picture>` and `<picture>-<system>`: PNG

    def values(self, measure: str, system: str = "") -> Sequence[float]:
        """One value per seed that has one."""
        name = f"{measure}@{system}" if system else measure
        return [v for v in self.measured["values"].get(name, {}).values() if v is not None]

    def seeds(self, array: str, system: str) -> Sequence[Array]:
        """An array of each seed of a system."""
        return [v for key, v in self.arrays.items() if key.startswith(f"{array}/{system}/")]


Row = Mapping[str, str]  # of a table: column -> cell


@dataclass(frozen=True)
class Grid:
    """EBGAN's grid of one seed, as the stage `grid` leaves it."""

    seed: int
    measured: Mapping[str, Any]  # metrics.json
    rows: Sequence[Row]  # a model each, in the order of the draw
    margins: Sequence[Row]  # the margin sweep
    pictures: Mapping[str, bytes]  # `best_<kind>` and `margin_<m>`: PNG


@dataclass(frozen=True)
class Suite:
    name: str
    title: str
    carried: bool  # not run here: its results came with the repository
    evaluate: Mapping[str, Any]
    dataset: Mapping[str, Any]  # what data/<suite>/dataset.json holds
    counts: Mapping[str, int]  # split -> images
    real: Array | None  # uint8 (at most SHOWN, C, H, W), of the split compared with
    floor: Mapping[str, float]  # measure -> what real training images score
    floor_protocol: str
    systems: Sequence[System] = field(default_factory=list)
    tour: Tour | None = None
    grids: Sequence[Grid] = ()  # by seed

    @property
    def generators(self) -> Sequence[System]:
        """The systems that are methods, without their variants."""
        return [system for system in self.systems if system.method]

    def with_curve(self, *columns: str) -> Sequence[System]:
        return [s for s in self.systems if all(s.curves(column) for column in columns)]


def gather(root: Path, params: Params) -> Sequence[Suite]:
    """Read what the run of params.yaml has left under `root`, then what is carried there.

    Raises:
        ReportError: a file is there and cannot be read.
    """
    try:
        return [
            *(_run_here(root, params, name) for name in params.run.suites),
            *(_carried(root, params, name) for name in carried.suites(root, params)),
        ]
    except carried.CarriedError as error:
        raise ReportError(str(error)) from error


def _run_here(root: Path, params: Params, name: str) -> Suite:
    """A suite of the run, with places for what is missing; its numbers are those of params.yaml."""
    block = params.suites[name]
    names = [n for n in params.run.names if n == "dbn" or n in block.methods]
    numbers = {n: flatten(block.block(n).model_dump()) for n in names}
    suite = _suite(root, name, block.evaluate.model_dump())
    runs = {
        n: [_with_model(root, name, n, _run(root, suite, n, k)) for k in params.run.seeds]
        for n in names
    }
    return replace(suite, systems=_systems(runs, numbers))


def _carried(root: Path, params: Params, name: str) -> Suite:
    """All that results/<suite>/ holds; its numbers are those that it was run with."""
    # What a stage of its own measures (a grid, say) has a section of its own.
    seeds = {n: own for n, own in carried.systems(root, name).items() if n not in carried.OWN}
    listed = [n for n in ("dbn", *params.suites[name].methods) if n in seeds]
    evaluate = params.suites[name].evaluate.model_dump()
    title = words.suite(name, carried=True)
    suite = replace(_suite(root, name, evaluate), carried=True, title=title)
    known = carried.provenance(root, name)
    runs = {
        n: [replace(_run(root, suite, n, k), provenance=known.get((n, k))) for k in seeds[n]]
        for n in dict.fromkeys([*listed, *seeds])
    }
    return replace(suite, systems=_systems(runs, {n: _ran_with(own) for n, own in runs.items()}))


def _suite(root: Path, name: str, evaluate: Mapping[str, Any]) -> Suite:
    """A suite without its systems; `evaluate` is for where its reference is not there."""
    place = root / "results" / name / "reference"
    told = _json(place / "reference.json") or {}
    dataset = told.get("dataset", {})
    real = _images(place / "real.png", dataset, told.get("count", 0))
    return Suite(
        name=name,
        title=words.suite(name),
        carried=False,
        evaluate=told.get("evaluate", evaluate),
        dataset=dataset,
        counts={split: held["count"] for split, held in dataset.get("splits", {}).items()},
        real=real,
        floor=told.get("floor", {}),
        floor_protocol=told.get("floor_protocol", ""),
        tour=_tour(root / "results" / name / "tour"),
        grids=_grids(root / "results" / name / "ebgan_grid"),
    )


def _ran_with(runs: Sequence[Run]) -> Mapping[str, Any]:
    """The numbers of a training, its epochs as they are before the budget."""
    run = next((run for run in runs if run.training is not None), None)
    if run is None or run.training is None:
        return {}
    epochs = (run.measured or {}).get("budget", {}).get("epochs", {})
    return flatten(run.training["params"]) | {f"hparams.{k}": n["of"] for k, n in epochs.items()}


def _systems(
    runs: Mapping[str, Sequence[Run]], numbers: Mapping[str, Mapping[str, Any]]
) -> Sequence[System]:
    """In the order given, but a variant stands after its method."""
    methods = list(dict.fromkeys(map(base, runs)))
    return [
        _system(name, numbers, runs[name])
        for name in sorted(runs, key=lambda name: methods.index(base(name)))
    ]


def _system(name: str, numbers: Mapping[str, Mapping[str, Any]], runs: Sequence[Run]) -> System:
    method, own = base(name), numbers[name]
    differences: list[Difference] = []
    if name != method and method in numbers:
        theirs = numbers[method]
        differences = [
            Difference(key, theirs.get(key), own.get(key))
            for key in sorted({*theirs, *own} - {"share"})  # how much was run of the same training
            if theirs.get(key) != own.get(key)
        ]
    return System(
        name=name,
        title=words.system(name, [(d.key, d.variant) for d in differences]),
        base=method,
        numbers=own,
        differences=differences,
        runs=runs,
    )


def _run(root: Path, suite: Suite, name: str, seed: int) -> Run:
    result = root / "results" / suite.name / name / str(seed)
    count = suite.evaluate.get("generated", 0)
    return Run(
        seed=seed,
        training=_json(result / "training.json"),
        curves=_curves(result / "curves.csv"),
        measured=_json(result / "metrics.json"),
        energies=_arrays(result / "energies.npz"),
        generated=_images(result / "samples.png", suite.dataset, count),
        progress=[],
        codes=_arrays(result / "codes.npz"),
        rebuilt=_arrays(result / "reconstructions.npz"),
    )


def _with_model(root: Path, suite: str, name: str, run: Run) -> Run:
    """A run with what only the machine that trained it has."""
    model = root / "models" / suite / name / str(run.seed)
    grids = sorted((model / "samples").glob("step_*.png"))
    return replace(
        run,
        progress=[(int(p.stem.removeprefix("step_")), p.read_bytes()) for p in grids],
        filters=_tensor(model / "model.safetensors", "rbms.0.W"),
    )


def _tour(folder: Path) -> Tour | None:
    measured = _json(folder / "metrics.json")
    if measured is None:
        return None
    pictures = {path.stem: path.read_bytes() for path in sorted(folder.glob("*.png"))}
    return Tour(measured, _arrays(folder / "tour.npz"), pictures)


def _grids(folder: Path) -> Sequence[Grid]:
    """Every seed that was run, whatever seeds params.yaml names: each is a draw of its own."""
    seeds = sorted(int(p.parent.name) for p in folder.glob("[0-9]*/metrics.json"))
    return [_grid(folder / str(seed), seed) for seed in seeds]


def _grid(folder: Path, seed: int) -> Grid:
    tables = (_rows(folder / "scores.csv"), _rows(folder / "margin.csv"))
    pictures = {path.stem: path.read_bytes() for path in sorted(folder.glob("*.png"))}
    return Grid(seed, _json(folder / "metrics.json") or {}, *tables, pictures)


def _rows(path: Path) -> Sequence[Row]:
    if not path.exists():
        raise ReportError(f"{path}: no such file beside its metrics.json")
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _json(path: Path) -> Mapping[str, Any] | None:
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReportError(f"{path}: not JSON: {error}") from error


def _images(path: Path, dataset: Mapping[str, Any], count: int) -> Array | None:
    """The first images of a grid of `count` or more, at most SHOWN."""
    if not path.exists() or "shape" not in dataset:
        return None
    try:
        return pictures.tiles(pictures.read(path), tuple(dataset["shape"]), min(count, SHOWN))
    except (ValueError, OSError, SyntaxError) as error:  # SyntaxError: Pillow, of a broken PNG
        raise ReportError(f"{path}: not a grid of images: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _arrays(path: Path) -> Mapping[str, Array]:
    if not path.exists():
        return {}
    try:
        # Opened here, since NumPy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (ValueError, EOFError, BadZipFile) as error:
        raise ReportError(f"{path}: not arrays of NumPy: {_first_line(error)}") from error


def _curves(path: Path) -> Mapping[str, Array]:
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    try:
        table = [[float(cell) if cell else np.nan for cell in row] for row in rows]
        columns = np.array(table, dtype=np.float64).reshape(len(rows), len(header)).T
    except ValueError as error:
        raise ReportError(f"{path}: not a table of numbers: {error}") from error
    return dict(zip(header, columns, strict=True))


def _tensor(path: Path, key: str) -> Array | None:
    """One tensor of a file of weights, None where the file or the tensor is not there."""
    if not path.exists():
        return None
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as weights:
        return weights.get_tensor(key) if key in weights.keys() else None  # noqa: SIM118
