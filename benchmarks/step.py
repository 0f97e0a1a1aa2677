"""Question `step`: how fast a training step is, beside a plain script of the same mathematics.

Layer sizes are facts of public scripts; the networks are written here. Convolutional ones are
those of PyTorch-GAN's ebgan.py and began.py for 1x32x32 images (z of 62; G: 128 channels at 8x8,
doubled twice by nearest neighbours, 3x3 convolutions to 128, 64 and 1; D: one 3x3 convolution of
stride 2 to 64 channels, a code of 32, and back); MLPs are those of wiseodd's scripts (z of 10, 128
hidden units in G and in D, 784 pixels). Both sides train the same networks from the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import limits, together
from benchmarks.page import Bar, Sides, number, paragraphs, percent, sides, spread, table
from benchmarks.plain import SCRIPTS, Script
from benchmarks.timing import Comparison, Spread, interleaved
from ebmrepro.config import declarations
from ebmrepro.config.optimisers import Adam, Adamax, Optim
from ebmrepro.config.types import Precision
from ebmrepro.methods.base import method
from ebmrepro.networks import threads
from ebmrepro.networks.energies import AutoEncoder
from ebmrepro.training.batches import Batches
from ebmrepro.training.loop import Training

OURS, PLAIN, MATMUL = "ours", "plain script", "matmul"
ALL_THREADS, BF16 = "ours, all threads", "ours, `precision: bf16`"
ONE_THREAD = "matmul, 1 thread"
AIM_CONVOLUTIONS = 2.0  # times the plain script
AIM_MLP = 0.75  # of the matmul rate
PARITY_STEPS = 5
WITHOUT_END = 10**9  # epochs


@dataclass(frozen=True)
class Case:
    """A training of one size."""

    title: str
    method: str
    shape: tuple[int, int, int]
    batch: int
    steps: int  # in a block
    hparams: dict[str, Any]
    optim: Optim
    convolutional: bool = False


def mlp(*hidden: int) -> dict[str, Any]:
    return {"kind": "mlp", "hidden": list(hidden), "activation": "relu", "batch_norm": False}


ADAM = Adam(name="adam", lr=2e-4, beta1=0.5, beta2=0.999)
DENSE: dict[str, dict[str, Any]] = {
    "ebgan": {"margin": 10.0, "reduction": "norm", "objective": "hinge", "rectified": True},
    "began": {"gamma": 0.5, "lambda_k": 1e-3, "stall": None, "reduction": "mean_abs"},
    "magan": {"pretrain_epochs": 0, "margin_moves": True, "reduction": "sum_sq", "rectified": True},
}


def dense(name: str, batch: int, steps: int) -> Case:
    """784-128-784; BEGAN's code is linear, as its paper has it, the others' are rectified."""
    optim = Adamax(name="adamax", lr=5e-4, beta1=0.9, beta2=0.999) if name == "magan" else ADAM
    networks = {"G": mlp(128), "encoder": mlp(), "decoder": mlp()}
    hparams = {"epochs": WITHOUT_END, "z": 10, "code": 128, "bounded": False}
    title = f"{name.upper()} MLP 784-128-784, batch {batch}"
    everything = hparams | networks | DENSE[name]
    return Case(title, name, (1, 28, 28), batch, steps, everything, optim)


def convolutional(name: str, steps: int, batch: int = 64) -> Case:
    given = DENSE[name] | ({"margin": 1.0, "reduction": "mean_sq"} if name == "ebgan" else {})
    small = {"G": mlp(1), "encoder": mlp(), "decoder": mlp()}  # `ours` puts PyTorch-GAN's there
    hparams = {"epochs": WITHOUT_END, "z": 62, "code": 32, "bounded": False, **small, **given}
    title = f"{name.upper()} convolutional 1x32x32, batch {batch}"
    return Case(title, name, (1, 32, 32), batch, steps, hparams, ADAM, convolutional=True)


def cases(quick: bool) -> list[Case]:
    if quick:
        return [convolutional("began", 1, batch=4), dense("magan", 32, 2)]
    return [
        *(convolutional(name, 2) for name in ("ebgan", "began")),
        *(dense(name, n, 6400 // n) for name in ("ebgan", "began", "magan") for n in (32, 64)),
    ]


def networks(name: str, z: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """G, encoder and decoder of PyTorch-GAN's layer sizes, for 1x32x32 images."""

    def block(fan_in: int, fan_out: int) -> list[nn.Module]:
        convolution = nn.Conv2d(fan_in, fan_out, 3, padding=1)
        return [
            nn.Upsample(scale_factor=2),
            convolution,
            nn.BatchNorm2d(fan_out),
            nn.LeakyReLU(0.2),
        ]

    G = nn.Sequential(
        nn.Linear(z, 128 * 8 * 8),
        nn.Unflatten(1, (128, 8, 8)),
        *([nn.BatchNorm2d(128)] if name == "began" else []),
        *block(128, 128),
        *block(128, 64),
        nn.Conv2d(64, 1, 3, padding=1),
        nn.Tanh(),
    )
    numbers = 64 * 16 * 16
    encoder = nn.Sequential(
        nn.Conv2d(1, 64, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(numbers, 32)
    )
    decoder = nn.Sequential(
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Linear(32, numbers),
        nn.BatchNorm1d(numbers),
        nn.ReLU(),
        nn.Unflatten(1, (64, 16, 16)),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(64, 1, 3, padding=1),
    )
    return G, encoder, decoder


def ours(
    case: Case,
    steps: int | None = None,
    device: str = "cpu",
    precision: Precision | None = None,
) -> Training:
    """The loop on a case, at its first step; the weights are always the same ones."""
    hparams = declarations.hparams_class(case.method).model_validate(case.hparams)
    model: Any = method.build(case.method, hparams, case.shape, classes=10, seed=0)
    if case.convolutional:
        G, encoder, decoder = networks(case.method, hparams.z)  # pyright: ignore[reportAttributeAccessIssue]
        model.G, model.D = G, AutoEncoder(encoder, decoder, model.hp.reduction)
    shape = (case.batch * (steps or case.steps), *case.shape)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    where = torch.device(device)
    batches = Batches(images, None, case.batch, 0, where)
    optim = {"G": case.optim, "D": case.optim}
    return Training(model.to(where), batches, optim, precision=precision)


def plain(case: Case, training: Training) -> Script:
    """The script on the networks of a training as they are now."""
    return SCRIPTS[case.method](training.method, {"G": case.optim, "D": case.optim})


def batches(training: Training, epoch: int = 0) -> list[torch.Tensor]:
    """What the loop shows in an epoch, made ready."""
    return [x for x, _ in training.batches.epoch(epoch)]


def differences(case: Case, device: str = "cpu") -> dict[str, dict[str, float]]:
    """How far each side is from the script in double precision, after a few steps from the same
    weights, images and noise: its mean losses, and what G and D then answer to the same input, root
    mean square; both relative. Weights would say less: a bias before a batch normalisation has no
    gradient but rounding, which Adam makes as large as any.
    """
    exact = _script(case, device, torch.float64)
    found = {OURS: _loop(case, device), PLAIN: _script(case, device, torch.float32)}
    if case.convolutional:
        found[BF16] = _loop(case, device, "bf16")
    return {
        side: {
            "losses": max(abs(a / b - 1) for a, b in zip(one.losses, exact.losses, strict=True)),
            "answers": max(map(limits.difference, one.answers, exact.answers)),
        }
        for side, one in found.items()
    }


@dataclass(frozen=True)
class _Learned:
    losses: tuple[float, float]  # of D and of G, means over the steps
    answers: tuple[Tensor, Tensor]  # of G and of D, in double precision


def _epochs(case: Case) -> int:
    return 1 + (case.method == "magan")  # of which the first measures its margin and moves nothing


def _loop(case: Case, device: str, precision: Precision | None = None) -> _Learned:
    training = ours(case, PARITY_STEPS, device, precision)
    epochs, record = training.epochs(), {}
    torch.manual_seed(1)
    for _ in range(_epochs(case)):
        record = next(epochs)
    model: Any = training.method
    answers = _answers(training, model.G, model.D.reconstruct, torch.float32)
    return _Learned((record["loss/D"], record["loss/G"]), answers)


def _script(case: Case, device: str, dtype: torch.dtype) -> _Learned:
    training = ours(case, PARITY_STEPS, device)
    script = plain(case, training).to(dtype)
    torch.manual_seed(1)
    for epoch in range(_epochs(case)):
        script.epoch([x.to(dtype) for x in batches(training, epoch)])
    of_D, of_G = np.mean(script.logged, axis=0)
    return _Learned((float(of_D), float(of_G)), _answers(training, script.G, script.D, dtype))


@torch.no_grad()
def _answers(training: Training, G: Any, D: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    x = batches(training)[0]
    z = torch.randn(len(x), training.method.hp.z, generator=torch.Generator().manual_seed(2))
    return G(z.to(x.device, dtype)).double(), D(x.to(dtype)).double()


def threads_of(training: Training) -> int | None:
    """As the stage `train` sets them; None: one a core."""
    return 1 if threads.is_small(training.method) else None


def measure(quick: bool) -> dict[str, Any]:
    repeats = 1 if quick else 7
    return {
        "cases": [
            _measure(case, min(repeats, 5) if case.convolutional else repeats, quick)
            for case in cases(quick)
        ],
        "together": together.measure(quick, repeats),
    }


def _measure(case: Case, repeats: int, quick: bool) -> dict[str, Any]:
    limits.with_threads(None)
    training = ours(case)
    own = threads_of(training)

    def on(number: int | None, run: Callable[[], object]) -> Callable[[], object]:
        def block() -> None:
            limits.with_threads(number)
            run()

        return block

    def loop(made: Training) -> Callable[[], object]:
        epochs = made.epochs()
        return lambda: next(epochs)

    script = plain(case, training)
    ready = batches(training)
    run = {OURS: on(own, loop(training)), PLAIN: on(None, lambda: script.epoch(ready))}
    if own is not None and limits.cores() > own:
        run[ALL_THREADS] = on(None, loop(ours(case)))
    if case.convolutional:
        run[BF16] = on(own, loop(ours(case, precision="bf16")))
    run[MATMUL], count = limits.matmul(1 if quick else 4, size=256 if quick else limits.SIZE)
    counts = {MATMUL: count}
    if own is not None:
        run[ONE_THREAD], counts[ONE_THREAD] = limits.matmul(
            1 if quick else 2, own, size=256 if quick else limits.SIZE
        )
    counted = ours(case, 1)
    epochs = counted.epochs()
    if case.method == "magan":
        next(epochs)
    counts[OURS] = case.steps * limits.products(lambda: next(epochs))
    again, one = plain(case, counted), batches(counted)
    if case.method == "magan":
        again.epoch(one)
    counts[PLAIN] = case.steps * limits.products(lambda: again.epoch(one))
    for side in (ALL_THREADS, BF16):
        counts |= {side: counts[OURS]} if side in run else {}
    for side in (OURS, PLAIN):  # MAGAN's first pass measures the margin
        run[side]()
    timed = interleaved(run, repeats)
    comparison = Comparison(case.title, "images", case.batch * case.steps, timed, counts)
    return {
        "comparison": comparison.tree(),
        "differences": differences(case),
        "convolutional": case.convolutional,
        "batch": case.batch,
        "steps": case.steps,
        "threads": own or limits.cores(),
        "parameters": sum(p.numel() for p in training.method.parameters()),
    }


def page(numbers: dict[str, Any]) -> str:
    found = numbers["cases"]
    compared = [Comparison.read(case["comparison"]) for case in found]
    rows: list[Sides] = []
    for case, comparison in zip(found, compared, strict=True):
        of = {s: OURS for s in comparison.blocks}
        rows.append(Sides(comparison, PLAIN, MATMUL, of, case["threads"]))
    verdicts = [_verdict(case, one) for case, one in zip(found, compared, strict=True)]
    extra = [
        [
            one.what,
            number(one.products[OURS] / case["steps"] / 1e6),
            number(one.products[PLAIN] / case["steps"] / 1e6),
            number(case["parameters"] / 1e3),
            *(percent(one.share(OURS, side)) if side in one.blocks else "" for side in LIMITS),
            *(
                f"{case['differences'][v]['losses']:.1e}, {case['differences'][v]['answers']:.1e}"
                if v in case["differences"]
                else ""
                for v in VARIANTS
            ),
        ]
        for case, one in zip(found, compared, strict=True)
    ]
    headings = ["case", "MFLOP a step, ours", "plain script's", "thousand parameters"]
    headings += ["ours, share of matmul on all threads", "on one thread"]
    headings += [f"difference of losses, of answers: {variant}" for variant in VARIANTS]
    return paragraphs(
        "The loop of `train.py`, with all it does at a step (batches drawn from uint8 images, "
        "terms averaged, gradients looked at for what is not finite), against a plain eager script "
        "of the same mathematics, which gets its batches ready-made. `share of the limit` counts "
        "the products of our step on both sides, over a large float32 product on all threads.",
        sides(rows),
        "`precision: bf16` is a key of a block that a user may set; left out, a stage computes in "
        "float32. `ours, all threads` is a candidate: what the stage does not do at this size.",
        table(headings, extra),
        f"Differences are those from the plain script in double precision, after {PARITY_STEPS} "
        "steps from the same weights, images and noise: of the mean losses, and of what G and D "
        "then answer to one input (root mean square), both relative. Where ours is as near as the "
        "script in single precision is, the two differ by rounding alone.",
        *verdicts,
        together.page(numbers["together"]),
    )


LIMITS, VARIANTS = (MATMUL, ONE_THREAD), (PLAIN, OURS, BF16)


def _verdict(case: dict[str, Any], one: Comparison) -> str:
    ratio = one.times_as_fast(OURS, PLAIN)
    if case["convolutional"]:
        narrow = one.times_as_fast(BF16, PLAIN)
        return (
            f"- {one.what}: {spread(ratio)} times the plain script in float32, where the aim of "
            f"{AIM_CONVOLUTIONS:g} is {_met(ratio.median >= AIM_CONVOLUTIONS)}; with `precision: "
            f"bf16` {spread(narrow)} times, where it is "
            f"{_met(narrow.median >= AIM_CONVOLUTIONS)}."
        )
    share = one.share(OURS, MATMUL)
    same = one.share(OURS, ONE_THREAD) if ONE_THREAD in one.blocks else share
    return (
        f"- {one.what}: {percent(share)} of the matmul rate of all threads and {percent(same)} of "
        f"that of the threads it uses ({case['threads']}); the aim of {100 * AIM_MLP:.0f} % is "
        f"{_met(same.median >= AIM_MLP)} on these; {spread(ratio)} times the plain script."
    )


def _met(it_is: bool) -> str:
    return "met" if it_is else "not met"


def bars(numbers: dict[str, Any]) -> list[Bar]:
    found: list[Bar] = []
    for case in numbers["cases"]:
        one = Comparison.read(case["comparison"])
        ratio: Spread = one.times_as_fast(OURS, PLAIN)
        aim = AIM_CONVOLUTIONS if case["convolutional"] else None
        found.append(Bar(one.what, "the plain script", ratio, aim))
        if BF16 in one.blocks:
            narrow = one.times_as_fast(BF16, PLAIN)
            found.append(Bar(f"{one.what}, in bf16", "the plain script", narrow, aim))
    return found
