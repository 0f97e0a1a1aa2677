"""Which part of the paper's recipe moves the likelihood that CD-1 learns on MNIST: see rbm.md.

    python docs/papers/rbm_recipe.py

Run in the project's folder, where `python stages/data.py mnist` has put the images. No test image
is looked at: of the training images the last 10,000 are measured and the others learnt. A training
takes about ten minutes of a core; what stands in rbm_recipe.json is not trained again.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import torch

from ebmrepro import data
from ebmrepro.config import params
from ebmrepro.methods import rbm
from ebmrepro.methods.base import method
from ebmrepro.networks import device, images
from ebmrepro.runs import run

KEPT = Path(__file__).with_suffix(".json")
HELD_OUT, SEED = 10_000, 0
# Of each choice ours, then the paper's.
CHOICES = {
    "rate": ("falling", "constant"),
    "binarised": ("each_step", "once"),
    "visible_bias": ("log_odds", "zero"),
}
MEASURED = ("log_likelihood", "log_z_gap", "r_hat", "ais_effective")


def combinations() -> list[dict[str, str]]:
    """Ours and theirs first, then those that differ from one of them by one choice."""
    found = [dict(zip(CHOICES, each, strict=True)) for each in itertools.product(*CHOICES.values())]
    return sorted(found, key=lambda one: 0 < theirs(one) < len(CHOICES))


def theirs(chosen: dict[str, str]) -> int:
    return sum(value == CHOICES[key][1] for key, value in chosen.items())


def batches(x: np.ndarray, y: np.ndarray) -> list[method.Labelled]:
    where = device.device()
    return [
        method.Labelled(
            images.from_uint8(x[i : i + 1000]).to(where), torch.from_numpy(y[i : i + 1000])
        )
        for i in range(0, len(x), 1000)
    ]


def measured(chosen: dict[str, str], settings: params.Params) -> dict[str, float]:
    block = settings.block("mnist", "rbm__cd1")
    x, y = (np.array(part) for part in data.read(Path("data/mnist"), "train"))
    seen, unseen = (x[:-HELD_OUT], y[:-HELD_OUT]), (x[-HELD_OUT:], y[-HELD_OUT:])
    hparams = block.hparams.model_copy(update=chosen)
    model = method.build("rbm", hparams, x.shape[1:], 10, SEED).to(device.device())
    assert isinstance(model, rbm.RestrictedBoltzmann)
    for record in run.prepared(model, *seen, block, SEED).epochs():
        print(f"{chosen}: epoch {record['epoch']}", flush=True)
    return model.eval().diagnose(batches(*seen), batches(*unseen))


def main() -> None:
    settings = params.load()
    epochs = settings.block("mnist", "rbm__cd1").hparams.model_dump()["rbm_epochs"]
    told = f"{epochs} epochs of CD-1 on all training images but {HELD_OUT:,}, measured on those"
    empty = {"values": {}, "protocol": {}, "reasons": {}}
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else empty
    for chosen in combinations():
        name = ", ".join(f"{key} {value}" for key, value in chosen.items())
        if f"{name}: log_likelihood" in kept["values"]:
            continue
        found = measured(chosen, settings)
        for measure in MEASURED:
            kept["values"][f"{name}: {measure}"] = {str(SEED): round(found[measure], 4)}
            kept["protocol"][f"{name}: {measure}"] = f"{told}; seed {SEED}"
        KEPT.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
