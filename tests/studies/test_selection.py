"""An epoch chosen on images held out, then all images: the protocol of up-down's paper."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import small
import torch

from ebmrepro.config.classifiers import Selected
from ebmrepro.config.documents import ParamsError
from ebmrepro.studies.classifiers import selection

BLOCK = small.shipped("dbn_updown").model_copy(
    update={"hparams": small.hparams("dbn_updown"), "batch_size": 8}
)
TRAIN, TEST = small.pictures(60), small.pictures(12, seed=1)
ASKED = Selected(first=30, held_out=20, more=2)
GREEDY, EPOCHS = 6, 9  # three layers of two epochs, and three of up-down


class Told:
    """A training that moves one bias by 1 in each epoch, with these errors on training images."""

    def __init__(self, model: Any, x: np.ndarray, errors: Sequence[float], first: int):
        self.model, self.x, self.errors, self.epoch, self.done = model, x, errors, first, 0

    def epochs(self):
        for error in self.errors:
            self.epoch += 1
            self.done += 1
            with torch.no_grad():
                self.model.top.c += 1
            yield {"epoch": self.epoch, "error/label": error}


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Told]:
    """Those that are asked for; of the first, the last greedy epoch and three of up-down."""
    made: list[Told] = []
    curves = iter([[0.9, 0.4, 0.25, 0.1], [0.3, 0.25, 0.2]])

    def prepared(model: Any, x: np.ndarray, y: np.ndarray, block: Any, seed: int) -> Any:
        assert len(x) == len(y) and block is BLOCK
        made.append(Told(model, x, next(curves), GREEDY - 1))
        return made[-1]

    monkeypatch.setattr(selection, "prepared", prepared)
    return made


def test_the_epoch_of_the_fewest_held_out_errors_goes_on_until_its_training_error(
    trainings: list[Told], monkeypatch: pytest.MonkeyPatch
):
    errors, seen = iter([0.5, 0.2, 0.3, 0.11, 0.07]), []

    def error(model: Any, x: np.ndarray, y: np.ndarray) -> float:
        seen.append((len(x), model.top.c[0].item()))
        return next(errors)

    monkeypatch.setattr(selection, "_error", error)
    values = selection.errors(TRAIN, TEST, BLOCK, ASKED, 3)
    assert values == {"error_selected": 0.11, "error_selected_all": 0.07}
    # Three looks at the images held out, and the second epoch's weights (c = 3) are tested.
    assert seen[:4] == [(20, 2.0), (20, 3.0), (20, 4.0), (12, 3.0)]
    # Then two epochs of three: after them the training error is the chosen epoch's, 0.25.
    assert seen[4] == (12, 5.0) and trainings[1].done == 2
    assert trainings[1].epoch == EPOCHS - ASKED.more + 2, "the last of the epochs, with the last K"


def test_first_and_held_out_images_are_apart_and_all_come_in_the_end(trainings: list[Told]):
    held: list[np.ndarray] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_error", lambda _, x, y: held.append(x) or 0.5)
        selection.errors(TRAIN, TEST, BLOCK, ASKED, 3)
    first, everything = ({image.tobytes() for image in each.x} for each in trainings)
    out = {image.tobytes() for image in held[0]}
    assert (len(first), len(out), len(everything)) == (30, 20, 60)
    assert not first & out and first | out <= everything


def test_more_images_than_there_are_are_refused():
    with pytest.raises(ParamsError, match="found first 50 and held_out 20; there are 60 training"):
        selection.errors(TRAIN, TEST, BLOCK, ASKED.model_copy(update={"first": 50}), 3)


def test_a_training_by_the_protocol_is_its_seeds():
    one, again = (selection.errors(TRAIN, TEST, BLOCK, ASKED, 3) for _ in range(2))
    assert one == again and all(0 <= error <= 1 for error in one.values())
