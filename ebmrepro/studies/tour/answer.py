"""What a question finds out about one trained model, and all answers of a suite as one document."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Answer:
    """Of one model to one question; names are those of protocol.yaml."""

    values: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)  # what the report draws
    pictures: dict[str, np.ndarray] = field(default_factory=dict)  # uint8 (H, W) or (H, W, 3)


@dataclass
class Document:
    """Measurements over seeds, in the form that the claims and the report read."""

    told: Mapping[str, str]  # measure -> how it is measured
    values: dict[str, dict[str, float | None]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    protocol: dict[str, str] = field(default_factory=dict)

    def add(self, values: Mapping[str, float], seed: int, system: str = "") -> None:
        """The values of one model, or, without a system, of the suite under one of its seeds.

        JSON has no NaN: it becomes null with a reason.
        """
        for measure, value in values.items():
            name = f"{measure}@{system}" if system else measure
            known = math.isfinite(value)
            self.values.setdefault(name, {})[str(seed)] = float(value) if known else None
            self.protocol[name] = self.told[measure]
            if not known:
                self.reasons[name] = f"the measured value is not finite (seed {seed})"

    def tree(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "values": self.values,
            "reasons": self.reasons,
            "protocol": self.protocol,
        }
