"""What a training that ended leaves on a GPU."""

from __future__ import annotations

import gc
import sys


def collect() -> None:
    """Give it back to the driver, where a GPU is used.

    A training and what records its steps refer to each other; Python frees such circles whenever it
    comes to it, and torch keeps what is freed. Trainings ask how much is free.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()
