"""What is asked of every trained model alike, and what one model answers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np

from ebmrepro.methods.base import Method
from ebmrepro.studies.tour.material import Material


@dataclass
class Answer:
    """Of one model to one question; names are those of protocol.yaml."""

    values: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)  # why a value is NaN
    arrays: dict[str, np.ndarray] = field(default_factory=dict)  # what the report draws
    pictures: dict[str, np.ndarray] = field(default_factory=dict)  # uint8 (H, W) or (H, W, 3)

    @classmethod
    def missing(cls, reasons: dict[str, str]) -> Answer:
        """Of what cannot be asked: why, by measure."""
        return cls(dict.fromkeys(reasons, math.nan), reasons)


class Question(ABC):
    """Prepared once from a suite's images."""

    def __init__(self, material: Material):
        self.material = material

    @abstractmethod
    def answer(self, model: Method) -> Answer | None:
        """None where the method lacks what is asked."""

    @abstractmethod
    def shared(self) -> Answer:
        """What depends on no model."""
