"""Numbers that are not finite stop a training, and numbers that mislead are flagged."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import small
import torch
import trainings
from params_file import shipped

from ebmrepro.config.optimisers import Adam
from ebmrepro.methods.base.method import Method, Turn
from ebmrepro.metrics import flags
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.measurement import measure
from ebmrepro.training.batches import Batches
from ebmrepro.training.finite import Finite, NotFinite
from ebmrepro.training.loop import Training

STEPS = 250  # per epoch


class Breaks(Method):
    """A method in which something becomes NaN in step `at`, and its loss may hide it."""

    t: torch.Tensor
    epochs = 1  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def __init__(self, what: str, at: int):
        super().__init__(None, small.SHAPE, small.CLASSES)
        self.what, self.at = what, at
        self.D = torch.nn.Linear(2, 1)
        self.register_buffer("t", torch.zeros(()))

    def energy(self, x):
        return x.flatten(1).mean(1)

    def sample(self, n):
        return torch.zeros(n, *self.shape)

    def step(self, x, epoch):
        self.t += 1
        w = self.D.weight.sum()
        hit = self.t == self.at
        nan = torch.where(hit, torch.nan, 0.0)
        energy = self.energy(x).mean() + (nan if self.what == "energy" else 0)
        loss = w.square() + (nan if self.what == "loss" else 0)
        if self.what == "gradient" and hit:
            loss = loss + (w - w.detach()).sqrt()  # 0, with an infinite slope
        yield Turn("D", loss, {"energy/real": energy})


def breaking(what: str, at: int) -> Training:
    images, _ = small.pictures(STEPS)
    batches = Batches(images, None, 1, 0, torch.device("cpu"))
    spec = Adam(name="adam", lr=0.001, beta1=0.9, beta2=0.999)
    return Training(Breaks(what, at), batches, {"D": spec})


@pytest.mark.parametrize("at", [1, 99, 100, 101, 250])
@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("energy", "energy/real is nan"),
        ("loss", "loss/D is nan"),
        ("gradient", "the gradient of D is not finite"),
    ],
)
def test_the_first_value_that_is_not_finite_is_named_with_its_step(what: str, named: str, at: int):
    training = breaking(what, at)
    with pytest.raises(NotFinite, match=f"{named} in step {at}$"):
        list(training.epochs())
    assert training.step - at < 100, "the run stops at the next look"


def test_looking_is_rare(monkeypatch: pytest.MonkeyPatch):
    """Each look makes the host wait for the device."""
    looks, look = [], Finite.look
    monkeypatch.setattr(Finite, "look", lambda *args: looks.append(1) or look(*args))
    list(breaking("nothing", 0).epochs())
    assert len(looks) == 3  # after 100 and 200 steps and at the end of the epoch


@pytest.mark.parametrize("what", ["weight", "statistic", "moment", "state"])
def test_what_is_not_finite_is_never_saved(what: str):
    model = small.build("magan", small.NORMED)
    training = small.training(model, "magan")
    next(training.epochs())
    training.state()  # MAGAN's E_G is infinite as long as it has no value
    with torch.no_grad():
        if what == "weight":
            model.D.encoder[1].weight[0, 0] = math.inf
        elif what == "statistic":
            next(b for k, b in model.named_buffers() if k.endswith("running_var"))[0] = math.nan
        elif what == "moment":
            training.players["D"].optimiser.state[0]["first"].view(-1)[0] = math.inf
        else:
            model.margin.fill_(math.nan)
    with pytest.raises(NotFinite, match="is not finite after step"):
        training.state()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = trainings.project(tmp_path_factory.mktemp("numbers"), ["dbn", "ebgan"])
    trainings.train(folder, "dbn", seconds=1000)
    return folder


@pytest.fixture
def project(trained: Path) -> Iterator[Path]:
    """Each test finds the settings as they were, whatever another one edited."""
    settings = trainings.read_params(trained)
    yield trained
    trainings.write_params(trained, settings)


def edit(folder: Path, **hparams: object) -> None:
    tree = trainings.read_params(folder)
    tree["digits"]["methods"]["ebgan"]["hparams"] |= hparams
    trainings.write_params(folder, tree)


def test_a_training_that_diverges_stops_with_its_last_good_checkpoint(project: Path):
    tree = trainings.read_params(project)
    # After one step of this size the product of the weights exceeds what a float can hold.
    tree["digits"]["methods"]["ebgan"]["optim"]["G"] |= {"lr": 5e3}
    tree["digits"]["methods"]["ebgan"]["optim"]["D"] |= {"lr": 5e3}
    trainings.write_params(project, tree)
    child = trainings.start(project, "ebgan", seconds=0)
    assert trainings.finish(child) == 2
    (said,) = trainings.said(project).splitlines()
    assert said.startswith("ebgan: ") and " in step " in said
    (folder,) = (project / ".ebmrepro/checkpoints").glob("*/*/")
    newest = max(folder.glob("*.pt"))
    assert f"the last good checkpoint is that of step {int(newest.name[:12])}, " in said
    state = torch.load(newest, weights_only=True)["training"]["method"]
    assert all(value.isfinite().all() for value in state.values())


def measured(folder: Path) -> dict:
    trainings.run_in(folder, trainings.evaluate, "ebgan")
    return json.loads((folder / "results/digits/ebgan/0/metrics.json").read_text())


def test_a_dead_hinge_a_collapse_and_too_few_images_are_flagged(project: Path):
    from safetensors.torch import load_file, save_file

    edit(project, margin=1e-6)
    trainings.train(project, "ebgan", seconds=1000)
    found = measured(project)["flags"]
    assert found["hinge_active"].startswith("the hinge is dead")
    assert "classes_covered" not in found and "kd_dbn" not in found

    weights = trainings.out(project, "ebgan") / "model.safetensors"
    state = load_file(weights)
    last = max(
        (key for key in state if key.startswith("G.")), key=lambda key: int(key.split(".")[1])
    )
    layer = last.rpartition(".")[0]
    save_file({**state, f"{layer}.weight": state[f"{layer}.weight"] * 0}, weights)
    weights.with_name("model.sha256").unlink()  # it says what the training wrote
    assert measured(project)["flags"]["classes_covered"].startswith("the generator has collapsed")

    edit(project, margin=1e9)
    tree = trainings.read_params(project)
    tree["digits"]["evaluate"] |= {"generated": 3, "neighbours": 2}
    trainings.write_params(project, tree)
    trainings.train(project, "ebgan", seconds=1000)
    found = measured(project)
    assert found["flags"]["hinge_active"].startswith("the hinge never let go")
    assert found["flags"]["fd_dbn"].startswith("3 images for 16 features")
    for name in ("kd_dbn", "is_dbn", "classes_covered"):
        assert found["flags"][name] == "only 3 images: a rough estimate"


def test_precision_and_recall_without_a_kth_neighbour_are_null_with_the_reason():
    asked = shipped().suite("digits").evaluate
    numbers = np.random.default_rng(0)

    def images(count: int) -> Features:
        features = numbers.random((count, 4), np.float32)
        return Features("dbn", features, np.full((count, 2), 0.5, np.float32))

    found = measure("of_features", images(asked.neighbours), images(9), asked)
    for name in ("precision_dbn", "recall_dbn"):
        assert found.values[name] is None
        assert found.reasons[name] == "3 images have no neighbour number 3"


@pytest.mark.parametrize(
    ("shares", "flag"),
    [([1, 0.5, 0], "dead"), ([1, 1, 1], "never let go"), ([0, 0, 0.1], None), ([1, 0.9], None)],
)
def test_a_hinge_is_judged_by_its_last_epoch_and_by_all_of_them(shares: list[float], flag):
    found = flags.dead_hinge(shares)
    assert found is None if flag is None else flag in (found or "")


def test_a_generator_of_few_different_images_has_not_collapsed():
    images = np.zeros((100, 1, 8, 8), np.uint8)
    assert flags.collapsed(images)
    images[::10] = 200
    assert not flags.collapsed(images)
