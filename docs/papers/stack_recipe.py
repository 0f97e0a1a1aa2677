"""How the second layer of the stack is trained, and what that does to its bound: see rbm.md.

    python docs/papers/stack_recipe.py

Run in the project's folder, where `python stages/data.py mnist` has put the images. No test image
is looked at: of the training images the last 10,000 are measured and the others learnt. The first
layer is trained once, as `rbm__stack` has it, and kept under .ebmrepro; upon it a second layer is
trained in each way. What stands in stack_recipe.json is not trained again.
"""

import json
from pathlib import Path

import numpy as np
import torch
from rbm_recipe import HELD_OUT, SEED, batches
from safetensors.torch import load_file, save_file

from ebmrepro import data
from ebmrepro.config import params
from ebmrepro.config.training import Block
from ebmrepro.methods import rbm
from ebmrepro.methods.base import method
from ebmrepro.networks import device
from ebmrepro.runs import run
from ebmrepro.training.loop import Training

KEPT = Path(__file__).with_suffix(".json")
FIRST = Path(".ebmrepro/stack_recipe.safetensors")
OURS = {"lr": 0.05, "cd_steps": 3, "rate": "falling"}
WAYS = [{}, {"lr": 0.1}, {"lr": 0.02}, {"cd_steps": 10}, {"rate": "constant"}]
RUNGS = [{"up_to": 0.5, "step": 0.005}, {"up_to": 0.9, "step": 0.001}, {"up_to": 1, "step": 0.0001}]
MEASURED = ("log_likelihood_bound", "log_z_gap", "r_hat", "ais_effective")


def block(settings: params.Params, way: dict[str, object]) -> Block:
    """That of the stack with other numbers, and an AIS of 1,500 temperatures."""
    there = settings.block("mnist", "rbm__stack")
    chosen = OURS | way
    likelihood = there.hparams.model_dump()["likelihood"]
    likelihood["ais"] |= {"temperatures": RUNGS}
    hparams = there.hparams.model_dump() | {
        "cd_steps": [there.hparams.cd_steps[0], chosen["cd_steps"]],
        "rate": chosen["rate"],
        "likelihood": likelihood,
    }
    optim = {"rbms": there.optim["rbms"].model_copy(update={"lr": chosen["lr"]})}
    return there.model_copy(
        update={"hparams": type(there.hparams).model_validate(hparams), "optim": optim}
    )


def begun(chosen: Block, x: np.ndarray, y: np.ndarray) -> tuple[rbm.RestrictedBoltzmann, Training]:
    torch.manual_seed(SEED)
    model = method.build("rbm", chosen.hparams, x.shape[1:], 10, SEED).to(device.device())
    assert isinstance(model, rbm.RestrictedBoltzmann)
    return model, run.prepared(model, x, y, chosen, SEED)


def first_layer(settings: params.Params, x: np.ndarray, y: np.ndarray) -> dict[str, torch.Tensor]:
    if not FIRST.exists():
        model, training = begun(block(settings, {}), x, y)
        for record in training.epochs():
            print(f"first layer: epoch {record['epoch']}", flush=True)
            if record["epoch"] == model.layer_epochs[0]:
                break
        FIRST.parent.mkdir(exist_ok=True)
        save_file(dict(model.stack[0].state_dict()), FIRST)
    return load_file(FIRST)


def measured(settings: params.Params, way: dict[str, object]) -> dict[str, float]:
    x, y = (np.array(part) for part in data.read(Path("data/mnist"), "train"))
    seen, unseen = (x[:-HELD_OUT], y[:-HELD_OUT]), (x[-HELD_OUT:], y[-HELD_OUT:])
    below = first_layer(settings, *seen)
    model, training = begun(block(settings, way), *seen)
    model.stack[0].load_state_dict(below)
    training.epoch = model.layer_epochs[0]
    for record in training.epochs():
        print(f"{way}: epoch {record['epoch']}", flush=True)
    return model.eval().diagnose(batches(*seen), batches(*unseen))


def main() -> None:
    settings = params.load()
    empty = {"values": {}, "protocol": {}, "reasons": {}}
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else empty
    epochs = settings.block("mnist", "rbm__stack").hparams.model_dump()["rbm_epochs"]
    told = f"{epochs} epochs a layer on all training images but {HELD_OUT:,}, measured on those"
    for way in WAYS:
        name = ", ".join(f"{key} {value}" for key, value in (OURS | way).items())
        if f"{name}: log_likelihood_bound" in kept["values"]:
            continue
        found = measured(settings, way)
        for measure in MEASURED:
            kept["values"][f"{name}: {measure}"] = {str(SEED): round(found[measure], 4)}
            kept["protocol"][f"{name}: {measure}"] = f"{told}; 1,500 temperatures; seed {SEED}"
        KEPT.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
