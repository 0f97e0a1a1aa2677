"""How the second layer of the stack is trained, and what that does to its bound: see rbm.md.

    python docs/papers/stack_recipe.py

Run in the project's folder, where `python stages/data.py mnist` has put the images; held_out.py
says which. The first layer is trained once, as `rbm__stack` has it, and kept under .ebmrepro; upon
it a second layer is trained in each way.
"""

from pathlib import Path

import held_out
from held_out import SEED

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
CHANGES = [{}, {"lr": 0.1}, {"lr": 0.02}, {"cd_steps": 10}, {"rate": "constant"}]
RUNGS = [{"up_to": 0.5, "step": 0.005}, {"up_to": 0.9, "step": 0.001}, {"up_to": 1, "step": 0.0001}]
MEASURED = ("log_likelihood_bound", "log_z_gap", "r_hat", "ais_effective")


def block(there: Block, way: held_out.Way) -> Block:
    """That of the stack with other numbers, and an AIS of 1,500 temperatures."""
    likelihood = there.hparams.model_dump()["likelihood"]
    likelihood["ais"] |= {"temperatures": RUNGS}
    hparams = there.hparams.model_dump() | {
        "cd_steps": [there.hparams.cd_steps[0], way["cd_steps"]],
        "rate": way["rate"],
        "likelihood": likelihood,
    }
    optim = {"rbms": there.optim["rbms"].model_copy(update={"lr": way["lr"]})}
    return there.model_copy(
        update={"hparams": type(there.hparams).model_validate(hparams), "optim": optim}
    )


def begun(chosen: Block, seen: held_out.Part) -> tuple[rbm.RestrictedBoltzmann, Training]:
    model = method.build("rbm", chosen.hparams, seen[0].shape[1:], 10, SEED).to(device.device())
    assert isinstance(model, rbm.RestrictedBoltzmann)
    return model, run.prepared(model, *seen, chosen, SEED)


def main() -> None:
    there = params.load().block("mnist", "rbm__stack")
    seen, unseen = held_out.parts()

    def measured(way: held_out.Way) -> dict[str, float]:
        weights = held_out.lower_layers(FIRST, lambda: begun(block(there, OURS), seen), 1)
        model, training = begun(block(there, way), seen)
        model.rbms[:1].load_state_dict(weights)
        training.epoch = model.layer_epochs[0]
        held_out.trained(training, str(way))
        found = model.eval().diagnose(held_out.batches(seen), held_out.batches(unseen))
        return {key: found[key] for key in MEASURED}

    epochs = there.hparams.model_dump()["rbm_epochs"]
    told = f"{epochs} epochs a layer {held_out.PROTOCOL}; 1,500 temperatures"
    held_out.measure(KEPT, [OURS | change for change in CHANGES], measured, told)


if __name__ == "__main__":
    main()
