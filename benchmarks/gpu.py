"""Question `gpu`: the machine, whether all works on it, and the training step of every method.

It is the measures of `ebmrepro offload`, taken here where there is a GPU, else those that
`ebmrepro offload take` brought home from one; and how long EBGAN's grid takes in one sitting.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
import torch

from benchmarks.page import Bar, number, paragraphs, percent, spread, table
from benchmarks.timing import Spread
from ebmrepro.config import forms, params
from ebmrepro.networks import device
from ebmrepro.pipeline.offload import take
from ebmrepro.pipeline.offload.program import MEASURES
from ebmrepro.runs import fingerprints, layout
from ebmrepro.studies.grid import configurations, play
from ebmrepro.system.reading import known
from ebmrepro.training.batches import Batches
from ebmrepro.training.loop import Training

SECONDS, QUICK = 540.0, 30.0  # of which each measure takes its share
IMAGES = 60_000  # of MNIST, which give the grid's steps
WARM_UP = 3  # steps


def measure(quick: bool) -> dict[str, Any]:
    if device.device().type != "cuda":
        kept = known(forms.Report.read, layout.root() / take.KEPT) or {"parts": {}}
        parts = {name: part["cells"] for name, part in kept["parts"].items() if name in MEASURES}
        name = parts.get("ceilings", {}).get("machine", {}).get("name")  # a CPU has none
        return {"gpu": name, "parts": parts} if name else NONE
    whole = QUICK if quick else SECONDS
    parts = {
        name: dict(work(time.monotonic() + share * whole))
        for name, (work, share) in MEASURES.items()
    }
    return {
        "gpu": torch.cuda.get_device_name(device.device()),
        "parts": parts,
        "sitting": sitting(*((1, 2) if quick else (16, 300)), device.device()),
    }


NONE: dict[str, Any] = {"gpu": None}


def sitting(drawn: int, steps: int, where: torch.device) -> dict[str, Any]:
    """Milliseconds a step of EBGANs drawn from table 1, one after another; the steps that each
    takes at the paper's epochs, and how many the table holds, for which a draw stands.
    """
    grid = params.load(fingerprints.PACKAGE.parent / "params.yaml").grid("mnist")
    images = np.random.default_rng(0).integers(0, 256, (6400, 1, 28, 28), dtype=np.uint8)
    found = []
    for chosen in configurations.drawn("ebgan", grid, drawn, seed=0):
        model = play.build(chosen, grid, images.shape[1:], 0, WARM_UP + steps).to(where)
        batches = Batches(images, None, grid.batch_size, 0, where)
        training = Training(model, batches, play.optimisers(chosen, grid))
        taken = training.steps()
        list(islice(taken, WARM_UP))
        training.check()
        start = time.perf_counter()
        list(islice(taken, steps))
        training.check()  # it waits for the device
        found.append(1e3 * (time.perf_counter() - start) / steps)
    return {
        "milliseconds": found,
        "steps": grid.epochs * (IMAGES // grid.batch_size),
        "configurations": len(configurations.table("ebgan", grid.table.ebgan, grid.margin)),
    }


def page(numbers: dict[str, Any]) -> str:
    if numbers["gpu"] is None:
        return paragraphs(
            "Not run: no GPU that torch can use was found here. With one, or after `ebmrepro "
            "offload take` of a pack that was run with `--measure` on one, this part tells:",
            "- products by precision and a copy, the machine's limits;",
            "- which methods step, go on from what they saved, wait for nothing, and take the same "
            "steps as graphs and as on a CPU in double precision;",
            "- a step of every method by size and precision, one kernel at a time and as a graph, "
            "as a share of a large product of the same precision, and the memory it takes;",
            "- a step of EBGANs drawn from the grid of table 1, and what all 512 of them take in "
            "one sitting.",
        )
    parts: Mapping[str, Mapping[str, Any]] = numbers["parts"]
    limits = [[key, number(value)] for key, value in parts["ceilings"].items() if _is_one(value)]
    proofs = {**parts.get("proofs", {}), **parts.get("parity", {})}
    wrong = [f"- {key}: {_why(value)}" for key, value in proofs.items() if not _is_well(value)]
    well = sum(_is_well(value) for value in proofs.values())
    return paragraphs(
        f"On {numbers['gpu']}.",
        table(["limit", ""], limits),
        f"{well} of {len(proofs)} checks of the methods are well.",
        *wrong,
        table(
            ["step", "batch", "epoch", "ms", "images a second", "share of the limit", "MB"],
            [row for case in parts.get("speed", {}).items() for row in _steps(*case)],
        ),
        _whole_grid(numbers["sitting"]) if "sitting" in numbers else "",
    )


def _is_one(value: object) -> bool:
    return isinstance(value, int | float)


def _is_well(value: Any) -> bool:
    return isinstance(value, dict) and bool(value.get("well"))


def _why(value: Any) -> str:
    if isinstance(value, dict):
        return value.get("failed") or ", ".join(f"{key} {found}" for key, found in value.items())
    return str(value)


def _steps(case: str, found: Any) -> list[list[str]]:
    """Rows of one case: a step at an epoch, one way."""
    if not isinstance(found, dict) or "batch" not in found:
        return [[case, "", "", _why(found), "", "", ""]]
    return [
        [
            case,
            str(found["batch"]),
            when,
            number(step["ms"]),
            number(step["images_per_second"]),
            percent(Spread.of([step["share"]])),
            number(step["memory_mb"]) if "memory_mb" in step else "",
        ]
        for when, step in found.items()
        if when != "batch"
    ]


def _whole_grid(found: dict[str, Any]) -> str:
    steps, count, times = found["steps"], found["configurations"], found["milliseconds"]
    hours = sum(times) / len(times) * steps * count / 3.6e6
    return (
        f"EBGAN's grid: {spread(Spread.of(times))} ms a step over {len(times)} configurations "
        f"drawn from table 1. All {count} of them, {steps:,} steps each, take "
        f"{number(hours)} hours at their mean, one after another in one process."
    )


def bars(numbers: dict[str, Any]) -> list[Bar]:
    del numbers  # what is measured on a GPU has no rival here
    return []
