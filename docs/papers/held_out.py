"""What the recipes beside it share: MNIST's training images in two parts, and a file of results.

No test image is looked at: the last training images are measured and the others learnt. What stands
in the file of a recipe is not trained again.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ebmrepro import data
from ebmrepro.methods.base.method import Labelled
from ebmrepro.methods.base.rbm_stack import RBMStack
from ebmrepro.networks import device, images
from ebmrepro.training.loop import Training

HELD_OUT, SEED = 10_000, 0
PROTOCOL = f"on all training images but {HELD_OUT:,}, measured on those"

Part = tuple[np.ndarray, np.ndarray]  # images and labels
Way = Mapping[str, object]  # what is tried: a choice for each name


def parts() -> tuple[Part, Part]:
    """Images to learn from, and images to measure on."""
    x, y = (np.array(part) for part in data.read(Path("data/mnist"), "train"))
    return (x[:-HELD_OUT], y[:-HELD_OUT]), (x[-HELD_OUT:], y[-HELD_OUT:])


def batches(part: Part) -> Sequence[Labelled]:
    where = device.device()
    x, y = part
    return [
        Labelled(
            images.from_uint8(x[i : i + 1000]).to(where),
            torch.from_numpy(y[i : i + 1000]).to(where),
        )
        for i in range(0, len(x), 1000)
    ]


def trained(training: Training, label: str, epochs: int | None = None) -> None:
    """Train to the end, or to the end of so many epochs, and say each."""
    for record in training.epochs():
        print(f"{label}: epoch {record['epoch']}", flush=True)
        if record["epoch"] == epochs:
            break


def lower_layers(
    kept: Path, begin: Callable[[], tuple[RBMStack, Training]], count: int
) -> Mapping[str, Tensor]:
    """The weights of the first `count` layers of a stack, trained once and kept."""
    if not kept.exists():
        model, training = begin()
        trained(training, kept.stem, sum(model.layer_epochs[:count]))
        kept.parent.mkdir(exist_ok=True)
        save_file(nn.ModuleList(model.stack[:count]).state_dict(), kept)
    return load_file(kept)


def measure(
    kept: Path,
    ways: Sequence[Way],
    measured: Callable[[Way], Mapping[str, float]],
    told: str,
) -> None:
    """What each way gives, added to the file `kept` as it comes; `told` is the protocol."""
    empty = {"values": {}, "protocol": {}, "reasons": {}}
    known = json.loads(kept.read_text()) if kept.exists() else empty
    for way in ways:
        name = ", ".join(f"{key} {value}" for key, value in way.items())
        if any(key.startswith(f"{name}: ") for key in known["values"]):
            continue
        for key, value in measured(way).items():
            known["values"][f"{name}: {key}"] = {str(SEED): round(value, 4)}
            known["protocol"][f"{name}: {key}"] = f"{told}; seed {SEED}"
        kept.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
