"""Question `rbm`: CD-1 of an RBM of 784 visible and 500 hidden units, at batches of 100.

On the same binary images, in the same number of Gibbs steps: ours in two methods (`dbn`, whose
first layer takes grey levels for probabilities, and `rbm`, which draws bits), each in float32 and
with `precision: bf16`, scikit-learn's BernoulliRBM (persistent, one step) and learnergy's RBM
(CD-1) where it is installed. Arithmetic is counted on the five products of CD-1 alone: v W, h W',
v' W, and the two statistics <v h>.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks import limits
from benchmarks.page import Bar, Sides, paragraphs, percent, sides, spread
from benchmarks.timing import Comparison, interleaved
from ebmrepro.config import declarations, params
from ebmrepro.config.optimisers import SGD, Momentum
from ebmrepro.config.types import Precision
from ebmrepro.methods.base import method
from ebmrepro.networks import threads
from ebmrepro.runs import fingerprints
from ebmrepro.training.batches import Batches
from ebmrepro.training.loop import Training

VISIBLE, HIDDEN, BATCH, PRODUCTS = 784, 500, 100, 5
RBM, DBN, SKLEARN, LEARNERGY = "ours, rbm", "ours, dbn", "scikit-learn", "learnergy"
BF16 = {RBM: f"{RBM}, `bf16`", DBN: f"{DBN}, `bf16`"}  # each with its own threads
MATMUL, ONE_THREAD = "matmul", "matmul, 1 thread"
AIM_SHARE, AIM_TIMES, AIM_BF16 = 0.85, 2.0, 1.6
RATE = 0.05
WITHOUT_END = 10**9


def images(batches: int) -> np.ndarray:
    """Digits of scikit-learn's set in 28x28 binary pixels, uint8 of 0 and 255 (N, 1, 28, 28)."""
    from sklearn.datasets import load_digits

    rows = np.arange(28) * 8 // 28
    pixels, _ = load_digits(return_X_y=True)
    large = np.asarray(pixels).reshape(-1, 8, 8)[:, rows][:, :, rows] > 8
    take = np.arange(batches * BATCH) % len(large)
    return (large[take, None] * 255).astype(np.uint8)


def ours(name: str, batches: int, precision: Precision | None = None) -> Training:
    """An RBM alone, or the first layer of MNIST's DBN, at the beginning of its training."""
    block = params.load(fingerprints.PACKAGE.parent / "params.yaml").suite("mnist").block(name)
    given: dict[str, Any] = {"rbm_epochs": WITHOUT_END, "cd_steps": 1}
    if name == "rbm":
        given |= {"layers": [HIDDEN], "cd_steps": [1]}
    values = block.hparams.model_dump() | given
    hparams = declarations.hparams_class(name).model_validate(values)
    model = method.build(name, hparams, (1, 28, 28), 10, seed=0)
    labels = np.zeros(batches * BATCH, dtype=np.int64) if model.labelled else None
    made = Batches(images(batches), labels, BATCH, 0, torch.device("cpu"))
    momentum = Momentum(initial=0.5, final=0.5, epochs=1)
    spec = SGD(name="sgd", lr=RATE, momentum=momentum, weight_decay=0.0)
    return Training(model, made, {"rbms": spec}, precision=precision)


def scikit_learns(batches: int) -> Callable[[], object]:
    from sklearn.neural_network import BernoulliRBM

    v = images(batches).reshape(-1, VISIBLE).astype(np.float32) / 255
    model = BernoulliRBM(HIDDEN, learning_rate=RATE, batch_size=BATCH, n_iter=1, random_state=0)
    return lambda: model.fit(v)


def learnergys(batches: int) -> Callable[[], object] | None:
    """None where it is not installed."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            found = importlib.import_module("learnergy.models.bernoulli")
    except ImportError:
        return None
    v = torch.from_numpy(images(batches).reshape(-1, VISIBLE)).float() / 255
    shown = torch.utils.data.TensorDataset(v, torch.zeros(len(v)))
    model = found.RBM(VISIBLE, HIDDEN, steps=1, learning_rate=RATE, momentum=0.5)

    def run() -> None:
        hidden = io.StringIO()
        with contextlib.redirect_stdout(hidden), contextlib.redirect_stderr(hidden):
            model.fit(shown, batch_size=BATCH, epochs=1)

    return run


def threads_of(training: Training) -> int | None:
    """As the stage `train` sets them for an RBM of this size; None: one a core."""
    return 1 if threads.is_small(training.method) else None


def measure(quick: bool) -> dict[str, Any]:
    batches, repeats, size = (2, 1, 256) if quick else (100, 9, limits.SIZE)

    def on(number: int | None, run: Callable[[], object]) -> Callable[[], object]:
        def block() -> None:
            limits.with_threads(number)
            run()

        return block

    run: dict[str, Callable[[], object]] = {}
    used: dict[str, int] = {}
    for side, name in ((RBM, "rbm"), (DBN, "dbn")):
        training = ours(name, batches)
        epochs, own = training.epochs(), threads_of(training)
        run[side] = on(own, lambda epochs=epochs: next(epochs))
        rounded = ours(name, batches, "bf16").epochs()
        run[BF16[side]] = on(own, lambda epochs=rounded: next(epochs))
        used[side] = used[BF16[side]] = own or limits.cores()
        if used[side] < limits.cores():
            epochs, other = ours(name, batches).epochs(), f"{side}, all threads"
            run[other] = on(None, lambda epochs=epochs: next(epochs))
            used[other] = limits.cores()
    run[SKLEARN] = on(None, scikit_learns(batches))
    if (theirs := learnergys(batches)) is not None:
        run[LEARNERGY] = on(None, theirs)
    work = PRODUCTS * 2.0 * VISIBLE * HIDDEN * BATCH * batches
    counts = dict.fromkeys([side for side in run if side not in BF16.values()], work)
    run[MATMUL], counts[MATMUL] = limits.matmul(1 if quick else 4, size=size)
    run[ONE_THREAD], counts[ONE_THREAD] = limits.matmul(1 if quick else 2, 1, size=size)
    executed = {}
    for name in ("rbm", "dbn"):
        epochs = ours(name, 1).epochs()
        executed[f"ours, {name}"] = limits.products(lambda epochs=epochs: next(epochs))
    timed = interleaved(run, repeats)
    comparison = Comparison(
        "RBM 784-500, CD-1, batch 100", "images", BATCH * batches, timed, counts
    )
    return {
        "comparison": comparison.tree(),
        "threads": used,
        "executed": executed,  # floating-point operations of the products of a step
        "one": PRODUCTS * 2.0 * VISIBLE * HIDDEN * BATCH,
    }


def page(numbers: dict[str, Any]) -> str:
    one = Comparison.read(numbers["comparison"])
    peers = [side for side in (SKLEARN, LEARNERGY) if side in one.blocks]
    ourselves = [side for side in one.blocks if side.startswith("ours")]

    def beside(side: str) -> str:
        times = [(p, one.times_as_fast(side, p)) for p in peers]
        parts = (f"{spread(n)} times {p}, {_met(n.median >= AIM_TIMES)}" for p, n in times)
        return f"The aim of {AIM_TIMES:g} times a peer: {'; '.join(parts)}."

    lines = []
    for side in ourselves:
        if side in BF16.values():
            continue
        own = numbers["threads"][side]
        share = one.share(side, ONE_THREAD if own == 1 else MATMUL)
        lines.append(
            f"- {side}: {percent(share)} of the matmul rate of the threads it uses ({own}); the "
            f"aim of {100 * AIM_SHARE:.0f} % is {_met(share.median >= AIM_SHARE)}. " + beside(side)
        )
        if BF16.get(side) in one.blocks:
            faster = one.times_as_fast(BF16[side], side)
            lines.append(
                f"- {BF16[side]}: {spread(faster)} times as fast as in float32; the aim of "
                f"{AIM_BF16:g} is {_met(faster.median >= AIM_BF16)}. {beside(BF16[side])}"
            )
    executed = ", ".join(
        f"{side} {flop / numbers['one'] * PRODUCTS:.2f}"
        for side, flop in numbers["executed"].items()
    )
    missing = (
        ""
        if LEARNERGY in one.blocks
        else "learnergy is not installed here, so it was not run (`uv pip install learnergy`)."
    )
    return paragraphs(
        "Images a second of contrastive divergence on the same binary images, our loop with its "
        "batches drawn, its terms and its checks; `share of the limit` counts five products of "
        f"{BATCH} x {VISIBLE} x {HIDDEN} a step, whatever a side computes, over a large float32 "
        "product on all threads, and so is not taken of `bf16`. `ours, rbm` is an RBM alone, "
        "`ours, dbn` the first layer of MNIST's DBN; the stage `train` decides by the number of "
        "parameters how many threads it uses. Peers use all.",
        sides([Sides(one, SKLEARN, MATMUL)]),
        missing,
        f"Products that a step computes, in units of one of the five: {executed}.",
        *lines,
    )


def _met(it_is: bool) -> str:
    return "met" if it_is else "not met"


def bars(numbers: dict[str, Any]) -> list[Bar]:
    one = Comparison.read(numbers["comparison"])
    return [
        Bar("RBM 784-500, CD-1", side, one.times_as_fast(DBN, side), AIM_TIMES)
        for side in (SKLEARN, LEARNERGY)
        if side in one.blocks
    ]
