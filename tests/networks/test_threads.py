"""How many threads compute follows from the size of a network."""

import small
import torch
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn

from ebmrepro.networks import threads


def used() -> set[int]:
    """Threads of torch and of each BLAS that is loaded."""
    blas = {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}
    assert blas  # numpy's, or this test says nothing
    return {torch.get_num_threads()} | blas


def test_a_small_network_gets_one_thread_and_a_large_one_what_is_set():
    torch.set_num_threads(2)
    with threadpool_limits(2, user_api="blas"):
        threads.fit(nn.Linear(1000, 1000))  # 1,001,000 parameters
        assert used() == {2}
        threads.fit(small.build("ebgan"))
        assert used() == {1}
