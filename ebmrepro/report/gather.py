"""The files of the runs that params.yaml names, and of no others, as plain values."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ebmrepro.params import Block, Params, UserError, base, flatten
from ebmrepro.report import words

Array = np.ndarray[Any, np.dtype[Any]]

SHOWN = 64  # images of a grid: the first of their file, not picked


class ReportError(UserError):
    """A result file that cannot be read; the message is one line for a person."""


@dataclass(frozen=True)
class Run:
    """One training of one system; a part that is not there is empty or None."""

    seed: int
    training: Mapping[str, Any] | None  # run.json
    curves: Mapping[str, Array]  # column -> (epochs,), NaN where nothing was measured
    measured: Mapping[str, Any] | None  # metrics.json
    energies: Mapping[str, Array]  # image set -> (images,)
    generated: Array | None  # uint8 (at most SHOWN, C, H, W)
    progress: Sequence[tuple[int, bytes]]  # (step, PNG of the grid at fixed z)
    filters: Array | None = None  # (visible, hidden), for a DBN

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
    numbers: Mapping[str, Any]  # its block of params.yaml, dotted keys
    differences: Sequence[Difference]  # empty for a method
    runs: Sequence[Run]

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
    budget: float  # share of every epoch count that was run
    evaluate: Mapping[str, Any]
    dataset: Mapping[str, Any]  # dataset.json
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
        return [system for system in self.systems if not system.differences]

    def with_curve(self, *columns: str) -> Sequence[System]:
        return [s for s in self.systems if all(s.curves(column) for column in columns)]


def gather(root: Path, params: Params) -> Sequence[Suite]:
    """Read what the run of params.yaml has left under `root`.

    Raises:
        ReportError: a file is there and cannot be read.
    """
    return [_suite(root, params, name) for name in params.run.suites]


def _suite(root: Path, params: Params, name: str) -> Suite:
    block = params.suites[name]
    data = root / "data" / name
    splits = {s: _open(data / f"{s}.npy") for s in ("train", "validation", "test")}
    names = [n for n in params.run.names if n == "dbn" or n in block.methods]
    methods = list(dict.fromkeys(map(base, names)))
    names.sort(key=lambda n: methods.index(base(n)))  # a variant stands after its method
    blocks = {n: block.block(n) for n in names}
    real = splits[block.evaluate.split]
    reference = _json(root / "reference" / name / "reference.json") or {}
    return Suite(
        name=name,
        title=words.suite(name),
        budget=block.budget,
        evaluate=block.evaluate.model_dump(),
        dataset=_json(data / "dataset.json") or {},
        counts={split: len(images) for split, images in splits.items() if images is not None},
        real=None if real is None else np.array(real[:SHOWN]),
        floor=reference.get("floor", {}),
        floor_protocol=reference.get("floor_protocol", ""),
        systems=[_system(root, name, n, blocks, params.run.seeds) for n in blocks],
        tour=_tour(root / "results" / name / "tour"),
        grids=_grids(root / "results" / name / "ebgan_grid"),
    )


def _system(
    root: Path, suite: str, name: str, blocks: Mapping[str, Block], seeds: Sequence[int]
) -> System:
    method = base(name)
    numbers = flatten(blocks[name].model_dump())
    differences: list[Difference] = []
    if name != method and method in blocks:
        theirs = flatten(blocks[method].model_dump())
        differences = [
            Difference(key, theirs.get(key), numbers.get(key))
            for key in sorted({*theirs, *numbers})
            if theirs.get(key) != numbers.get(key)
        ]
    return System(
        name=name,
        title=words.system(name, [(d.key, d.variant) for d in differences]),
        base=method,
        numbers=numbers,
        differences=differences,
        runs=[_run(root, suite, name, seed) for seed in seeds],
    )


def _run(root: Path, suite: str, name: str, seed: int) -> Run:
    model = root / "models" / suite / name / str(seed)
    result = root / "results" / suite / name / str(seed)
    generated = _open(root / "generated" / suite / name / f"{seed}.npy")
    grids = sorted((model / "samples").glob("step_*.png"))
    return Run(
        seed=seed,
        training=_json(model / "run.json"),
        curves=_curves(model / "curves.csv"),
        measured=_json(result / "metrics.json"),
        energies=_arrays(result / "energies.npz"),
        generated=None if generated is None else np.array(generated[:SHOWN]),
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


def _open(path: Path) -> Array | None:
    """Mapped, not read: a grid needs the first images of a file that may hold gigabytes."""
    if not path.exists():
        return None
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ReportError(f"{path}: not an array of NumPy: {_first_line(error)}") from error


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
