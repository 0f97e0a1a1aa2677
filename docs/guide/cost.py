"""What one training of a suite's systems costs, from the arithmetic of its steps: see scale.md.

    python docs/guide/cost.py celeba --images 182637 --rate 1e13 --watts 400

Run in the project's folder. The floating-point operations of a step are counted by torch on tensors
without content, so this needs no data and no device; the rate, in operations a second that a
training reaches, is the user's to measure (`make bench`, or `ebmrepro check --dry SUITE`).
"""

import argparse
from collections import Counter

import torch
from torch.utils.flop_counter import FlopCounterMode

from ebmrepro.config import data, params
from ebmrepro.methods.base import method
from ebmrepro.networks import layers
from ebmrepro.system import ending


def step(model: method.Method, batch: int, epoch: int) -> int:
    """Operations of the matrix products and convolutions of one iteration, backward included."""
    x = torch.zeros(batch, *model.shape, device="meta")
    given = method.Labelled(x, torch.zeros(batch, dtype=torch.int64, device="meta"))
    seen = given if model.labels is None else method.PartlyLabelled(x, given)
    with FlopCounterMode(display=False) as counter:
        turns = model.step(seen if model.labelled else x, epoch)  # type: ignore[arg-type]
        for turn in turns:
            if turn.loss is not None:
                player = model.get_submodule(turn.player)
                turn.loss.backward(inputs=list(player.parameters()))
    return counter.get_total_flops()


def of_all_epochs(model: method.Method, batch: int) -> float:
    """Mean operations of an iteration: epochs of one phase have the same step."""
    epochs = Counter(map(model.phase, range(model.epochs)))
    first = {model.phase(epoch): epoch for epoch in reversed(range(model.epochs))}
    return sum(n * step(model, batch, first[at]) for at, n in epochs.items()) / model.epochs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite")
    parser.add_argument("--images", type=int, required=True, help="in the training split")
    parser.add_argument("--rate", type=float, required=True, help="operations a second")
    parser.add_argument("--watts", type=float, required=True, help="of the machine at work")
    asked = parser.parse_args()
    settings = params.load()
    rows = []
    for name in settings.suite(asked.suite).methods:
        block = settings.block(asked.suite, name)
        shape = data.image_shape(settings.suite(asked.suite).data)
        assert shape is not None, f"{asked.suite}: only its data say how large an image is"
        with torch.device("meta"):
            model = method.build(name, block.hparams, shape, 10, seed=0).to("meta")
        each = of_all_epochs(model, block.batch_size) / block.batch_size
        seconds = each * asked.images * model.epochs / asked.rate
        rows.append((name, layers.count(model), block.batch_size, each, model.epochs, seconds))
    print(f"| {asked.suite} | parameters | batch | GFLOP an image | epochs | images/s | h | kWh |")
    print("| :-- " + "| --: " * 7 + "|")
    for name, size, batch, each, epochs, seconds in rows:
        print(
            f"| `{name}` | {size:,} | {batch} | {each / 1e9:.3g} | {epochs} | "
            f"{asked.rate / each:,.0f} | {seconds / 3600:.3g} | "
            f"{seconds / 3600 * asked.watts / 1000:.3g} |"
        )


if __name__ == "__main__":
    with ending.told():
        main()
