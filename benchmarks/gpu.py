"""Question `gpu`: the training step on a GPU, where there is one.

The cases of `step`, in our loop and in the plain script, and as a captured graph: one step of the
method, recorded once and replayed, which costs the host one call a step. Then throughput against
batch and precision, and how long EBGAN's grid takes in one sitting. Shares are of a large product
of the same precision on the same GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import torch

from benchmarks import limits, step
from benchmarks.page import Bar, Sides, number, paragraphs, percent, sides, spread, table
from benchmarks.step import Case
from benchmarks.timing import Comparison, Spread, interleaved
from ebmrepro.config import params
from ebmrepro.config.types import Precision
from ebmrepro.runs import identity
from ebmrepro.studies.grid import configurations, play
from ebmrepro.training.batches import Batches
from ebmrepro.training.loop import Training

OURS, PLAIN, CAPTURED, MATMUL = step.OURS, step.PLAIN, "captured graph", step.MATMUL
BATCHES = (16, 64, 256, 1024)
PRECISIONS: dict[str, Precision | None] = {"float32": None, "tf32": "tf32", "bfloat16": "bf16"}
SIZE = 8192  # of the product that is the ceiling
IMAGES = 60_000  # of MNIST, which give the grid's steps
WARM_UP = 3  # steps before a capture, as torch asks: they allocate what the graph will use


class Captured:
    """One step of a training at a fixed batch, recorded as a graph; the loop around it is left out:
    its records and its look at what is not finite.
    """

    def __init__(self, case: Case):
        self.training = step.ours(case, 1, "cuda")
        self.x = step.batches(self.training)[0].clone()
        self.graph = torch.cuda.CUDAGraph()
        self.first = [value.clone() for value in self._values()]
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())  # pyright: ignore[reportArgumentType]
        with torch.cuda.stream(aside):  # pyright: ignore[reportArgumentType]
            for _ in range(WARM_UP):
                self.eager()
        torch.cuda.current_stream().wait_stream(aside)  # pyright: ignore[reportArgumentType]
        with torch.cuda.graph(self.graph):
            self.eager()
        self.rewind()

    def eager(self) -> None:
        """The step that is recorded, as calls."""
        adversarial = 1  # MAGAN's epoch 0 only measures its margin
        for turn in self.training.method.step(self.x, adversarial):
            player = self.training.players[turn.player]
            player.optimiser.clear()
            assert turn.loss is not None
            turn.loss.backward(inputs=player.parameters)
            player.optimiser.step()

    def rewind(self) -> None:
        """Go back to the first weights, in place, so that the graph finds them where they were."""
        with torch.no_grad():
            for value, first in zip(self._values(), self.first, strict=True):
                value.copy_(first)
            for player in self.training.players.values():
                for moments in player.optimiser.state:
                    for moment in moments.values():
                        moment.zero_()

    def _values(self) -> list[torch.Tensor]:
        method = self.training.method
        return [*method.parameters(), *method.buffers()]

    def difference(self, steps: int = 5) -> float:
        """Largest difference of a weight after some replays from the same steps as calls."""
        found = []
        for run in (self.graph.replay, self.eager):
            self.rewind()
            torch.cuda.manual_seed(1)
            for _ in range(steps):
                run()
            found.append([value.clone() for value in self.training.method.parameters()])
        return max(limits.difference(a, b) for a, b in zip(*found, strict=True))


def measure(quick: bool) -> dict[str, Any]:
    if not torch.cuda.is_available():
        return {"gpu": None}
    return {
        "gpu": torch.cuda.get_device_name(),
        "cases": [_measure(case, 1 if quick else 7) for case in step.cases(quick)],
        "grid": [
            _throughput(batch, precision, 1 if quick else 5)
            for precision in PRECISIONS
            for batch in (BATCHES[:1] if quick else BATCHES)
        ],
        "sitting": sitting(*((1, 2) if quick else (16, 300)), torch.device("cuda")),
    }


def _limit(precision: str) -> tuple[Callable[[], object], float]:
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    return limits.matmul(4, size=SIZE, device="cuda", dtype=dtype)


def _measure(case: Case, repeats: int) -> dict[str, Any]:
    differences = step.differences(case, "cuda")
    training = step.ours(case, device="cuda")
    script, ready = step.plain(case, training), step.batches(training)
    epochs, graph = training.epochs(), Captured(case)

    def replay() -> None:
        for _ in range(case.steps):
            graph.graph.replay()

    run: dict[str, Callable[[], object]] = {
        OURS: lambda: next(epochs),
        PLAIN: lambda: script.epoch(ready),
        CAPTURED: replay,
    }
    run[MATMUL], ceiling = _limit("float32")
    counted = case.steps * limits.products(graph.eager)
    counts = {OURS: counted, PLAIN: counted, CAPTURED: counted, MATMUL: ceiling}
    for side in (OURS, PLAIN):  # MAGAN's first pass measures the margin
        run[side]()
    timed = interleaved(run, repeats, torch.cuda.synchronize)
    comparison = Comparison(case.title, "images", case.batch * case.steps, timed, counts)
    graph_differs = graph.difference()
    return {
        "comparison": comparison.tree(),
        "differences": differences,
        "captured": graph_differs,
    }


def _throughput(batch: int, precision: str, repeats: int) -> dict[str, Any]:
    """The convolutional BEGAN at one batch and precision, which a training sets for the process."""
    case = replace(step.convolutional("began", 10), batch=batch, title=f"batch {batch}")
    epochs = step.ours(case, device="cuda", precision=PRECISIONS[precision]).epochs()
    limit, ceiling = _limit(precision)
    one = step.ours(case, 1, "cuda", PRECISIONS[precision]).epochs()
    counts = {OURS: case.steps * limits.products(lambda: next(one)), MATMUL: ceiling}
    timed = interleaved(
        {OURS: lambda: next(epochs), MATMUL: limit}, repeats, torch.cuda.synchronize
    )
    comparison = Comparison(case.title, "images", batch * case.steps, timed, counts)
    return {"comparison": comparison.tree(), "precision": precision, "batch": batch}


def sitting(drawn: int, steps: int, device: torch.device) -> dict[str, Any]:
    """Milliseconds a step of EBGANs drawn from table 1, one after another; the steps that each
    takes at the paper's epochs, and how many the table holds, for which a draw stands.
    """
    grid = params.load(identity.PACKAGE.parent / "params.yaml").grid("mnist")
    images = np.random.default_rng(0).integers(0, 256, (6400, 1, 28, 28), dtype=np.uint8)
    found = []
    for chosen in configurations.drawn("ebgan", grid, drawn, seed=0):
        model = play.build(chosen, grid, images.shape[1:], 0, WARM_UP + steps).to(device)
        batches = Batches(images, None, grid.batch_size, 0, device)
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
            "Not run: no GPU that torch can use was found here. With one, this part measures:",
            "- the training steps above in our loop, in the plain script and as a captured graph, "
            "each as a share of a large float32 product on the same GPU;",
            "- how far the captured graph's weights are from those of the same steps as calls;",
            "- images a second of the convolutional BEGAN at batches of "
            f"{', '.join(map(str, BATCHES))}, in {', '.join(PRECISIONS)}, each as a share of a "
            "large product of its precision;",
            "- a step of EBGANs drawn from the grid of table 1, and what all 512 of them take in "
            "one sitting.",
        )
    found = [Comparison.read(case["comparison"]) for case in numbers["cases"]]
    differences = [
        [
            one.what,
            f"{case['differences'][OURS]['losses']:.1e}",
            f"{case['differences'][OURS]['answers']:.1e}",
            f"{case['captured']:.1e}",
        ]
        for case, one in zip(numbers["cases"], found, strict=True)
    ]
    grid = []
    for cell in numbers["grid"]:
        one = Comparison.read(cell["comparison"])
        grid.append(
            [
                f"{cell['precision']}, batch {cell['batch']}",
                spread(one.rate(OURS)),
                percent(one.share(OURS, MATMUL)),
            ]
        )
    return paragraphs(
        f"On {numbers['gpu']}.",
        sides([Sides(one, PLAIN, MATMUL) for one in found]),
        "Differences after a few steps from the same weights and noise: of our losses and of what "
        "G and D answer, from the plain script's in double precision; and of weights, from a "
        "replayed graph to calls.",
        table(["case", "losses", "answers", "graph against calls"], differences),
        "The convolutional BEGAN in our loop:",
        table(["precision", "images a second", "share of the limit"], grid),
        _whole_grid(numbers["sitting"]),
    )


def _whole_grid(found: dict[str, Any]) -> str:
    steps, count, times = found["steps"], found["configurations"], found["milliseconds"]
    hours = sum(times) / len(times) * steps * count / 3.6e6
    return (
        f"EBGAN's grid: {spread(Spread.of(times))} ms a step over {len(times)} configurations "
        f"drawn from table 1. All {count} of them, {steps:,} steps each, take "
        f"{number(hours)} hours at their mean, one after another in one process."
    )


def bars(numbers: dict[str, Any]) -> list[Bar]:
    if numbers["gpu"] is None:
        return []
    found = [Comparison.read(case["comparison"]) for case in numbers["cases"]]
    return [
        Bar(f"{one.what}, GPU", "the plain script", one.times_as_fast(OURS, PLAIN)) for one in found
    ]
