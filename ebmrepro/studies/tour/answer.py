"""What a question finds out about one trained model."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Answer:
    """Of one model to one question; names are those of protocol.yaml."""

    values: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)  # what the report draws
    pictures: dict[str, np.ndarray] = field(default_factory=dict)  # uint8 (H, W) or (H, W, 3)
