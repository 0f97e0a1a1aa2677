"""What a statistic is in the files of a run: one number per seed, or the reason why there is none.

A number that is missing, null or not finite is never passed on: whoever asks gets `Missing`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ebmrepro.claims import form, further, laws
from ebmrepro.config import forms, params
from ebmrepro.config.campaign import FURTHER
from ebmrepro.config.documents import nearest
from ebmrepro.config.params import Params
from ebmrepro.metrics import catalogue
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.runs import carried, layout, results
from ebmrepro.runs.results import Array
from ebmrepro.system import reading

Content = TypeVar("Content")

TAKE: Mapping[str, Callable[[Array], Any]] = {
    "first": lambda curve: curve[0],
    "last": lambda curve: curve[-1],
    "mean": np.mean,
    "lowest": np.min,
    "highest": np.max,
}


class Missing(Exception):
    """There is no such number here; the message says why."""


class Absent(Missing):
    """It was not measured: no file, or no entry in it."""


@dataclass
class Files:
    """The result files of one suite's runs under `root`, each read once.

    `suite` is `fundamentals` for the values that belong to no suite. Of a suite that the run does
    not name, the systems and seeds are those that are there: it is carried. Beside the seeds of the
    run stand those that `further` finds.
    """

    root: Path
    suite: str
    settings: Params
    _read: dict[Path, Any] = field(default_factory=dict)
    used: dict[Path, None] = field(default_factory=dict)  # paths asked for, in order

    @cached_property
    def carried(self) -> Mapping[str, list[int]]:
        """System -> seeds of a carried suite; empty for a suite that is run, or has no results."""
        if self.suite in self.settings.run.suites or self.suite not in self.settings.suites:
            return {}
        return carried.systems(self.root, self.suite)

    @cached_property
    def further(self) -> Mapping[str, list[int]]:
        """System -> seeds beside the run's, of a suite that is run."""
        if self.suite not in self.settings.run.suites:
            return {}
        return further.seeds(self.root, self.suite, self.settings)

    @property
    def seeds(self) -> list[int]:
        """Those of the run, or all that any system of a carried suite has."""
        if self.carried:
            return sorted({seed for own in self.carried.values() for seed in own})
        return list(self.settings.run.seeds)

    def seeds_among(self, names: Sequence[str]) -> list[int]:
        """The seeds that each of these systems has: what is paired is what both have.

        Of the run, those that it asks for, and the further ones; of a carried suite, whose systems
        were run from seeds of their own, all if there are none.
        """
        if not self.carried:
            own = [set(self.further.get(name, ())) for name in names]
            return [*self.seeds, *sorted(set.intersection(*own) if own else ())]
        own = [set(self.carried[name]) for name in names if name in self.carried]
        return (sorted(set.intersection(*own)) if own else []) or self.seeds

    def seeds_of(self, statistic: object) -> list[int]:
        """The seeds that must have a number: those of the run, and of a stage that no run's seeds
        reach, those that its document has for any part of the statistic."""
        if self.suite != "fundamentals":
            if not self.carried and form.stages(statistic):  # a stage measures the run's seeds
                return self.seeds
            return self.seeds_among(form.trained(statistic))
        try:
            _, measured = self._document("fundamentals")
        except Missing:
            return self.seeds
        names = [part.value for _, part in form.parts(statistic) if isinstance(part, form.Document)]
        found = {int(seed) for name in names for seed in measured.values.get(name, {})}
        return sorted(found) or self.seeds

    def measure(self, name: str, measure: str, seed: int) -> float:
        path, document = self._metrics(name, seed)
        measured = Measurement.read(document)
        if measure not in measured.values:
            raise Absent(f"{path}: holds no {measure}")
        return _number(measured, measure, measured.values[measure], f"{measure} of {name}")

    def trained(self, name: str, seed: int) -> tuple[float | None, int | None]:
        """The part of its epochs that a training had, and its steps, where it says so."""
        document = self._metrics(name, seed)[1]
        return document.get("budget", {}).get("epoch_fraction"), document.get("step")

    def seconds(self, name: str, seed: int) -> float | None:
        """What the training took, as carried results record it."""
        return self._provenance.get((name, seed), {}).get("seconds_in_all")

    @cached_property
    def _provenance(self) -> Mapping[tuple[str, int], carried.Entry]:
        among = carried.provenance(self.root, self.suite + FURTHER) if self.further else {}
        return {**among, **carried.provenance(self.root, self.suite)}

    def extractor(self, name: str, seed: int) -> str | None:
        """The hash of the network in whose features distances were measured."""
        return self._metrics(name, seed)[1].get("protocol", {}).get("extractor_sha256")

    def _metrics(self, name: str, seed: int) -> tuple[Path, Mapping[str, Any]]:
        self._expect(name)
        path = self._place(name, seed) / "metrics.json"
        return path, self._open(path, forms.Metrics.read)

    def _place(self, name: str, seed: int) -> Path:
        among = seed in self.further.get(name, ())
        return layout.results(self.suite + FURTHER if among else self.suite, name, seed)

    def curves(self, name: str, seed: int) -> Mapping[str, Array]:
        """Column -> (epochs,), NaN where a cell is blank."""
        self._expect(name)
        return self._open(self.curves_path(name, seed), results.curves)

    def curves_path(self, name: str, seed: int) -> Path:
        """Where the stage `evaluate` keeps the curves of a training, in git with its measures."""
        return self._place(name, seed) / "curves.csv"

    def energies(self, name: str, kind: str, seed: int) -> Array:
        self._expect(name)
        path = self._place(name, seed) / "energies.npz"
        archive = self._open(path, reading.arrays)
        if kind not in archive:
            raise Absent(f"{path}: holds no {kind}")
        return archive[kind]

    def number(self, name: str, key: str) -> float:
        where, block = self._block(name)
        found = params.flatten(block).get(key)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise Missing(f"{where}.{key} is no number")
        return float(found)

    def _block(self, name: str) -> tuple[str, Mapping[str, Any]]:
        """A system's numbers and where they stand: of a carried one, those that it was run with."""
        if self.carried:
            self._expect(name)
            path = layout.results(self.suite, name, self.carried[name][0]) / "training.json"
            return f"{path}: params", self._open(path, forms.Card.read)["params"]
        blocks = {system: block for _, system, block in self.settings.suites[self.suite].blocks}
        if name not in blocks:
            raise Missing(f"params.yaml has no block {self.suite}.methods.{name}")
        return f"params.yaml: {self.suite}.methods.{name}", blocks[name].model_dump()

    def document(self, stage: str, value: str, seed: int) -> float:
        path, measured = self._document(stage)
        if value not in measured.values:
            raise Absent(f"{path}: holds no {value}{nearest(value, measured.values)}")
        by_seed = measured.values[value]
        if str(seed) not in by_seed:
            raise Absent(f"{path}: {value} was not measured for seed {seed}")
        return _number(measured, value, by_seed[str(seed)], value)

    def protocols(self, statistic: object) -> list[str]:
        """What documents say of those of their values that are in the statistic, and what is paired
        where carried systems were not run from the same seeds."""
        lines = []
        own = [self.carried[name] for name in form.systems(statistic) if name in self.carried]
        if any(seeds != own[0] for seeds in own):
            common = ", ".join(map(str, self.seeds_of(statistic)))
            lines.append(f"Paired over the seeds that all of its systems have: {common}.")
        for _, part in form.parts(statistic):
            if isinstance(part, form.Document):
                with contextlib.suppress(Missing):
                    lines.append(self._document(part.stage)[1].protocol.get(part.value))
        return list(dict.fromkeys(line for line in lines if line))

    def beside(self, statistic: object) -> list[str]:
        """What is to be known of its seeds that are not of the run."""
        names = form.systems(statistic)
        seeds = [k for k in self.seeds_of(statistic) if self.further and k not in self.seeds]
        if not seeds:
            return []
        entries = [self._provenance.get((name, k)) for name in names for k in seeds]
        features = any(
            catalogue.in_dbn(name) for _, key, name in form.names(statistic) if key == "measure"
        )
        return [further.in_words(seeds, [entry for entry in entries if entry], features)]

    def _document(self, stage: str) -> tuple[Path, Measurement]:
        where = Path("results") / ("" if stage == "fundamentals" else self.suite) / stage
        path = where / "metrics.json"
        return path, Measurement.read(self._open(path, forms.OverSeeds.read))

    def _expect(self, name: str) -> None:
        if self.carried:
            if name not in self.carried:
                raise Absent(f"results/{self.suite}: {name} is not among what is carried")
        elif (stage := carried.stage(name)).trains:
            key = stage.over["suite"]
            if self.suite not in getattr(self.settings.run, key):
                raise Absent(f"{self.suite} is not among run.{key} of params.yaml")
        elif name not in self.settings.run.names:
            raise Absent(f"{name} is not among run.methods and run.variants of params.yaml")

    def _open(self, path: Path, read: Callable[[Path], Content]) -> Content:
        if not (self.root / path).exists():
            raise Absent(f"{path}: no such file")
        self.used[path] = None
        if path not in self._read:
            self._read[path] = read(self.root / path)
        return self._read[path]


def _number(measured: Measurement, name: str, value: float | None, what: str) -> float:
    """A value of a measurement, which must be a finite number."""
    if value is None:
        raise Missing(f"{what} is null: {measured.reasons.get(name, 'no reason is given')}")
    return finite(value, what)


def finite(value: float, what: str) -> float:
    if not math.isfinite(value):
        raise Missing(f"{what} is not a finite number")
    return float(value)


def scalar(statistic: object, files: Files, seed: int) -> float:
    """The value of a statistic that gives one finite number per seed.

    Raises:
        Missing: a part of it is not there, or the result is not finite.
    """
    match statistic:
        case form.Measure(of=of, measure=measure):
            return files.measure(of, measure, seed)
        case form.Curve(of=of, column=column, take=take, over=over):
            return float(TAKE[take](_column(files, of, column, seed, over)))
        case form.Energies(of=of, images=kind, power=power):
            energies = files.energies(of, kind, seed).astype(np.float64)
            if not np.isfinite(energies).all():
                raise Missing(f"an energy of {kind} under {of} is not finite")
            return float((energies**power).mean())
        case form.Number(of=of, key=key):
            return files.number(of, key)
        case form.Document(stage=stage, value=value):
            return files.document(stage, value, seed)
        case form.Spread(among=among):
            values = [scalar(part, files, seed) for part in among]
            if min(values) <= 0:
                raise Missing(f"a spread needs positive numbers, found {min(values):g}")
            return finite(max(values) / min(values), "a spread")
        case form.Difference(a=a, b=b):
            _comparable(a, b, files, seed)
            return finite(scalar(a, files, seed) - scalar(b, files, seed), "a difference")
        case form.Ratio(a=a, b=b):
            _comparable(a, b, files, seed)
            over, under = scalar(a, files, seed), scalar(b, files, seed)
            if under == 0:
                raise Missing("a ratio divides by 0")
            return finite(over / under, "a ratio")
        case form.Distance(of_ratio=part):
            if (value := scalar(part, files, seed)) <= 0:
                raise Missing(f"a distance from 1 needs a positive number, found {value:g}")
            return abs(math.log(value))
        case form.Correlation(of=of, x=x, y=y, over=over):
            pair = [_column(files, of, column, seed, over, dense=False) for column in (x, y)]
            return spearman(*pair)
    raise TypeError(f"{type(statistic).__name__} is not one number per seed")


def _comparable(a: object, b: object, files: Files, seed: int) -> None:
    """Two measures in features of an extractor, which must be the same one."""
    match a, b:
        case form.Measure(of=one, measure=x), form.Measure(of=other, measure=y) if x == y:
            if catalogue.in_dbn(x) and files.extractor(one, seed) != files.extractor(other, seed):
                raise Missing(f"{x} of {one} and of {other} is in features of different networks")


def broken(statistic: form.EveryEpoch, files: Files, seed: int) -> laws.Judged:
    """In how many epochs the run breaks the law, of how many in which it could be told.

    Raises:
        Missing: a curve is not there, or the law could be told in no epoch.
    """
    curves = files.curves(statistic.of, seed)
    try:
        judged = laws.judge(statistic.law, curves, partial(files.number, statistic.of))
    except KeyError as error:
        path = files.curves_path(statistic.of, seed)
        raise Missing(f"{path}: holds no column {error.args[0]}") from None
    if not judged.epochs:
        raise Missing(f"no epoch of {statistic.of} tells whether {laws.subject(statistic.law)}")
    return judged


def spearman(x: Array, y: Array) -> float:
    """Rank correlation over the places where both are known, ties at their mean rank."""
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < 3:
        raise Missing(f"a rank correlation needs 3 points, found {len(x)}")
    ranks = _ranks(x), _ranks(y)
    if any(r.std() == 0 for r in ranks):
        raise Missing("a rank correlation with a constant is not defined")
    return round(float(np.corrcoef(*ranks)[0, 1]), 12)  # of a perfect order it is 1


def _ranks(x: Array) -> Array:
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _column(
    files: Files, of: str, column: str, seed: int, over: str, *, dense: bool = True
) -> Array:
    """A part of a curve; `dense` leaves out the epochs in which it is blank."""
    curves = files.curves(of, seed)
    path = files.curves_path(of, seed)
    if column not in curves:
        raise Missing(f"{path}: holds no column {column}")
    curve = curves[column]
    part = {"all": 1.0, "second half": 0.5, "last quarter": 0.25}[over]
    curve = curve[len(curve) - max(1, round(len(curve) * part)) :]
    if np.isinf(curve).any():
        raise Missing(f"{path}: {column} is not finite")
    curve = curve[np.isfinite(curve)] if dense else curve
    if not len(curve):
        raise Missing(f"{path}: {column} has no value there")
    return curve
