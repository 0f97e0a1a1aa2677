"""Which part of the paper's recipe moves the likelihood that CD-1 learns on MNIST: see rbm.md.

    python docs/papers/rbm_recipe.py

Run in the project's folder, where `python stages/data.py mnist` has put the images; held_out.py
says which. A training takes about ten minutes of a core.
"""

import itertools
from pathlib import Path

import held_out
from held_out import SEED

from ebmrepro.config import params
from ebmrepro.methods import rbm
from ebmrepro.methods.base import method
from ebmrepro.networks import device
from ebmrepro.runs import run

KEPT = Path(__file__).with_suffix(".json")
# Of each choice ours, then the paper's.
CHOICES = {
    "rate": ("falling", "constant"),
    "binarised": ("each_step", "once"),
    "visible_bias": ("log_odds", "zero"),
}
MEASURED = ("log_likelihood", "log_z_gap", "r_hat", "ais_effective")


def combinations() -> list[held_out.Way]:
    """Ours and theirs first, then those that differ from one of them by one choice."""
    found = [dict(zip(CHOICES, each, strict=True)) for each in itertools.product(*CHOICES.values())]
    return sorted(found, key=lambda one: 0 < theirs(one) < len(CHOICES))


def theirs(chosen: held_out.Way) -> int:
    return sum(value == CHOICES[key][1] for key, value in chosen.items())


def main() -> None:
    block = params.load().block("mnist", "rbm__cd1")
    seen, unseen = held_out.parts()

    def measured(chosen: held_out.Way) -> dict[str, float]:
        hparams = block.hparams.model_copy(update=chosen)
        model = method.build("rbm", hparams, seen[0].shape[1:], 10, SEED).to(device.device())
        assert isinstance(model, rbm.RestrictedBoltzmann)
        held_out.trained(run.prepared(model, *seen, block, SEED), str(chosen))
        found = model.eval().diagnose(held_out.batches(seen), held_out.batches(unseen))
        return {key: found[key] for key in MEASURED}

    epochs = block.hparams.model_dump()["rbm_epochs"]
    told = f"{epochs} epochs of CD-1 {held_out.PROTOCOL}"
    held_out.measure(KEPT, combinations(), measured, told)


if __name__ == "__main__":
    main()
