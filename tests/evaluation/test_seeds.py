"""What is measured of a seed is measured of that seed's own model."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small
import test_reference
import torch
from PIL import Image

from ebmrepro import data
from ebmrepro.config import params
from ebmrepro.evaluation import evaluate, reference
from ebmrepro.methods.base import Method
from ebmrepro.networks.images import from_uint8, grid
from ebmrepro.runs import models, run
from ebmrepro.runs import results as run_results

SEEDS = (3, 4)
FILES = ("metrics.json", "energies.npz", "samples.png")


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> params.Params:
    """EBGAN from two seeds, small and short, on the digits; G normalises its batches."""
    settings = test_reference.SHIPPED
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reference, "Classifier", test_reference.Made)
    inception = reference.in_inception.inception
    monkeypatch.setattr(inception, "find_weights", lambda: (None, "no weights"))
    digits = settings.suites["digits"]
    asked = digits.evaluate.model_copy(update={"generated": 200, "energies": 100})
    hparams = small.hparams("ebgan", small.NORMED, epochs=1)
    methods = {"ebgan": digits.block("ebgan").model_copy(update={"hparams": hparams, "grids": 1})}
    digits = digits.model_copy(update={"evaluate": asked, "methods": methods, "budget": 1.0})
    asked_for = settings.run.model_copy(update={"seeds": list(SEEDS)})
    settings = settings.model_copy(update={"suites": {"digits": digits}, "run": asked_for})
    data.prepare("digits", digits.data, Path("data/digits"))
    for seed in SEEDS:
        run.train_one("digits", "ebgan", seed, settings)
        weights = Path(f"models/digits/dbn/{seed}/model.safetensors")
        weights.parent.mkdir(parents=True)
        weights.touch()
    reference.reference("digits", settings)
    return settings


def results(seed: int, settings: params.Params) -> dict[str, bytes]:
    extract = reference.Extractor("digits", settings, kept=True)
    evaluate.evaluate("digits", "ebgan", seed, settings, extract)
    folder = Path(f"results/digits/ebgan/{seed}")
    found = {name: (folder / name).read_bytes() for name in FILES}
    return found | {"drawn": Path(f"generated/digits/ebgan/{seed}.npy").read_bytes()}


def test_two_seeds_are_two_models_measured_and_drawn_from_by_themselves(trained: params.Params):
    first, second = (results(seed, trained) for seed in SEEDS)
    assert not [name for name in first if first[name] == second[name]]
    drawn = np.load(io.BytesIO(first["drawn"]))
    shown = np.array(Image.open(io.BytesIO(first["samples.png"])))
    assert np.array_equal(shown, grid(drawn[: models.GRID], columns=10))
    measured = json.loads(first["metrics.json"])
    values, told = measured["values"], measured["protocol"]["generated"]
    assert told.endswith("for every training seed (seed 1000 + the training's)")
    assert 0 < values["fd_dbn_untrained"] != values["fd_dbn"]
    images = from_uint8(np.array(data.read(Path("data/digits"), "test")[0][:100]))
    for seed in SEEDS:
        model = models.restore("digits", "ebgan", seed, trained)
        with torch.no_grad():
            energy = model.energy(images).numpy()
        stored = np.load(f"results/digits/ebgan/{seed}/energies.npz")["test"]
        np.testing.assert_array_equal(stored, energy)
    # Whatever the other seed's model is, this one's results are this one's.
    shutil.rmtree("models/digits/ebgan/3")
    assert results(4, trained) == second
    # One model under two seeds is drawn from twice, or an interval would not hold that spread.
    shutil.copytree("models/digits/ebgan/4", "models/digits/ebgan/3")
    assert results(3, trained)["drawn"] != second["drawn"]


def test_what_a_method_says_of_its_measures_and_of_its_curves_is_among_its_results(
    trained: params.Params, monkeypatch: pytest.MonkeyPatch
):
    told: dict[str, Any] = {}

    def recount(self: Method, curves: dict[str, Any]) -> dict[str, float]:
        told["curves"] = curves
        return {"chances": 5.0}

    monkeypatch.setattr(Method, "recount", recount)
    monkeypatch.setattr(Method, "flags", {"fd_dbn": "beware"})
    path = Path("models/digits/ebgan/4/curves.csv")
    heading, last = (line.split(",") for line in path.read_text().splitlines())
    last[heading.index("hinge/active")] = "0"
    path.write_text(f"{','.join(heading)}\n{','.join(last)}\n")
    found = json.loads(results(4, trained)["metrics.json"])
    assert found["values"]["chances"] == 5 and found["flags"]["fd_dbn"] == "beware"
    assert found["values"]["fd_dbn"] > 0  # what is said of a measure leaves it there
    assert "hinge" in found["flags"]["hinge_active"]  # of the curves, whatever the method
    own = run_results.curves(path)
    assert told["curves"].keys() == own.keys() and len(own["energy/fake"]) == 1
    assert all(np.array_equal(told["curves"][key], own[key], equal_nan=True) for key in own)


def test_a_model_from_its_folder_or_from_a_seed_is_in_evaluation_mode(trained: params.Params):
    for make in (models.restore, models.untrained):
        model = make("digits", "ebgan", 4, trained)
        normalised = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm1d)]
        assert normalised and not any(part.training for part in model.modules())
        before = {key: value.clone() for key, value in model.state_dict().items()}
        models.draw(model, 50, 0)
        assert all(torch.equal(before[key], v) for key, v in model.state_dict().items())
