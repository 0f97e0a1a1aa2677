"""Every shipped method at a size that a test can train, with MLPs and with convolutions."""

import functools
from typing import Any

import numpy as np
import params_file
import torch

from ebmrepro.config import declarations
from ebmrepro.config.optimisers import Optim
from ebmrepro.config.training import Block
from ebmrepro.methods.base import method
from ebmrepro.methods.base.method import Labelled, Method, PartlyLabelled
from ebmrepro.training.batches import Batches
from ebmrepro.training.loop import Training

METHODS = declarations.available_methods()
LADDERS = ["ebgan_ln", "ladder"]
OF_RBMS = [name for name in METHODS if name.startswith(("dbn", "autoencoder", "rbm", "greedy"))]
GANS = [name for name in METHODS if name not in (*LADDERS, *OF_RBMS)]
SHAPE = (1, 8, 8)
CLASSES = 3
N = 24

MLP = {"kind": "mlp", "hidden": [12], "activation": "relu", "batch_norm": False}
NORMED = {**MLP, "batch_norm": True}  # in G; an auto-encoder's networks stay without
CONV3X3 = {"kind": "conv3x3", "n": 3, "scales": 2, "repeats": 2, "residual_steps": 6, "skips": True}
CONV = {"kind": "conv", "channels": [4, 6], "activation": "leaky_relu", "batch_norm": False}


@functools.cache
def shipped(name: str) -> Block:
    """The block of a method in the first suite that has one."""
    suites = params_file.shipped().suites.values()
    return next(suite.block(name) for suite in suites if name in ("dbn", *suite.methods))


def hparams(name: str, net: dict[str, Any] = MLP, **changes: Any) -> Any:
    """The shipped hyper-parameters, with small networks and `changes`."""
    values = shipped(name).hparams.model_dump()
    plain = {**net, "batch_norm": False} if "batch_norm" in net else net
    small = {key: net if key == "G" else plain for key in ("G", "D", "encoder", "decoder")}
    small = {key: spec for key, spec in small.items() if key in values}
    small |= {"z": 4, "code": 5} if "code" in values else {"z": 4} if "z" in values else {}
    if name == "dbn":
        small |= {"layers": [10, 8], "rbm_epochs": 2, "finetune_epochs": 3, "warmup_epochs": 1}
        small |= {"chain_steps": 5}
    elif name == "greedy":
        small |= {"layers": [10, 8], "rbm_epochs": 2, "finetune_epochs": 3, "chain_steps": 5}
    elif name == "dbn_updown":
        small |= {"layers": [10, 8], "top": 12, "rbm_epochs": 2, "updown_epochs": 3}
        small |= {"chain_steps": 5}
    elif name.startswith("autoencoder"):
        small |= {"layers": [10, 8, 3], "rbm_epochs": 1, "finetune_epochs": 2}
        small |= {"first_epochs": 2, "init_std": 0.5} if "first_epochs" in values else {}
    elif name == "rbm":
        small |= {"layers": [10, 8], "cd_steps": [2, 1], "rbm_epochs": 2, "chain_steps": 5}
        ais = {**values["likelihood"]["ais"], "chains": 4, "burn_in": 8}
        ais |= {"temperatures": [{"up_to": 1.0, "step": 0.1}]}
        small |= {"likelihood": {**values["likelihood"], "posterior": 2, "ais": ais, "trials": 2}}
    elif name in LADDERS:
        small |= {"layers": [10, 8], "denoising": [10.0, 1.0, 0.1, 0.1], "labels": 6, "epochs": 3}
        small |= {"constant": 0.4}
        small |= {"game_epochs": 2} if name == "ebgan_ln" else {"chain_steps": 5}
    else:
        small |= {"epochs": 3}
    return declarations.hparams_class(name).model_validate({**values, **small, **changes})


def build(name: str, net: dict[str, Any] = MLP, seed: int = 0, **changes: Any) -> Any:
    return method.build(name, hparams(name, net, **changes), SHAPE, CLASSES, seed)


def pictures(n: int = N, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Blobs that differ by class: uint8 (n, 1, 8, 8) and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    images = rng.integers(0, 60, (n, *SHAPE), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[0, 2 * label : 2 * label + 3, 2:6] += 180
    return images, labels


def batch(model: Method, n: int = 8) -> Any:
    from ebmrepro.networks.images import from_uint8

    images, labels = pictures(n)
    x = from_uint8(images)
    told = Labelled(x, torch.from_numpy(labels))
    return PartlyLabelled(x, told) if model.labels else told if model.labelled else x


def give_energies(model: Any, *answers: list[float]) -> None:
    """Let D answer its calls with these energies, in this order."""
    given = iter(answers)
    model.D.forward = lambda x: torch.tensor(next(given))


def training(
    model: Method,
    name: str,
    seed: int = 0,
    device: str = "cpu",
    optim: Optim | None = None,
    **settings: Any,
) -> Training:
    """By the shipped optimisers, or `optim` for each player."""
    images, labels = pictures()
    where, labels = torch.device(device), labels if model.labelled else None
    batches = Batches(images, labels, 8, seed, where, model.labels)
    model.to(where)
    players = shipped(name).optim
    optims = players if optim is None else dict.fromkeys(players, optim)
    return Training(model, batches, optims, **settings)
