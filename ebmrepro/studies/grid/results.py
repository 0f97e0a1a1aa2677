"""results/<suite>/ebgan_grid/<seed>/: what the report, the claims and a fresh clone read.

    scores.csv      a row per configuration: its settings, I' without and with the square, the
                    Inception score, energies
    margin.csv      the same of the margin sweep
    metrics.json    what the rows amount to, and the protocol
    best_<kind>.png, margin_<m>.png    images of the best model of a kind and of each margin

Rows stand in the order of the draw, so those of a smaller draw are the first of a larger one's.
"""

from __future__ import annotations

import csv
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ebmrepro.config import params
from ebmrepro.config.documents import read_yaml
from ebmrepro.config.networks import MLP, Conv
from ebmrepro.config.params import Params
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.metrics.separation import auroc
from ebmrepro.networks import images
from ebmrepro.runs import layout, provenance
from ebmrepro.studies.grid import configurations, workers
from ebmrepro.studies.grid.configurations import Configuration
from ebmrepro.studies.grid.play import Played
from ebmrepro.studies.grid.score import Judge
from ebmrepro.studies.grid.workers import Work, WorkerError
from ebmrepro.system import atomic
from ebmrepro.system.signals import Watch

SYSTEM = "ebgan_grid"
KINDS = ("ebgan", "gan", "ebgan_pt")
RESAMPLED = 2000  # times, for the bootstrap
LEVEL = 0.95

Row = dict[str, Any]
Array = NDArray[np.float64]


def write(suite: str, seed: int, settings: Params, watch: Watch) -> dict[str, Any]:
    """Train what is not trained yet, score everything, and write the folder; returns metrics.json.

    What the trainings ran on goes to .ebmrepro/provenance/, as any training's does.

    Raises:
        workers.WorkerError: a worker died.
        signals.Stopped: `watch` had a reason to stop; what was trained is kept.
        atomic.CannotWrite: the machine refuses.
    """
    asked, out = workers.work(suite, seed, settings), layout.results(suite, SYSTEM, seed)
    started = provenance.start()
    todo = configurations.chosen(asked.grid, seed)
    played = _trained(asked, todo, watch)
    split = settings.suite(suite).evaluate.split
    judge = Judge(suite, asked.grid, split)
    rows = [_row(each, one, judge, seed) for each, one in zip(todo, played, strict=True)]

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    drawn = [row for row in rows if row["kind"] != "sweep"]
    _write_csv(out / "scores.csv", drawn)
    _write_csv(out / "margin.csv", [row for row in rows if row["kind"] == "sweep"])
    _draw(out, asked, rows, played)
    document = {
        "suite": suite,
        "method": SYSTEM,
        "seed": seed,
        "fingerprint": params.digest([asked.folder.parent.name, seed, asked.grid.model_dump()]),
        "step": asked.steps,
        **_amount(drawn, seed),
        "reference": judge.reference,
        "counts": _counts(drawn, asked),
        "protocol": _protocol(asked, judge, split, settings.suite(suite).budget),
    }
    atomic.write_json(out / "metrics.json", document)
    # Of all configurations, one after the other, whichever process and part of the run had them.
    took = sum(one.seconds for one in played)
    shown = sum(one.steps for one in played) * asked.grid.batch_size
    provenance.write_provenance(document["fingerprint"], started, took, shown)
    return document


def _trained(asked: Work, todo: Sequence[Configuration], watch: Watch) -> list[Played]:
    for _ in range(2):  # a file that cannot be read is removed, and trained again
        workers.finish(asked, todo, watch)
        played = [one for each in todo if (one := workers.kept(asked.path(each)))]
        if len(played) == len(todo):
            return played
    raise WorkerError(f"{asked.folder}: what was trained cannot be read back; is the disk damaged?")


def _row(chosen: Configuration, played: Played, judge: Judge, seed: int) -> Row:
    """A diverged model draws nothing; its scores are those of a generator of one single image."""
    worst = {"score": 0.0, "score_squared": 0.0, "inception_score": 1.0, "classes": 0}
    scores = worst if played.diverged else judge.scores(played.generated)
    told = {key: value for key, value in played.told.items() if key != "seconds"}
    return {**asdict(chosen), "seed": seed, **scores, **told}


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    with atomic.atomic_write(path) as new, new.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.9g}" if isinstance(value, float) else value


def _draw(out: Path, asked: Work, rows: Sequence[Row], played: Sequence[Played]) -> None:
    """Images of the best model of each kind, and of each margin."""
    count = asked.grid.score.best

    def save(name: str, index: int) -> None:
        if len(pictures := played[index].generated[:count]):
            columns = math.isqrt(len(pictures) - 1) + 1
            images.save_png(out / f"{name}.png", images.grid(pictures, columns))

    for kind in KINDS:
        if there := [i for i, row in enumerate(rows) if row["kind"] == kind]:
            save(f"best_{kind}", max(there, key=lambda i: rows[i]["score"]))
    for i, row in enumerate(rows):
        if row["kind"] == "sweep":
            save(f"margin_{row['margin']:g}", i)


def _amount(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """What the scores say: medians, the best, and which kind scores higher, with intervals."""
    of = {kind: [row for row in rows if row["kind"] == kind] for kind in KINDS}
    values: dict[str, float | None] = {}
    intervals: dict[str, list[float]] = {}
    for kind, there in of.items():
        score = _scores(there)
        values[f"grid_median_{kind}"] = float(np.median(score)) if len(score) else None
        values[f"grid_best_{kind}"] = float(score.max()) if len(score) else None
    same = of["ebgan"][: len(of["ebgan_pt"])]  # networks that both kinds have
    pairs = {
        "grid_auroc": (of["gan"], of["ebgan"]),
        "grid_auroc_adam": (_by_adam(of["gan"]), _by_adam(of["ebgan"])),
        "grid_auroc_pt": (same, of["ebgan_pt"]),
    }
    for name, (low, high) in pairs.items():
        told = bool(low and high)
        values[name] = auroc(_scores(low), _scores(high)) if told else None
        squared = (_scores(side, "score_squared") for side in (low, high))
        values[f"{name}_squared"] = auroc(*squared) if told else None
        if told:
            intervals[name] = bootstrap(_scores(low), _scores(high), seed)
    why = {"adam": "of GANs or EBGANs, none of the draw has Adam for both players"}
    reasons = {
        name: why.get(name.removesuffix("_squared").rpartition("_")[2], "draw.ebgan_pt is 0")
        for name, value in values.items()
        if value is None
    }
    return {**Measurement({**values}, reasons).document(), "intervals": intervals}


def _by_adam(rows: Sequence[Row]) -> list[Row]:
    """Those of which both players have Adam, as all EBGANs of the paper's table: in a short
    training the optimiser says more of who starts faster than the kind does.
    """
    return [row for row in rows if row["optimG"] == row["optimD"] == "adam"]


def _scores(rows: Sequence[Row], column: str = "score") -> Array:
    return np.array([row[column] for row in rows])


def bootstrap(low: Array, high: Array, seed: int) -> list[float]:
    """Percentile interval of `auroc` over configurations, each side drawn anew: it knows the spread
    over configurations and not that over training seeds.
    """
    rng = np.random.default_rng(seed)
    found = [
        auroc(rng.choice(low, len(low)), rng.choice(high, len(high))) for _ in range(RESAMPLED)
    ]
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    return [float(bound) for bound in np.quantile(found, tails)]


def _counts(rows: Sequence[Row], asked: Work) -> dict[str, dict[str, int]]:
    table = asked.grid.table
    of = {"ebgan": table.ebgan.count, "gan": table.gan.count, "ebgan_pt": table.ebgan.count}
    counts = {}
    for kind in KINDS:
        diverged = [row["diverged"] for row in rows if row["kind"] == kind]
        counts[kind] = {"drawn": len(diverged), "of": of[kind], "diverged": sum(diverged)}
    return counts


def _in_words(network: MLP | Conv) -> str:
    if isinstance(network, MLP):
        return f"MLP of ours ({', '.join(map(str, network.hidden))} hidden units)"
    return f"ConvNet of ours ({', '.join(map(str, network.channels))} channels, a linear layer)"


def _protocol(asked: Work, judge: Judge, split: str, budget: float) -> dict[str, str]:
    """The sentences of protocol.yaml, for what was asked."""
    facts = {
        "asked": asked,
        "epochs": asked.grid.epoch_fraction * budget,
        "network": _in_words(asked.grid.classifier.network),
        "matched": ", GANs with the EBGANs' networks" if asked.grid.draw.matched else "",
        "split": split,
        "judge": judge,
        "level": LEVEL,
        "times": RESAMPLED,
    }
    sentences = read_yaml(Path(__file__).with_name("protocol.yaml"))
    return {name: sentence.format(**facts) for name, sentence in sentences.items()}
