"""What was measured, from the metrics to the report: the form of every metrics.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Self

from ebmrepro.metrics import catalogue

Number = float | None
NOT_FINITE = "the measured value is not finite"


@dataclass
class Measurement:
    """Of one training, or over seeds: then a value is a mapping from the seed, in digits."""

    values: dict[str, Any] = field(default_factory=dict)  # Number, or Mapping[str, Number]
    reasons: dict[str, str] = field(default_factory=dict)  # why a value is None
    flags: dict[str, str | None] = field(default_factory=dict)  # what to beware of, if anything
    protocol: dict[str, str] = field(default_factory=dict)  # by measure, or by subject

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """From the content of a metrics.json."""
        return cls(**{part: document.get(part, {}) for part in cls.__dataclass_fields__})

    def __or__(self, other: Measurement) -> Measurement:
        """Both; where they meet, the other's, but of flags both."""
        raised = {name: flag for name, flag in other.flags.items() if flag}
        for name, flag in raised.items():
            told = self.flags.get(name) or flag
            raised[name] = told if flag in told else f"{told}; {flag}"
        return Measurement(
            self.values | other.values,
            self.reasons | other.reasons,
            self.flags | raised,
            self.protocol | other.protocol,
        )

    def number(self, measure: str, seed: int | None = None) -> Number:
        """A finite value; None where it was not measured, or came out as none."""
        value = self.values.get(measure)
        if seed is not None:
            value = (value or {}).get(str(seed))
        return None if value is None or not math.isfinite(value) else float(value)

    def document(self) -> dict[str, Any]:
        """As metrics.json holds it. JSON has no NaN: it becomes null with a reason."""
        values = {name: _finite(value) for name, value in self.values.items()}
        lost = [name for name, value in values.items() if value != self.values[name]]
        over_seeds = any(isinstance(value, Mapping) for value in values.values())
        flags = {name: flag for name, flag in self.flags.items() if flag}
        return {
            "schema": 1,
            "values": values,
            "reasons": dict.fromkeys(lost, NOT_FINITE) | self.reasons,
            "protocol": self.protocol,
            **({} if over_seeds else {"flags": flags}),
        }


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(number) for key, number in value.items()}
    return None if value is None or not math.isfinite(value) else value


def measure(what: str, *material: Any) -> Measurement:
    """What all metrics say of some material: those whose file has a function of this name.

    There are `of_features(real, fake, settings)`, `of_training(known, fake, settings)` in
    features too, `of_images(real, fake, settings)`, uint8 (N, C, H, W), `of_energies(energies)` by
    kind of image, `of_chains(free)`, and `of_curves(curves, method)`. `settings` is the suite's
    block `evaluate`.

    Raises:
        KeyError: a metric gives a value that it has no words for.
    """
    whole = Measurement()
    for path in catalogue.files():
        metric = import_module(f"ebmrepro.metrics.{path.stem}")
        if function := getattr(metric, what, None):
            part = function(*material)
            for name in part.values:
                catalogue.describe(name)
            whole |= part
    return whole
