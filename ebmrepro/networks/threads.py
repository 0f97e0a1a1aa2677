"""How many threads compute: one, where a second costs more than it brings.

Sums are split among threads, so the last bits of results follow from their number. It follows from
the size of a network, and neither from the machine nor from what else runs on it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits
from torch import nn

SMALL = 1_000_000  # parameters under which one thread is faster than two
GIVEN = torch.get_num_threads()  # before any of this


def one() -> None:
    """Compute with one thread from now on, in torch and in the libraries under numpy and scipy.

    The latter's threads wait by spinning: two stages side by side took each other's cores, and even
    a stage by itself was faster without.
    """
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")


def fit(network: nn.Module) -> None:
    """Compute with one thread from now on if the network is small; else with what is set."""
    if is_small(network):
        one()


@contextmanager
def given() -> Iterator[None]:
    """Compute in torch with as many threads as the process was given: for a large network that is
    met where small ones compute with one."""
    before = torch.get_num_threads()
    torch.set_num_threads(GIVEN)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_small(network: nn.Module) -> bool:
    return sum(parameter.numel() for parameter in network.parameters()) < SMALL
