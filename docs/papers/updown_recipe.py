"""What the greedy phase of the DBN with labels lacks on MNIST: see dbn_updown.md.

    python docs/papers/updown_recipe.py

Run in the project's folder, where `python stages/data.py mnist` has put the images; held_out.py
says which. The layers under the top RBM are trained twice, as `dbn_updown` has them and at a rate
that falls, and kept under .ebmrepro; upon them a top RBM is trained in each way.
"""

from pathlib import Path
from typing import cast

import held_out
import torch
from held_out import SEED

from ebmrepro.config import params
from ebmrepro.config.training import Block
from ebmrepro.methods.base import Turn
from ebmrepro.methods.base.rbm_stack import missed, of_each, visible
from ebmrepro.methods.dbn_updown import DBNUpDown
from ebmrepro.networks import device
from ebmrepro.networks.energies import LabelledRBM
from ebmrepro.networks.random import bernoulli
from ebmrepro.runs import run
from ebmrepro.training.loop import Training

KEPT = Path(__file__).with_suffix(".json")
OURS = {
    "lr": 0.1,
    "rate": "constant",  # or one that falls linearly to 0 over a layer's epochs
    "cd_steps": 1,
    "weight_decay": 0.0002,
    "init_std": 0.1,
    "states": "probabilities",  # or samples: of the layer below, as data, and of v_k
    "below": "constant",  # the rate of the layers under the top RBM
}
CHANGES = [
    {},
    {"rate": "falling"},
    {"lr": 0.03},
    {"lr": 0.01},
    {"cd_steps": 3},
    {"weight_decay": 0.002},
    {"init_std": 0.01},
    {"states": "samples"},
    {"rate": "falling", "lr": 0.03},
    {"rate": "falling", "cd_steps": 3},
    {"rate": "falling", "states": "samples"},
    {"rate": "falling", "below": "falling"},
    {"states": "samples", "cd_steps": 3},
    {"states": "samples", "init_std": 0.01},
]


class Greedy(DBNUpDown):
    """The greedy phase alone, its top RBM trained in one of the ways."""

    rates: tuple[str, str] = ("constant", "constant")  # below the top RBM, and its own
    sampled = False

    @property
    def epochs(self):
        return self.greedy_epochs

    def phase(self, epoch):
        return epoch

    def step(self, x, epoch):
        layer, t = divmod(epoch, self.hp.rbm_epochs)
        *lower, top = self.stack
        left = (
            1 - t / self.hp.rbm_epochs if self.rates[top is self.stack[layer]] == "falling" else 1
        )
        v = visible(x.x)
        if layer < len(lower):
            turn = self.contrastive_divergence(v, epoch)
            assert turn.loss is not None
            yield Turn(turn.player, turn.loss * left, turn.terms)
            return
        assert isinstance(top, LabelledRBM)
        with torch.no_grad():
            for rbm in lower:
                v = bernoulli(rbm.up(v)) if self.sampled else rbm.up(v)
            v = top.join(v, x.y)
            field = top.field(v)
            v_k = top.gibbs(v, self.hp.cd_steps, sample_visible=self.sampled, field=field)
            v_k = top.draw(v_k) if self.sampled else v_k
        yield Turn(self.player(layer), top.contrast(v, v_k, field) * left)

    def after_epoch(self, epoch, means):
        """Nothing: up-down does not follow."""


def begun(there: Block, way: held_out.Way, seen: held_out.Part) -> tuple[Greedy, Training]:
    hparams = there.hparams.model_copy(update={key: way[key] for key in ("cd_steps", "init_std")})
    rbms = there.optim["rbms"].model_copy(update={key: way[key] for key in ("lr", "weight_decay")})
    chosen = there.model_copy(update={"hparams": hparams, "optim": {**there.optim, "rbms": rbms}})
    torch.manual_seed(SEED)
    model = Greedy(hparams, seen[0].shape[1:], 10).to(device.device())
    model.rates, model.sampled = (str(way["below"]), str(way["rate"])), way["states"] == "samples"
    return model, run.prepared(model, *seen, chosen, SEED)


def main() -> None:
    there = params.load().block("mnist", "dbn_updown")
    seen, unseen = held_out.parts()

    def measured(way: held_out.Way) -> dict[str, float]:
        kept = Path(".ebmrepro") / f"updown_recipe_{way['below']}.safetensors"
        below = OURS | {"below": way["below"]}
        weights = held_out.lower_layers(kept, lambda: begun(there, below, seen), 2)
        model, training = begun(there, way, seen)
        model.rbms[:2].load_state_dict(weights)
        training.epoch = sum(model.layer_epochs[:2])
        held_out.trained(training, str(way))
        model.eval()
        errors = of_each(lambda x, y: missed(model.infer(x)["greedy"], y), held_out.batches(unseen))
        return {"label_error": errors.mean().item()}

    epochs = cast(int, there.hparams.model_dump()["rbm_epochs"])
    told = f"{epochs} epochs a layer {held_out.PROTOCOL}"
    held_out.measure(KEPT, [OURS | change for change in CHANGES], measured, told)


if __name__ == "__main__":
    main()
