"""Where a process computes."""

from __future__ import annotations

import os

import torch

from ebmrepro.networks import distributed
from ebmrepro.system.errors import UserError


def device() -> torch.device:
    """EBMREPRO_DEVICE if set, else the GPU if there is one, else the CPU; a GPU for each rank."""
    chosen = os.environ.get("EBMREPRO_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    found = range(torch.cuda.device_count())
    allowed = ["cpu", *(["cuda"] if found else []), *(f"cuda:{i}" for i in found)]
    if chosen not in allowed:
        raise UserError(f"EBMREPRO_DEVICE: found {chosen!r}; here are {', '.join(allowed)}")
    if chosen == "cuda" and (own := distributed.on_this_machine()) is not None:
        chosen = f"cuda:{own}"
    return torch.device(chosen)
