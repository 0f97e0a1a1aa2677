"""The faces of Olivetti: a made-up file in exactly their format, whole and damaged."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from made_up_images import mirror

from ebmrepro import data
from ebmrepro.config.data import Data
from ebmrepro.data import DataError
from ebmrepro.data.sources import olivetti, olivetti_half

__all__ = ["mirror"]  # fixtures, used by name


def mat(faces: np.ndarray) -> bytes:
    from scipy.io import savemat

    out = io.BytesIO()
    savemat(out, {"faces": faces}, do_compression=True)
    return out.getvalue()


PEOPLE = Data(source="olivetti", test=40, validation=0, split_seed=0)


def test_half_a_face_is_the_mean_of_four_pixels():
    face = np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4) ** 2  # 225 at most
    rows = face[0, 0].astype(float)
    by_hand = [[np.rint(rows[i : i + 2, j : j + 2].mean()) for j in (0, 2)] for i in (0, 2)]
    assert olivetti_half.halved(face).tolist() == [[by_hand]]
    assert olivetti_half.halved(face)[0, 0, 0, 0] == 10  # (0 + 1 + 16 + 25) / 4 = 10.5, to even


def test_olivettis_faces_stand_upright_ten_of_each_person(mirror, monkeypatch):
    upright = np.random.RandomState(0).randint(0, 256, (400, 64, 64)).astype(np.uint8)
    content = mat(upright.transpose(0, 2, 1).reshape(400, 4096).T)
    monkeypatch.setattr(olivetti, "SHA256", hashlib.sha256(content).hexdigest())
    (mirror / "olivetti").mkdir()
    (mirror / "olivetti" / olivetti.FILE).write_bytes(content)
    faces = olivetti.fetch(PEOPLE)
    assert np.array_equal(faces.images[:, 0], upright)
    assert faces.labels.tolist() == [k // 10 for k in range(400)]
    test = data.split(faces, PEOPLE, "olivetti")["test"]
    assert np.bincount(faces.labels[test]).tolist() == [1] * 40
    (mirror / "olivetti" / olivetti.FILE).write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"olivettifaces\.mat: found sha256 .*, expected"):
        olivetti.fetch(PEOPLE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (mat(np.zeros((4096, 399), np.uint8)), r"faces: found uint8 \(4096, 399\)"),
        (mat(np.zeros((4096, 400), np.float32)), "faces: found float32"),
        (mat(np.zeros((4096, 400), np.uint8))[:-50], "not a whole MATLAB file"),
        (b"<html>", "not a whole MATLAB file"),
    ],
)
def test_a_matlab_file_of_anything_else_is_refused(content, message):
    with pytest.raises(DataError, match=f"^x.mat: {message}"):
        olivetti.decode("x.mat", content)
