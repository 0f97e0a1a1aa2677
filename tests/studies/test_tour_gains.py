"""What the five questions call a gain, by hand; test_tour.py asks them all of untrained models."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small
import torch

from ebmrepro.networks import images
from ebmrepro.studies.tour import conditional
from ebmrepro.studies.tour.descent import descend
from ebmrepro.studies.tour.generation import Task
from ebmrepro.studies.tour.question import Answer

X = images.from_uint8(small.pictures()[0])
BOTTOM = torch.full_like(X, 0.25)


def bowl(x: torch.Tensor) -> torch.Tensor:
    return (x - 0.25).square().sum((1, 2, 3))


@pytest.mark.parametrize(("practice_truth", "stop"), [(BOTTOM, 30), (X, 0)])
def test_a_descent_stops_where_it_was_nearest_in_practice(practice_truth: torch.Tensor, stop: int):
    """Not where it is nearest to the truth that is asked for, which is the bottom both times."""
    task = Task("denoise", BOTTOM, practice_truth, given=X, practice=X, shown=X)
    asked: Any = SimpleNamespace(steps=30, step=0.05)
    steps, x = task.descend(bowl, asked)
    *_, (there, _) = descend(bowl, X, stop, 0.05)
    assert steps == stop
    assert torch.equal(x, there)


def test_a_gain_is_what_a_guess_takes_off_the_error_of_the_free_pixels():
    """Where pixels are free what is given is off by 2 and the guess by 1; the rest is not asked."""
    free = torch.tensor([[[True, False]]])
    truth, given = torch.zeros(3, 1, 1, 2), torch.tensor([2.0, 0.0]).expand(3, 1, 1, 2)
    task = Task("complete", truth, truth, given=given, practice=given, shown=given, free=free)
    answer = Answer()
    task.judge({"guess": torch.tensor([-1.0, 9.0]).expand(3, 1, 1, 2)}, answer)
    assert answer.values == {"complete_error_guess": 1, "complete_gain_guess": 1}


def test_a_temperature_of_other_images_mends_probabilities(monkeypatch: pytest.MonkeyPatch):
    """Energies 2 log 3 apart say 9 in 10. Held out, 3 of 4 are right, which T = 2 says; of the test
    images 2 of 4 are, so that of an error of 0.4 a gain of 0.15 leaves 0.25.
    """

    def energies(labels: np.ndarray) -> np.ndarray:
        return np.tile([0, 2 * np.log(3)], (len(labels), 1))

    monkeypatch.setattr(conditional, "label_energies", lambda model: energies)
    test, held_out = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1])
    material: Any = SimpleNamespace(
        classes=2,
        asked=SimpleNamespace(conditional=SimpleNamespace(bins=10)),
        **dict.fromkeys(("test", "test_labels"), test),
        **dict.fromkeys(("held_out", "held_out_labels"), held_out),
    )
    model: Any = None
    answer = conditional.Conditional(material).answer(model)
    assert answer is not None
    raw, scaled = -np.log(0.9 * 0.1) / 2, -np.log(0.75 * 0.25) / 2
    assert answer.values == pytest.approx(
        {
            "accuracy": 0.5,
            "confidence": 0.9,
            "confidence_scaled": 0.75,
            "log_loss": raw,
            "log_loss_scaled": scaled,
            "log_loss_gain": raw - scaled,
            "ece": 0.4,
            "ece_scaled": 0.25,
            "ece_gain": 0.15,
            "temperature": 2,
        }
    )
