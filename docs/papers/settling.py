"""The error of a label that Gibbs steps settle, by their number, on MNIST: see dbn_updown.md.

    python docs/papers/settling.py

Run in the project's folder, where `dbn_updown` is trained and `python stages/data.py mnist` has put
the images. The test images are measured, as they are for the errors beside which these stand, and
nothing is chosen by them.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import one_hot

from ebmrepro import data
from ebmrepro.config import params
from ebmrepro.methods.base.rbm_stack import visible
from ebmrepro.methods.dbn_updown import DBNUpDown
from ebmrepro.networks import device, images
from ebmrepro.networks.random import one_of
from ebmrepro.runs import models

KEPT = Path(__file__).with_suffix(".json")
STEPS = [1, 2, 5, 10, 20, 50, 100]
PROTOCOL = "10,000 test images, one sampled pass up; labels start at 0.1, the layer below is held"


@torch.no_grad()
def settling(model: DBNUpDown, x: torch.Tensor) -> Iterator[torch.Tensor]:
    """p(y | t) after each step, (N, classes), of images (N, C, H, W)."""
    h = model._up(visible(x))[-1]
    y = torch.full((len(h), model.classes), 1 / model.classes, device=h.device)
    while True:
        t = model.top.draw_hidden(model.top.field(torch.cat([h, y], 1)))
        _, p = model.top.part(model.top.down(t))
        yield p
        y = one_hot(one_of(p), model.classes).to(h.dtype)


def errors(model: DBNUpDown, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """By the last step's probabilities, and by their mean over all steps so far."""
    missed = dict.fromkeys((f"{n} steps, {by}" for n in STEPS for by in ("last", "mean")), 0)
    for i in range(0, len(x), 1000):
        part = images.from_uint8(x[i : i + 1000]).to(device.device())
        truth = torch.from_numpy(y[i : i + 1000]).to(part.device)
        total = torch.zeros(len(part), model.classes, device=part.device)
        for n, p in zip(range(1, STEPS[-1] + 1), settling(model, part), strict=False):
            total += p
            if n in STEPS:
                missed[f"{n} steps, last"] += int((p.argmax(1) != truth).sum())
                missed[f"{n} steps, mean"] += int((total.argmax(1) != truth).sum())
    return {f"{way}: error": count / len(x) for way, count in missed.items()}


def main() -> None:
    settings, (x, y) = params.load(), data.read(Path("data/mnist"), "test")
    values: dict[str, dict[str, float]] = {}
    for weights in sorted(Path("models/mnist/dbn_updown").glob("*/model.safetensors")):
        seed = weights.parent.name
        model = models.restore("mnist", "dbn_updown", int(seed), settings)
        assert isinstance(model, DBNUpDown)
        torch.manual_seed(int(seed))
        for way, error in errors(model, np.array(x), y).items():
            values.setdefault(way, {})[seed] = error
    document = {"values": values, "protocol": dict.fromkeys(values, PROTOCOL), "reasons": {}}
    KEPT.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
