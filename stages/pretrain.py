"""Stage `pretrain`: the DBN of one suite from one seed, layer by layer, then its classifiers."""

import environment  # says what to do when the project's environment is not active

# isort: split
from train import Seed
from train import main as train_one


def main(suite: str, seed: Seed) -> None:
    """Write models/SUITE/dbn/SEED, as the stage `train` does for the other systems."""
    train_one(suite, "dbn", seed)


if __name__ == "__main__":
    environment.run(main)
