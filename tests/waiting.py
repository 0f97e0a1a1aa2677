"""Waiting for what another process or thread does."""

import time
from collections.abc import Callable

PATIENCE = 900  # seconds after which a test gives up; none depends on how fast anything is


def until(condition: Callable[[], object], what: object = None, patience: float = PATIENCE) -> None:
    """Look again and again, and fail where it has not come about in time."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"not within {patience:.0f} s: {what or condition}"
        time.sleep(0.01)
