"""CIFAR-10: made-up batches in exactly their format, whole and damaged."""

from __future__ import annotations

import hashlib
import io
import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from made_up_images import mirror

from ebmrepro import data
from ebmrepro.config.data import Data
from ebmrepro.data import DataError
from ebmrepro.data.sources import cifar10

__all__ = ["mirror"]  # fixtures, used by name


def batches(k: int) -> bytes:
    random = np.random.RandomState(k)
    batch = {
        b"batch_label": b"1 of 6",
        b"labels": [(i + k) % 10 for i in range(20)],
        b"data": random.randint(0, 256, (20, 3072)).astype(np.uint8),
        b"filenames": [b"x.png"] * 20,
    }
    return pickle.dumps(batch, 2)


@pytest.fixture
def pictures(monkeypatch) -> dict[str, bytes]:
    """A CIFAR-10 of 100 and 20 images: batch -> its bytes, which are the published ones."""
    made = {name: batches(k) for k, name in enumerate([*cifar10.TRAIN_MD5, *cifar10.TEST_MD5])}
    for table in ("TRAIN_MD5", "TEST_MD5"):
        md5 = {name: hashlib.md5(made[name]).hexdigest() for name in getattr(cifar10, table)}
        monkeypatch.setattr(cifar10, table, md5)
    return made


CIFAR = Data(source="cifar10", test=20, validation=0, split_seed=0)


def unpacked(mirror: Path, made: dict[str, bytes]) -> Path:
    folder = mirror / cifar10.BATCHES
    folder.mkdir()
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return folder


def packed(made: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in made.items():
            header = tarfile.TarInfo(f"{cifar10.BATCHES}/{name}")
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return out.getvalue()


def test_cifar_10_is_read_from_its_batches_and_from_its_archive_alike(
    mirror, pictures, monkeypatch
):
    folder = unpacked(mirror, pictures)
    fetched = cifar10.fetch(CIFAR)
    assert fetched.images.shape == (120, 3, 32, 32) and fetched.notes == ()
    assert fetched.test is not None and fetched.test.sum() == 20
    assert fetched.labels[fetched.test].tolist() == [(i + 5) % 10 for i in range(20)]
    shutil.rmtree(folder)
    (mirror / cifar10.FOLDER).mkdir()
    content = packed(pictures)
    (mirror / cifar10.FOLDER / cifar10.ARCHIVE).write_bytes(content)
    monkeypatch.setattr(cifar10, "SHA256", hashlib.sha256(content).hexdigest())
    again = cifar10.fetch(CIFAR)
    assert np.array_equal(fetched.images, again.images)


def test_other_batch_files_are_taken_for_a_known_copy_and_for_nothing_else(
    mirror, tmp_path, pictures, monkeypatch
):
    folder = unpacked(mirror, pictures)
    other = pickle.dumps(pickle.loads(pictures["test_batch"]) | {b"filenames": [b"y"] * 20}, 2)
    (folder / "test_batch").write_bytes(other)
    with pytest.raises(DataError, match=r"test_batch: found md5 .* are no known copy") as error:
        cifar10.fetch(CIFAR)
    assert "\n" not in str(error.value)
    batch = pickle.loads(other)
    known = tuple(
        hashlib.sha256(x.tobytes()).hexdigest()
        for x in (batch[b"data"], np.array(batch[b"labels"], np.uint8))
    )
    monkeypatch.setitem(cifar10.KNOWN_COPIES, known, "2 images are copies")
    made = data.prepare("cifar10", CIFAR, tmp_path / "cifar10")
    assert made["notes"] == data.remarks(made) == ["2 images are copies"]
    batch[b"labels"][3] ^= 1  # mislabelled
    (folder / "test_batch").write_bytes(pickle.dumps(batch, 2))
    with pytest.raises(DataError, match="are no known copy"):
        cifar10.fetch(CIFAR)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b.update({b"labels": [10] * 20}), "b'labels': found 10, expected 0 to 9"),
        (lambda b: b[b"labels"].pop(), "b'labels': found 19, expected 20"),
        (lambda b: b.pop(b"labels"), "b'labels': found NoneType"),
        (lambda b: b.update({b"data": b[b"data"][:, :-1]}), r"b'data': found \(20, 3071\)"),
    ],
)
def test_a_batch_that_is_not_what_it_should_be_is_named(mirror, pictures, change, message):
    folder = unpacked(mirror, pictures)
    batch = pickle.loads(pictures["data_batch_2"])
    change(batch)
    (folder / "data_batch_2").write_bytes(pickle.dumps(batch, 2))
    with pytest.raises(DataError, match=f"data_batch_2: {message}"):
        cifar10.fetch(CIFAR)


def test_a_batch_that_is_missing_cut_short_or_a_page_is_named(mirror, pictures):
    folder = unpacked(mirror, pictures)
    (folder / "data_batch_3").write_bytes(pictures["data_batch_3"][:-100])
    with pytest.raises(DataError, match="data_batch_3: not a whole pickle"):
        cifar10.fetch(CIFAR)
    (folder / "data_batch_3").write_bytes(b"<html>")
    with pytest.raises(DataError, match="data_batch_3: found an HTML page"):
        cifar10.fetch(CIFAR)
    (folder / "data_batch_3").unlink()
    with pytest.raises(DataError, match="data_batch_3: no such file"):
        cifar10.fetch(CIFAR)


def test_a_label_of_a_million_digits_is_named_in_a_line(mirror, pictures):
    folder = unpacked(mirror, pictures)
    batch = pickle.loads(pictures["data_batch_1"])
    labels = batch[b"labels"]
    (folder / "data_batch_1").write_bytes(
        pickle.dumps(batch | {b"labels": [10**5000, *labels[1:]]}, 2)
    )
    with pytest.raises(DataError, match="found an integer of 16,610 bits, expected 0 to 9"):
        cifar10.fetch(CIFAR)


def test_an_archive_that_lacks_a_batch_says_which(mirror, pictures, monkeypatch):
    del pictures["data_batch_4"]
    content = packed(pictures)
    (mirror / cifar10.ARCHIVE).write_bytes(content)
    with pytest.raises(DataError, match=r"found sha256 .*, expected 6d958be0"):
        cifar10.fetch(CIFAR)
    monkeypatch.setattr(cifar10, "SHA256", hashlib.sha256(content).hexdigest())
    with pytest.raises(DataError, match="found no data_batch_4 in cifar-10-batches-py/"):
        cifar10.fetch(CIFAR)
