"""The one reader of results: what it gives, and what it says of a file that it cannot read."""

import os
from pathlib import Path

import numpy as np
import pytest

from ebmrepro.config import forms
from ebmrepro.runs import results
from ebmrepro.system import atomic, reading
from ebmrepro.system.errors import UserError


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_blank_cells_of_curves_are_unknown_and_a_row_on_its_way_is_left(tmp_path: Path):
    path = written(tmp_path / "curves.csv", b"epoch,step,loss\n1,4,\n2,8,0.5\n3,12,0.2")
    assert results.growing(path) == [
        {"epoch": "1", "step": "4"},
        {"epoch": "2", "step": "8", "loss": "0.5"},
    ]
    written(path, b"epoch,loss\n1,\n2,0.5\n")
    curves = results.curves(path)
    assert curves["epoch"].tolist() == [1, 2]
    np.testing.assert_array_equal(curves["loss"], [np.nan, 0.5])


def test_arrays_come_back_under_their_names(tmp_path: Path):
    np.savez(tmp_path / "x.npz", a=np.arange(3), allow_pickle=False)
    np.save(tmp_path / "x.npy", np.arange(3))
    found = reading.arrays(tmp_path / "x.npz")["a"], reading.arrays(tmp_path / "x.npy")[""]
    assert all(array.tolist() == [0, 1, 2] for array in found)
    with pytest.raises(UserError, match=r"x\.npz: found no array 'b'"):
        reading.arrays(tmp_path / "x.npz")["b"]


READERS = (forms.Metrics.read, reading.rows, results.curves, reading.arrays, results.weights)


@pytest.mark.parametrize(
    ("read", "content", "said"),
    [
        (forms.Metrics.read, b"{", "not JSON: Expecting"),
        (forms.Metrics.read, b"[1]", "found [1], want an object of JSON"),
        (forms.Metrics.read, b"{}", "values: this key is missing"),
        (forms.Metrics.read, b"\xff", "not JSON: 'utf-8' codec"),
        (forms.Metrics.read, b"[" * 100_000, "not JSON: maximum recursion"),
        (forms.Metrics.read, b"9" * 5000, "not JSON: Exceeds the limit"),
        (forms.Metrics.read, b'{"schema": 2}', "schema: found 2; this ebmrepro reads 1"),
        (results.curves, b"", "found no line, want a header"),
        (results.curves, b"epoch\n1\n2", "the last line has no end"),
        (results.curves, b"epoch\nx\n", "row 1, epoch: found 'x', want a number"),
        (reading.rows, b"a,b\n1\n", "row 1 has more or fewer cells than the header"),
        (reading.rows, b"a\n1,2\n", "row 1 has more or fewer cells than the header"),
        (reading.arrays, b"PK\x03\x04", "not arrays of NumPy: File is not a zip file"),
        (reading.arrays, b"", "not arrays of NumPy: No data left"),
        (reading.mapped, b"", "not an array of NumPy"),
        (reading.picture, b"", "not a whole image"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(tmp_path: Path, read, content: bytes, said: str):
    path = written(tmp_path / "file", content)
    with pytest.raises(UserError) as error:
        read(path)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{path}: {said}")


def test_curves_that_end_before_their_training_are_refused(tmp_path: Path):
    path = written(tmp_path / "curves.csv", b"epoch\n1\n2\n")
    card = {"suite": "s", "method": "m", "seed": 0, "fingerprint": 64 * "0", "params": {}}
    card |= {"epochs": 3, "steps": 6, "parameters": {}}
    atomic.write_json(tmp_path / "training.json", card)
    with pytest.raises(UserError, match=r"found 2 epochs; training\.json says 3"):
        results.curves(path)


def test_weights_that_are_not_those_of_the_line_beside_them_are_refused(tmp_path: Path):
    path = written(tmp_path / "model.safetensors", b"weights")
    assert results.weights(path) == b"weights"  # of a training of before there was such a line
    (tmp_path / results.SUM).write_text(results.sums(b"weights", path.name))
    assert results.weights(path) == b"weights"
    written(path, b"weighty")
    with pytest.raises(UserError, match=r"model\.safetensors: found sha256"):
        results.weights(path)


def test_a_file_that_is_absent_is_refused_unless_it_may_be(tmp_path: Path):
    for read in READERS:
        assert reading.known(read, tmp_path / "x") is None
        with pytest.raises(UserError, match="x: no such file"):
            read(tmp_path / "x")
    assert results.tensor(tmp_path / "x", "W") is None


def test_what_is_no_file_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for read in (*READERS, reading.mapped, reading.picture):
        with pytest.raises(UserError, match="pipe: found a pipe, want a file"):
            read(tmp_path / "pipe")
        with pytest.raises(UserError, match="found a folder, want a file"):
            read(tmp_path)
