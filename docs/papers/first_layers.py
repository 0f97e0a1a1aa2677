"""The likelihood of the first layer of each trained stack, an RBM like `rbm`, but in bfloat16.

    python docs/papers/first_layers.py

Run in the project's folder, where the trained models of `rbm__stack` are.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file

from ebmrepro.config import params
from ebmrepro.methods import rbm
from ebmrepro.methods.base import method
from ebmrepro.runs import models


def main() -> None:
    block = params.load().block("mnist", "rbm")
    splits = [models.Split("mnist", split) for split in ("train", "test")]
    for weights in sorted(Path("models/mnist/rbm__stack").glob("*/model.safetensors")):
        seed = int(weights.parent.name)
        model = method.build("rbm", block.hparams, (1, 28, 28), 10, seed).eval()
        assert isinstance(model, rbm.RestrictedBoltzmann)
        told = load_file(weights)
        model.load_state_dict({key: told[key] for key in model.state_dict()})
        torch.manual_seed(seed)
        found = model.diagnose(*splits)
        print(f"seed {seed}: {found['log_likelihood']:.3f} nats, r_hat {found['r_hat']:.2f}")


if __name__ == "__main__":
    main()
