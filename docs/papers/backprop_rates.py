"""Held-out errors that chose rate and weight cost of MNIST's `classifiers`: see dbn_updown.md.

    python docs/papers/backprop_rates.py

Run in the project's folder, where `python stages/data.py mnist` has put the images. Each network
learns from 50,000 training images for 20 epochs, from seed 0, and is tested on the other 10,000.
"""

from pathlib import Path

import numpy as np

from ebmrepro import data
from ebmrepro.config import params
from ebmrepro.studies import classifiers

HELD_OUT, EPOCHS, SEED = 10_000, 20, 0
TRIED = [  # network, rate, weight cost
    *(("two_layers", rate, 1e-4) for rate in (0.1, 0.03, 0.01, 0.003)),
    *(("two_layers", 0.03, cost) for cost in (5e-4, 2e-3)),
    *(("one_layer", rate, 0.0) for rate in (0.1, 0.03, 0.01, 0.003)),
]


def main() -> None:
    asked = params.load().classifiers("mnist")
    x, y = (np.array(part) for part in data.read(Path("data/mnist"), "train"))
    seen, unseen = (x[:-HELD_OUT], y[:-HELD_OUT]), (x[-HELD_OUT:], y[-HELD_OUT:])
    for name, rate, cost in TRIED:
        block = getattr(asked, name)
        optim = block.optim.model_copy(update={"lr": rate, "weight_decay": cost})
        tried = {"epochs": EPOCHS, "held_out": 0, "optim": optim}
        error = classifiers.backprop(seen, unseen, block.model_copy(update=tried), SEED)
        print(f"{name}: rate {rate}, weight cost {cost}: {error:.2%}", flush=True)


if __name__ == "__main__":
    main()
