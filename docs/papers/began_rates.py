"""How varied BEGAN's faces stay, by rate and lambda_k: see began.md.

    python docs/papers/began_rates.py

Run in the project's folder, where `python stages/data.py faces` has put the images; a row takes
some 8 minutes of a core. Seed 0; no test image is looked at. Printed, every 50 epochs: the standard
deviation of a pixel over 60 draws, mean over pixels, as a share of that of the training images.
"""

from pathlib import Path

import numpy as np

from ebmrepro import data
from ebmrepro.config import params
from ebmrepro.methods.base import method
from ebmrepro.runs import models, run

SEED, DRAWS = 0, 60
EVERY = 50  # epochs
TRIED = [  # rate, lambda_k, epochs: the two that had kept most were tried for longer
    *((4e-4, gain, 150) for gain in (0.001, 0.01, 0.1)),
    *((1e-4, gain, epochs) for gain, epochs in ((0.001, 400), (0.01, 400), (0.1, 150))),
]


def main() -> None:
    block = params.load().block("faces", "began")
    x, labels = data.read(Path("data/faces"), "train")
    real = x.std(0).mean()
    for rate, gain, epochs in TRIED:
        optim = {who: one.model_copy(update={"lr": rate}) for who, one in block.optim.items()}
        hparams = block.hparams.model_copy(update={"lambda_k": gain, "epochs": epochs})
        tried = block.model_copy(update={"optim": optim, "hparams": hparams})
        model = method.build("began", tried.hparams, x.shape[1:], 1 + labels.max(), SEED)
        shares = []
        for record in run.prepared(model, x, labels, tried, SEED).epochs():
            if record["epoch"] % EVERY == 0:
                shares.append(models.draw(model, DRAWS, SEED).std(0).mean() / real)
                model.train()
        told = ", ".join(f"{share:.2f}" for share in np.array(shares))
        print(f"rate {rate}, lambda_k {gain}: {told}", flush=True)


if __name__ == "__main__":
    main()
