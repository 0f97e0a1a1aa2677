"""The folder of a suite's images: written whole or not at all, and read as it says."""

import json
import subprocess
import sys

import numpy as np
import pytest
from loopback import no_network
from small_sources import DIGITS, SMALL, sha256, small_mnist

from ebmrepro import data
from ebmrepro.data import DataError
from ebmrepro.data.sources import mnist
from ebmrepro.system.atomic import CannotWrite

__all__ = ["no_network", "small_mnist"]  # fixtures, used by name


def test_the_same_parameters_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        data.prepare("digits", DIGITS, tmp_path / name)
    a, b = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("a", "b"))
    assert a == b
    assert len(a) == 7


def test_what_was_written_can_be_read_and_says_what_it_is(tmp_path, small_mnist):
    data.prepare("s", SMALL.model_copy(update={"validation": 10}), tmp_path / "s")
    text = (tmp_path / "s/dataset.json").read_text()
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"
    dataset = data.describe(tmp_path / "s")
    assert (dataset["source"], dataset["name"]) == ("mnist", mnist.NAME)
    assert dataset["shape"] == [1, 28, 28]
    images, labels = data.read(tmp_path / "s", "validation")
    assert images.dtype == np.uint8 and labels.dtype == np.int64
    assert not images.flags.writeable
    assert np.bincount(labels).tolist() == dataset["splits"]["validation"]["per_class"] == [1] * 10
    assert sha256(images.tobytes()) == dataset["splits"]["validation"]["sha256"]


def test_a_split_that_was_not_asked_for_is_not_there(tmp_path, small_mnist):
    data.prepare("s", SMALL, tmp_path / "s")
    assert not (tmp_path / "s/validation.npy").exists()
    with pytest.raises(DataError, match="no split 'validation'; there are test, train"):
        data.read(tmp_path / "s", "validation")


def test_a_missing_folder_names_the_stage_that_makes_it(tmp_path):
    with pytest.raises(DataError, match=r"dataset\.json: no such file; the data stage makes it"):
        data.read(tmp_path, "train")


def test_a_failed_prepare_leaves_nothing(tmp_path, monkeypatch):
    def full_disk(path, array, saved=[]):  # noqa: B006, counts its calls
        saved.append(path)
        if len(saved) == 3:
            raise OSError("no space left on device")

    monkeypatch.setattr(np, "save", full_disk)
    with pytest.raises(CannotWrite, match=r"data/digits: cannot be written: no space"):
        data.prepare("digits", DIGITS, tmp_path / "data/digits")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_failed_prepare_leaves_the_old_data(tmp_path, monkeypatch):
    data.prepare("digits", DIGITS, tmp_path / "digits")
    before = (tmp_path / "digits/train.npy").read_bytes()
    with monkeypatch.context() as patch, pytest.raises(CannotWrite, match="no space"):
        patch.setattr(np, "save", lambda *_: (_ for _ in ()).throw(OSError("no space")))
        data.prepare("digits", DIGITS, tmp_path / "digits")
    assert (tmp_path / "digits/train.npy").read_bytes() == before
    data.prepare("digits", DIGITS.model_copy(update={"validation": 0}), tmp_path / "digits")
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]
    assert not (tmp_path / "digits/validation.npy").exists()


def test_preparing_data_needs_neither_torch_nor_scikit_learn():
    code = (
        "import sys; from ebmrepro import data; "
        "from ebmrepro.networks import images; from ebmrepro.data import check, ood_images; "
        "from ebmrepro.config.data import Data; "
        "params = Data(source='digits', test=9, validation=0, split_seed=0); "
        "data.load_source('digits').fetch(params); "
        "ood_images.patches((1, 8, 8), 1, 0); "
        "sys.exit(', '.join({'torch', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
