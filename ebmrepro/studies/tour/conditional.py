"""Conditional density: p(y|x) = exp(-F(x, y)) / sum_y' exp(-F(x, y')).

The partition function over images cancels; what is left is a sum over labels. A model may get the
order of labels right and the size of the differences wrong: energies are uncalibrated. One number
T, fitted on other images, rescales them: p(y|x) from F / T. It moves no argmin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ebmrepro.methods.base.method import Method
from ebmrepro.metrics import calibration, classification
from ebmrepro.studies.tour.answer import Answer
from ebmrepro.studies.tour.material import Material, label_energies


@dataclass(frozen=True)
class Question:
    bins: int
    test: np.ndarray
    labels: np.ndarray
    fitted_on: np.ndarray
    fitted_labels: np.ndarray


def prepare(material: Material) -> Question:
    return Question(
        material.asked.conditional.bins,
        material.test,
        material.test_labels,
        material.held_out,
        material.held_out_labels,
    )


def answer(model: Method, question: Question) -> Answer | None:
    """None where the method has no energy of labels."""
    energies = label_energies(model)
    if energies is None:
        return None
    F, y, bins = energies(question.test), question.labels, question.bins
    T = calibration.fit_temperature(energies(question.fitted_on), question.fitted_labels)
    p, scaled = calibration.conditional(F), calibration.conditional(F, T)
    ece = [calibration.expected_calibration_error(q, y, bins) for q in (p, scaled)]
    loss = [calibration.log_loss(F, y, temperature) for temperature in (1.0, T)]
    values = {
        "accuracy": 1 - classification.error_rate(p.argmax(1), y),
        "confidence": p.max(axis=1).mean(),
        "confidence_scaled": scaled.max(axis=1).mean(),
        "log_loss": loss[0],
        "log_loss_scaled": loss[1],
        "log_loss_gain": loss[0] - loss[1],
        "ece": ece[0],
        "ece_scaled": ece[1],
        "ece_gain": ece[0] - ece[1],
        "temperature": T,
    }
    arrays = {
        f"reliability_{how}": np.stack(calibration.reliability(q, y, bins))
        for how, q in (("raw", p), ("scaled", scaled))
    }
    return Answer({key: float(value) for key, value in values.items()}, arrays)


def shared(material: Material, question: Question) -> Answer:
    return Answer({"log_loss_uniform": float(np.log(material.classes))})
