"""What a DBN's errors are held against: neighbours, support vectors, networks by backprop."""

from pathlib import Path

import numpy as np
import pytest
import torch
from params_file import shipped
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from ebmrepro import data
from ebmrepro.config import params
from ebmrepro.config.classifiers import SupportVectors
from ebmrepro.studies import classifiers

SHIPPED = shipped()
ASKED = SHIPPED.classifiers("digits")


def row(*pixels: int) -> np.ndarray:
    return np.array(pixels, np.uint8).reshape(1, 1, 1, -1)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> tuple[classifiers.Split, classifiers.Split]:
    folder = tmp_path_factory.mktemp("data") / "digits"
    data.prepare("digits", SHIPPED.suites["digits"].data, folder)
    (x, y), test = (data.read(folder, part) for part in ("train", "test"))
    return (x[:400], y[:400]), test


def test_the_nearest_in_l2_is_not_the_nearest_in_l3():
    """From (0, 0): to (30, 30) 42.4 in L2 and 37.8 in L3; to (40, 0) 40 in both."""
    train = (np.concatenate([row(30, 30), row(40, 0)]), np.array([0, 1]))
    test = (row(0, 0), np.array([1]))
    assert classifiers.nearest(train, test, torch.cdist) == 0.0
    assert classifiers.nearest(train, test, classifiers.cubes) == 1.0


@pytest.mark.parametrize(("p", "distance"), [(2, torch.cdist), (3, classifiers.cubes)])
def test_neighbours_are_scikit_learns(split, p: int, distance):
    train, test = split
    voter = KNeighborsClassifier(1, p=p, algorithm="brute")
    voter.fit(train[0].reshape(400, -1), train[1])
    expected = (voter.predict(test[0].reshape(len(test[0]), -1)) != test[1]).mean()
    assert classifiers.nearest(train, test, distance) == pytest.approx(expected)


def test_cubed_distances_in_blocks_are_those_of_all_pairs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(classifiers, "CACHED", 30)
    a, b = torch.rand(5, 7), torch.rand(11, 7)
    torch.testing.assert_close(classifiers.cubes(a, b), torch.cdist(a, b, 3.0) ** 3)


def test_the_kernel_is_the_one_that_is_stated(split):
    train, test = split
    unit = [
        x.reshape(len(x), -1) / np.linalg.norm(x.reshape(len(x), -1), axis=1)[:, None]
        for x in (train[0].astype(float), test[0].astype(float))
    ]
    kernel = [((1 + rows @ unit[0].T) / 2) ** 9 for rows in unit]
    machine = SVC(C=2.0, kernel="precomputed").fit(kernel[0], train[1])
    expected = (machine.predict(kernel[1]) != test[1]).mean()
    asked = SupportVectors(degree=9, C=2.0)
    assert classifiers.support_vectors(train, test, asked) == pytest.approx(expected, abs=0.003)
    blank = (np.zeros_like(test[0][:1]), test[1][:1])  # has no length
    assert classifiers.support_vectors(train, blank, asked) in (0.0, 1.0)


def test_a_network_learns_and_is_its_seeds(split):
    train, test = split
    slower = ASKED.two_layers.optim.model_copy(update={"lr": 0.03})
    asked = ASKED.two_layers.model_copy(update={"hidden": [64, 32], "optim": slower})
    one, again, other = (classifiers.backprop(train, test, asked, seed) for seed in (0, 0, 1))
    assert one == again != other and max(one, other) < 0.4  # 0.9 is chance


def test_early_stopping_takes_the_epoch_of_the_fewest_held_out_errors(split, monkeypatch):
    train, test = split
    asked = ASKED.one_layer.model_copy(update={"epochs": 4, "hidden": [8], "held_out": 100})
    told = iter(
        [0.5, 0.40, 0.3, 0.20, 0.3, 0.6]
    )  # held out, test: test is asked at a new best only
    monkeypatch.setattr(classifiers, "_error", lambda *_: next(told))
    assert classifiers.backprop(train, test, asked, 0) == 0.20


def test_held_out_images_are_not_trained_on(split):
    train, _ = split
    (x, _), (held_out, labels) = classifiers._parted(train, 100, seed=3)
    assert (len(x), len(held_out), len(labels)) == (300, 100, 100)
    assert sorted(map(bytes, [*x, *held_out])) == sorted(map(bytes, train[0]))


def test_the_stage_leaves_a_document_of_a_system(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data.prepare("digits", SHIPPED.suites["digits"].data, Path("data/digits"))
    nets = {key: {"epochs": 1} for key in ("two_layers", "one_layer")}
    asked = ASKED.model_copy(
        update={key: getattr(ASKED, key).model_copy(update=one) for key, one in nets.items()}
    )
    by_protocol = {"error_selected": 0.03, "error_selected_all": 0.02}
    monkeypatch.setattr(classifiers.selection, "errors", lambda *_: by_protocol)
    digits = SHIPPED.suites["digits"].model_copy(update={"classifiers": asked})
    settings = SHIPPED.model_copy(update={"suites": {"digits": digits}})
    torch.set_num_threads(2)
    document = classifiers.write("digits", 3, settings)
    assert torch.get_num_threads() == 1  # on any machine the same sums
    path = Path("results/digits/classifiers/3/metrics.json")
    assert params.read_yaml(path)["values"] == pytest.approx(document["values"])
    assert set(document["values"]) == {
        *("error_nearest_l2", "error_nearest_l3", "error_support_vectors"),
        *("error_backprop_one", "error_backprop_two", *by_protocol),
    }
    assert document["protocol"]["classifiers"] == "1,437 training images, 360 of test"
