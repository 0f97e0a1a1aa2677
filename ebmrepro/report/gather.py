"""The files of the runs that params.yaml names, and of carried suites, as plain values.

What is shown of a training is read from results/, which git keeps, so that a suite that was run on
another machine is read as one that was run here. Of its models, which only the machine that trained
them has, nothing is read for a carried suite: its report is the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ebmrepro.config import forms
from ebmrepro.config.params import Params, flatten
from ebmrepro.config.training import base
from ebmrepro.metrics import catalogue
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.networks import images
from ebmrepro.report import words
from ebmrepro.runs import carried, layout, results
from ebmrepro.runs.results import Array
from ebmrepro.system import reading
from ebmrepro.system.reading import Row, known

Seed = TypeVar("Seed", int, str)

SHOWN = 64  # images of a grid: the first of their file, not picked


@dataclass(frozen=True)
class Run:
    """One training of one system; a part that is not there is empty or None."""

    seed: int
    training: Mapping[str, Any] | None = None  # training.json
    # column -> (epochs,), NaN where nothing was measured
    curves: Mapping[str, Array] = field(default_factory=dict)
    measured: Mapping[str, Any] | None = None  # metrics.json
    energies: Mapping[str, Array] = field(default_factory=dict)  # image set -> (images,)
    generated: Array | None = None  # uint8 (at most SHOWN, C, H, W)
    filters: Array | None = None  # (visible, hidden), for a DBN
    codes: Mapping[str, Array] = field(default_factory=dict)  # way, (N, 2), and labels (N,)
    rebuilt: Mapping[str, Array] = field(default_factory=dict)  # way -> uint8 (n, C, H, W)
    # `steps` (K,) and `images` of the same z at each, uint8 (K, n, C, H, W)
    progress: Mapping[str, Array] = field(default_factory=dict)
    paths: Array | None = None  # a grid of paths through z
    labels: Mapping[str, Array] = field(default_factory=dict)  # see evaluation/inference.py
    provenance: Mapping[str, Any] | None = None  # what a carried training ran on

    @cached_property
    def measurement(self) -> Measurement:
        """What was measured; empty where nothing was."""
        return Measurement.read(self.measured or {})

    def value(self, measure: str) -> float | None:
        """A measure's value, None where it was not measured or is not finite."""
        return self.measurement.number(measure)


class Difference(NamedTuple):
    """A key in which a variant's block is not its method's."""

    key: str
    method: object
    variant: object


def differences(theirs: Mapping[str, Any], own: Mapping[str, Any]) -> list[Difference]:
    """Every key in which two flat blocks differ, sorted."""
    return [
        Difference(key, theirs.get(key), own.get(key))
        for key in sorted({*theirs, *own})
        if theirs.get(key) != own.get(key)
    ]


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

    def first(self, part: str) -> Run | None:
        """The first run, by the seeds of params.yaml, that has something in this part."""
        parts = ((run, getattr(run, part)) for run in self.runs)
        return next((run for run, found in parts if found is not None and len(found)), None)

    def curves(self, column: str) -> Sequence[Array]:
        """The column of each run that has it and measured it."""
        found = (run.curves.get(column) for run in self.runs)
        return [c for c in found if c is not None and len(c) and np.isfinite(c).any()]

    def values(self, measure: str) -> Sequence[float]:
        """A measure's value of each run that has one, in the features of one DBN."""
        return [*together(measure, {run.seed: run.measurement for run in self.runs}).values()]

    def number(self, key: str) -> float | None:
        """A number of its block by its dotted key, None where that is no number."""
        found = self.numbers.get(key)
        if isinstance(found, bool) or not isinstance(found, int | float):
            return None
        return float(found)


def together(measure: str, measured: Mapping[Seed, Measurement]) -> dict[Seed, float]:
    """A measure's value of each seed that has one; where a DBN measures, of those seeds that the
    first one's DBN measured: there is no mean over the features of two."""
    found = {seed: n for seed, m in measured.items() if (n := m.number(measure)) is not None}
    if not catalogue.in_dbn(measure):
        return found
    dbn = {seed: extractor(measured[seed]) for seed in found}
    return {seed: n for seed, n in found.items() if dbn[seed] == next(iter(dbn.values()))}


def extractor(measured: Measurement) -> str | None:
    """SHA-256 of the DBN in whose features was measured, where that is said."""
    return measured.protocol.get("extractor_sha256")


def over_seeds(measured: Mapping[str, Any], name: str) -> Sequence[float]:
    """One value per seed that has one, of a metrics.json over seeds."""
    found = measured["values"].get(name, {}).values()
    return [value for value in found if value is not None and np.isfinite(value)]


@dataclass(frozen=True)
class Tour:
    """The answers to the five questions, as the stage `tour` leaves them."""

    measured: Mapping[str, Any]  # metrics.json
    arrays: Mapping[str, Array]  # `<array>` and `<array>/<system>/<seed>`
    pictures: Mapping[str, bytes]  # `<picture>` and `<picture>-<system>`: PNG

    def values(self, measure: str, system: str = "") -> Sequence[float]:
        """One value per seed that has one."""
        return over_seeds(self.measured, f"{measure}@{system}" if system else measure)

    def seeds(self, array: str, system: str) -> Sequence[Array]:
        """An array of each seed of a system."""
        return [v for key, v in self.arrays.items() if key.startswith(f"{array}/{system}/")]


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
    rows: Sequence[System]  # what is no system, measured as one; copies come first
    rows_protocol: str
    systems: Sequence[System] = field(default_factory=list)
    tour: Tour | None = None
    grids: Sequence[Grid] = ()  # by seed
    classifiers: System | None = None  # what a DBN's errors are held against
    linear_codes: System | None = None  # PCA and logistic PCA, where they were measured

    @property
    def paged(self) -> bool:
        """Whether a page of its own has anything to show; what else there is of it has others."""
        return bool(self.systems or self.classifiers)

    @property
    def generators(self) -> Sequence[System]:
        """The systems that are methods, without their variants."""
        return [system for system in self.systems if system.method]

    @property
    def measured(self) -> Sequence[System]:
        """Its systems, and studies that have the same measures."""
        return [*self.systems, *filter(None, (self.classifiers, self.linear_codes))]

    def with_curve(self, *columns: str) -> Sequence[System]:
        return [s for s in self.systems if all(s.curves(column) for column in columns)]


def gather(root: Path, params: Params) -> Sequence[Suite]:
    """Read what the run of params.yaml has left under `root`, then what is carried there.

    Raises:
        UserError: a file is there and cannot be read.
    """
    return [
        *(_run_here(root, params, name) for name in params.run.suites),
        *(_carried(root, params, name) for name in carried.suites(root, params)),
    ]


def _run_here(root: Path, params: Params, name: str) -> Suite:
    """A suite of the run, with places for what is missing; its numbers are those of params.yaml."""
    block = params.suites[name]
    there = {system for _, system, _ in block.blocks}
    names = [n for n in params.run.names if n in there]
    numbers = {n: flatten(block.block(n).model_dump()) for n in names}
    suite = _suite(root, name, block.evaluate.model_dump())
    runs = {
        n: [
            _run(root, suite, n, k, filters=_filters(root / layout.folder(name, n, k)))
            for k in params.run.seeds
        ]
        for n in names
    }
    return replace(suite, systems=_systems(runs, numbers))


def _carried(root: Path, params: Params, name: str) -> Suite:
    """All that results/<suite>/ holds; its numbers are those that it was run with."""
    # What a stage trains and measures by itself (a grid, say) has a section of its own.
    there = carried.systems(root, name)
    seeds = {n: own for n, own in there.items() if not carried.stage(n).trains}
    listed = [n for _, n, _ in params.suites[name].blocks if n in seeds]
    evaluate = params.suites[name].evaluate.model_dump()
    title = words.suite(name, carried=True)
    suite = replace(_suite(root, name, evaluate), carried=True, title=title)
    ran_on = carried.provenance(root, name)
    runs = {
        n: [_run(root, suite, n, k, provenance=ran_on.get((n, k))) for k in seeds[n]]
        for n in dict.fromkeys([*listed, *seeds])
    }
    return replace(suite, systems=_systems(runs, {n: _ran_with(own) for n, own in runs.items()}))


def measured(root: Path, suite: str, name: str) -> tuple[Suite, System]:
    """One system with every seed that results/ holds of it, and its suite without systems.

    Its numbers are those that it was run with, whatever params.yaml says by now.
    """
    found = _suite(root, suite, {})
    runs = [_run(root, found, name, seed) for seed in carried.systems(root, suite)[name]]
    return found, System(name, words.system(name), base(name), _ran_with(runs), [], runs)


def _suite(root: Path, name: str, evaluate: Mapping[str, Any]) -> Suite:
    """A suite without its systems; `evaluate` is for where its reference is not there."""
    place = root / "results" / name / "reference"
    told = known(forms.Reference.read, place / "reference.json") or {}
    dataset = told.get("dataset", {})
    return Suite(
        name=name,
        title=words.suite(name),
        carried=False,
        evaluate=told.get("evaluate", evaluate),
        dataset=dataset,
        counts={split: held["count"] for split, held in dataset.get("splits", {}).items()},
        real=_images(place / "real.png", dataset, told.get("count", 0)),
        rows=_rows(told.get("rows", {})),
        rows_protocol=told.get("rows_protocol", ""),
        tour=known(_tour, place.with_name("tour") / "metrics.json"),
        grids=_grids(place.with_name("ebgan_grid")),
        classifiers=_measured(root, name, "classifiers"),
        linear_codes=_measured(root, name, "linear_codes"),
    )


def _rows(told: Mapping[str, Any]) -> Sequence[System]:
    return [
        System(row, title, row, {}, [], [Run(0, measured=told[row])])
        for row, title in words.ROWS.items()
        if row in told
    ]


def _ran_with(runs: Sequence[Run]) -> Mapping[str, Any]:
    """The numbers of a training, its epochs as they are before the budget."""
    for run in runs:
        if run.training is not None:
            epochs = (run.measured or {}).get("budget", {}).get("epochs", {})
            whole = {f"hparams.{key}": n["of"] for key, n in epochs.items()}
            return flatten(run.training["params"]) | whole
    return {}


def _systems(
    runs: Mapping[str, Sequence[Run]], numbers: Mapping[str, Mapping[str, Any]]
) -> Sequence[System]:
    """In the order of `runs`, but a variant stands after its method."""
    methods = list(dict.fromkeys(map(base, runs)))
    found = []
    for name in sorted(runs, key=lambda name: methods.index(base(name))):
        own, theirs = numbers[name], numbers.get(base(name), numbers[name])
        # Without how much was run of the same training.
        changed = [d for d in differences(theirs, own) if d.key != "epoch_fraction"]
        title = words.system(name, [(d.key, d.variant) for d in changed])
        found.append(System(name, title, base(name), own, changed, runs[name]))
    return found


def _run(root: Path, suite: Suite, name: str, seed: int, **known_besides: Any) -> Run:
    result = root / layout.results(suite.name, name, seed)
    count = suite.evaluate.get("generated", 0)
    return Run(
        seed=seed,
        training=known(forms.Trained.read, result / "training.json"),
        curves=known(results.curves, result / "curves.csv") or {},
        measured=known(forms.Metrics.read, result / "metrics.json"),
        energies=_arrays(result / "energies.npz"),
        generated=_images(result / "samples.png", suite.dataset, count),
        codes=_arrays(result / "codes.npz"),
        rebuilt=_arrays(result / "reconstructions.npz"),
        progress=_arrays(result / "progress.npz"),
        paths=known(reading.pixels, result / "paths.png"),
        labels=_arrays(result / "labels.npz"),
        **known_besides,
    )


def _filters(folder: Path) -> Array | None:
    """Of a model, which only the machine that trained it has."""
    return results.tensor(folder / "model.safetensors", "rbms.0.W")


def _tour(path: Path) -> Tour:
    """From its metrics.json, and what lies beside it."""
    arrays = reading.arrays(path.with_name("tour.npz"))
    return Tour(forms.OverSeeds.read(path), arrays, _pictures(path.parent))


def _grids(folder: Path) -> Sequence[Grid]:
    """Every seed that was run, whatever seeds params.yaml names: each is a draw of its own."""
    return [
        Grid(
            seed,
            forms.Grid.read(path),
            reading.rows(path.with_name("scores.csv")),
            reading.rows(path.with_name("margin.csv")),
            _pictures(path.parent),
        )
        for seed, path in _by_seed(folder)
    ]


def _measured(root: Path, suite: str, name: str) -> System | None:
    """Every seed of a stage that trains no system, so without a training's files."""
    ran_on = carried.provenance(root, suite)
    runs = [
        Run(seed, measured=forms.Metrics.read(path), provenance=ran_on.get((name, seed)))
        for seed, path in _by_seed(root / "results" / suite / name)
    ]
    return System(name, words.system(name), name, {}, [], runs) if runs else None


def _by_seed(folder: Path) -> Sequence[tuple[int, Path]]:
    """(seed, metrics.json) of what a stage leaves for each seed."""
    found = (path for path in folder.glob("*/metrics.json") if path.parent.name.isdecimal())
    return sorted((int(path.parent.name), path) for path in found)


def _pictures(folder: Path) -> Mapping[str, bytes]:
    return {path.stem: reading.picture(path) for path in sorted(folder.glob("*.png"))}


def _arrays(path: Path) -> Mapping[str, Array]:
    return known(reading.arrays, path) or {}


def _images(path: Path, dataset: Mapping[str, Any], count: int) -> Array | None:
    """The first images of a grid of `count` or more, at most SHOWN."""
    if not path.exists() or "shape" not in dataset:
        return None
    with reading.opened(path, "not a grid of images"):
        return images.tiles(reading.pixels(path), tuple(dataset["shape"]), min(count, SHOWN))
