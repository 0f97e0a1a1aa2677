"""How the deep auto-encoder is fine-tuned on MNIST, and what that leaves: see autoencoder.md.

    python docs/papers/autoencoder_recipe.py

Run in the project's folder, where `python stages/data.py mnist` has put the images; held_out.py
says which. The RBMs are trained once, as `autoencoder` has them, and kept under .ebmrepro; their
unrolled network is fine-tuned in each way and measured on the way.
"""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import held_out
import numpy as np
import torch
from held_out import SEED
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from ebmrepro.config import params
from ebmrepro.config.training import Block
from ebmrepro.methods.autoencoder import PixelAutoEncoder
from ebmrepro.methods.base import method
from ebmrepro.methods.base.rbm_stack import of_each
from ebmrepro.networks import device
from ebmrepro.runs import run
from ebmrepro.training.loop import Training

KEPT = Path(__file__).with_suffix(".json")
STACK = Path(".ebmrepro/autoencoder_recipe.safetensors")
OURS = {
    "by": "adam",
    "lr": 0.002,
    "rate": "constant",  # or one that falls linearly to 0 over the epochs
    "weight_decay": 0,  # decoupled from the gradient, times the rate
    "epochs": 200,
}
CHANGES = [
    {"rate": "falling", "epochs": 50},
    {"weight_decay": 0.1, "epochs": 100},
    {"lr": 0.0005, "epochs": 100},
]
# The paper's: three line searches on each batch of 1,000, for as many epochs as there was time.
PAPER = {"by": "conjugate gradients", "epochs": 10}
LOOKED_AT = (5, 10, 20, 50, 100, 200)  # epochs

Descent = Callable[[Tensor], None]  # on a batch of images, (N, V)


def begun(there: Block, seen: held_out.Part) -> tuple[PixelAutoEncoder, Training]:
    model = method.build("autoencoder", there.hparams, seen[0].shape[1:], 10, SEED)
    assert isinstance(model, PixelAutoEncoder)
    model.to(device.device())
    return model, run.prepared(model, *seen, there, SEED)


def loss(model: PixelAutoEncoder, v: Tensor) -> Tensor:
    return model.loss(model.pretrained, model.pretrained.encoder(v), v)[0]


def adam(model: PixelAutoEncoder, way: held_out.Way, steps: int) -> Descent:
    lr, decay = cast(float, way["lr"]), cast(float, way["weight_decay"])
    optimiser = torch.optim.AdamW(model.pretrained.parameters(), lr=lr, weight_decay=decay)
    end = 0.0 if way["rate"] == "falling" else 1.0
    rates = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, end, total_iters=steps)

    def descend(v: Tensor) -> None:
        optimiser.zero_grad()
        loss(model, v).backward()
        optimiser.step()
        rates.step()

    return descend


def conjugate_gradients(model: PixelAutoEncoder) -> Descent:
    """Three line searches on each batch."""
    weights = list(model.pretrained.parameters())

    def put(w: np.ndarray) -> None:
        vector_to_parameters(torch.from_numpy(w).float().to(weights[0].device), weights)

    def descend(v: Tensor) -> None:
        def slope(w: np.ndarray) -> tuple[float, np.ndarray]:
            put(w)
            here = loss(model, v)
            gradient = torch.autograd.grad(here, weights)
            return here.item(), parameters_to_vector(gradient).double().cpu().numpy()

        start = parameters_to_vector(weights).detach().double().cpu().numpy()
        put(minimize(slope, start, jac=True, method="CG", options={"maxiter": 3}).x)

    return descend


def main() -> None:
    there = params.load().block("mnist", "autoencoder")
    seen, unseen = held_out.parts()

    def measured(way: held_out.Way) -> dict[str, float]:
        greedy = len(there.hparams.model_dump()["layers"])
        weights = held_out.lower_layers(STACK, lambda: begun(there, seen), greedy)
        paper = way["by"] == PAPER["by"]
        model, _ = begun(there.model_copy(update={"precision": None}) if paper else there, seen)
        nn.ModuleList(model.stack).load_state_dict(weights)
        model.unroll(model.pretrained.encoder, model.pretrained.decoder)
        v = torch.cat([model.units(x) for x, _ in held_out.batches(seen)])
        epochs, size = cast(int, way["epochs"]), 1000 if paper else there.batch_size
        descend = conjugate_gradients(model) if paper else adam(model, way, epochs * len(v) // size)
        found: dict[str, float] = {}
        torch.manual_seed(SEED)
        for epoch in range(1, epochs + 1):
            for batch in v[torch.randperm(len(v))].split(size):
                descend(batch)
            if epoch in LOOKED_AT:
                for name, part in {"held out": unseen, "learnt": seen}.items():
                    errors = of_each(lambda x, _: model.energy(x), held_out.batches(part))
                    found[f"{name}, epoch {epoch}"] = errors.mean().item()
                print(f"{way}: {found}", flush=True)
        return found

    told = f"squared error an image {held_out.PROTOCOL}"
    ways = [OURS, PAPER, *(OURS | change for change in CHANGES)]
    held_out.measure(KEPT, ways, measured, told)


if __name__ == "__main__":
    main()
