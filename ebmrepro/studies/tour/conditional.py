"""Conditional density: p(y|x) = exp(-F(x, y)) / sum_y' exp(-F(x, y')).

The partition function over images cancels; what is left is a sum over labels. A model may get the
order of labels right and the size of the differences wrong: energies are uncalibrated. One number
T, fitted on other images, rescales them: p(y|x) from F / T. It moves no argmin.
"""

from __future__ import annotations

import numpy as np

from ebmrepro.metrics import calibration, classification
from ebmrepro.studies.tour.material import ONE_CLASS, label_energies
from ebmrepro.studies.tour.question import Answer, Question


class Conditional(Question):
    def answer(self, model):
        energies = label_energies(model)
        if energies is None:
            return None
        material = self.material
        if material.classes < 2:
            return Answer.missing({"temperature": ONE_CLASS})
        F, y, bins = energies(material.test), material.test_labels, material.asked.conditional.bins
        T = calibration.fit_temperature(energies(material.held_out), material.held_out_labels)
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
        return Answer(values, arrays=arrays)

    def shared(self):
        classes = self.material.classes
        return Answer({"log_loss_uniform": np.log(classes)} if classes > 1 else {})
