"""Each measure is of the images that it names."""

import math

import numpy as np
import pytest
import small
import torch
from test_codes import ASKED, data

from ebmrepro.data import ood_images
from ebmrepro.evaluation import evaluate
from ebmrepro.metrics import pulling_away
from ebmrepro.networks.images import from_uint8
from ebmrepro.runs import models

__all__ = ["data"]


def test_each_energy_and_each_measure_is_of_the_images_that_it_names(data):
    real, seen, generated = data[0], small.pictures(seed=0)[0], small.pictures(seed=2)[0] // 2
    model = small.build("ebgan").eval()
    kinds = {"train": seen, "test": real, "generated": generated}
    kinds |= {"noise": ood_images.noise(model.shape, 7, ASKED.seed)}
    kinds |= {"shuffled": ood_images.shuffled(real[:7], ASKED.seed)}
    kinds |= {"patches": ood_images.patches(model.shape, 7, ASKED.seed)}
    energy = {kind: models.in_batches(model.energy, x) for kind, x in kinds.items()}
    assert len({float(each.mean()) for each in energy.values()}) == 6
    asked = ASKED.model_copy(update={"energies": 7})
    found = evaluate._energies("blobs", model, generated, asked)
    assert found.keys() == kinds.keys()
    for kind in kinds:
        np.testing.assert_array_equal(found[kind], energy[kind][:7])

    margin = float(np.median(energy["generated"]))
    model = small.build("ebgan", margin=margin).eval()
    values = evaluate._of_the_model("blobs", model, generated, ASKED)
    with torch.no_grad():
        off = from_uint8(real) - model.reconstruct(from_uint8(real))
    assert values["reconstruction"] == pytest.approx(math.sqrt(off.square().mean()))
    assert values["ratio"] == pytest.approx(energy["generated"].mean() / energy["test"].mean())
    assert values["hinge_active"] == 0.5 and values["margin"] == pytest.approx(margin)
    codes = models.in_batches(model.code, generated)
    assert values["cos2_code"] == pytest.approx(pulling_away.pulling_away(codes))
