"""Stage `linear_codes`: what an auto-encoder is held against, on one suite, from one seed."""

import environment  # says what to do when the project's environment is not active

# isort: split
from classifiers import say
from train import Seed

from ebmrepro.config import params


def main(suite: str, seed: Seed) -> None:
    """Write results/SUITE/linear_codes/SEED: errors of PCA and logistic PCA."""
    settings = params.load()
    settings.linear_codes(suite)
    from ebmrepro.studies import linear_codes

    say(linear_codes.write(suite, seed, settings))


if __name__ == "__main__":
    environment.run(main)
