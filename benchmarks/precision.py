"""What `precision: bf16` moves in RBMs, stacks of them and the deep auto-encoder.

    python -m benchmarks.precision                          # all of digits, at full budget
    python -m benchmarks.precision mnist 0.06 rbm__cd1      # three of its epochs, a short AIS
    python -m benchmarks.precision mnist 0.02 autoencoder   # an epoch of each RBM, four after them

Each system is trained in both precisions from the same seeds, which draw the same numbers, and is
measured in float32. Prints a table: means with 95 % intervals, and that of the differences seed by
seed. Systems that digits do not have are MNIST's, with layers that fit 64 pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.page import table
from ebmrepro import data
from ebmrepro.config import declarations, params
from ebmrepro.config.training import Block, base, scaled
from ebmrepro.config.types import Precision
from ebmrepro.evaluation import inference
from ebmrepro.methods.base import method
from ebmrepro.methods.base.abilities import Diagnoses, InfersLabels
from ebmrepro.methods.base.rbm_stack import RBMStack, visible
from ebmrepro.metrics.interval import interval
from ebmrepro.runs import fingerprints, models
from ebmrepro.runs.run import prepared

SEEDS = (3, 4, 5, 6, 7)
PRECISIONS: tuple[Precision | None, ...] = (None, "bf16")
GREEDY = "greedy_sum_sq"
MEASURED = {  # key -> what it is, and its unit
    GREEDY: "squared error per image after greedy training",
    "error_greedy": "error after greedy training, %",
    "error_updown": "error after up-down, %",
    "error_pretrained": "error after fine-tuning, %",
    "error_random": "error from random weights, %",
    "reconstruction_sum_sq": "squared error per image after fine-tuning",
    "reconstruction_sum_sq_random": "squared error per image from random weights",
    "log_likelihood": "log-likelihood of test images by AIS, nats",
}


def blocks(suite: str, part: float) -> Iterator[tuple[str, Block]]:
    """The systems that are compared on a suite, at a part of their epochs."""
    known = params.load(fingerprints.PACKAGE.parent / "params.yaml")
    mnist = known.suite("mnist")
    if suite == "mnist":
        rungs = [(0.5, 0.005), (0.9, 0.001), (1.0, 0.0001)]  # 1,500 temperatures
        ais = {"temperatures": [{"up_to": top, "step": step} for top, step in rungs]}
        likelihood = mnist.block("rbm__cd1").hparams.likelihood.model_dump()
        likelihood["ais"] |= ais | {"burn_in": 500}
        found = {
            "rbm__cd1": _changed(mnist, "rbm__cd1", likelihood=likelihood),
            "autoencoder": mnist.block("autoencoder"),
        }
    else:
        own = known.suite(suite)
        found = {name: own.block(name) for name in ("dbn", "dbn_updown")}
        found["autoencoder"] = _changed(mnist, "autoencoder", layers=[128, 64, 32, 10])
        found["rbm"] = _changed(mnist, "rbm", layers=[128])
    return ((name, scaled(block, part)) for name, block in found.items())


def _changed(suite: Any, name: str, **hparams: Any) -> Block:
    block = suite.block(name)
    values = block.hparams.model_dump() | hparams
    made = declarations.hparams_class(base(name)).model_validate(values)
    return block.model_copy(update={"hparams": made})


def trained(suite: str, name: str, block: Block, seed: int) -> dict[str, float]:
    """What is measured of one training, in float32."""
    x, y = data.read(Path("data") / suite, "train")
    shape, classes = x.shape[1:], int(y.max()) + 1
    model = method.build(base(name), block.hparams, shape, classes, seed)
    for _ in prepared(model, x, y, block, seed).epochs():
        pass
    exact = method.build(base(name), block.hparams, shape, classes, seed).eval()
    exact.load_state_dict(model.state_dict())
    splits = [models.Split(suite, split) for split in ("train", "test")]
    torch.manual_seed(seed)
    assert isinstance(exact, RBMStack)
    if isinstance(exact, InfersLabels):
        found = inference.errors(*inference.infer(exact, splits[1]))
    else:
        assert isinstance(exact, Diagnoses)
        found = exact.diagnose(*splits)
        found[GREEDY] = _reconstruction(exact, visible(torch.cat([x for x, _ in splits[1]])))
    return {
        key: value * (100 if key.startswith("error") else 1)
        for key, value in found.items()
        if key in MEASURED
    }


@torch.no_grad()
def _reconstruction(model: RBMStack, v: torch.Tensor) -> float:
    """Of images by probabilities alone, up all RBMs and down again, (N, V) -> mean over N."""
    h = v
    for rbm in model.stack:
        h = rbm.up(h)
    for rbm in model.stack[::-1]:
        h = rbm.down(h)
    return (v - h).square().sum(1).mean().item()


def main(arguments: Sequence[str]) -> None:
    suite, part, *names = (*arguments, *("digits", "1")[len(arguments) :])
    rows = []
    for name, block in blocks(suite, float(part)):
        if names and name not in names:
            continue
        found: list[list[dict[str, float]]] = [
            [
                trained(suite, name, block.model_copy(update={"precision": chosen}), seed)
                for seed in SEEDS
            ]
            for chosen in PRECISIONS
        ]
        for key in (key for key in MEASURED if key in found[0][0]):
            exact, rounded = ([run[key] for run in runs] for runs in found)
            moved = [b - a for a, b in zip(exact, rounded, strict=True)]
            rows.append([f"`{name}`", MEASURED[key], *map(_shown, (exact, rounded, moved))])
            print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    print(table(["", "", "float32", "`bf16`", "`bf16` minus float32"], rows))


def _shown(values: Sequence[float]) -> str:
    of = interval(values)
    return f"{of.mean:.3f} [{of.low:.3f}, {of.high:.3f}]".replace("-", "−")


if __name__ == "__main__":
    main(sys.argv[1:])
