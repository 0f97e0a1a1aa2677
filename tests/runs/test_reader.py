"""The one reader of results: what it gives, and what it says of a file that it cannot read."""

from pathlib import Path

import numpy as np
import pytest

from ebmrepro.runs import results
from ebmrepro.system.errors import UserError


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_blank_cells_of_curves_are_unknown_and_a_row_on_its_way_is_left(tmp_path: Path):
    path = written(tmp_path / "curves.csv", b"epoch,loss\n1,\n2,0.5\n3,0.2")
    curves = results.curves(path)
    assert curves["epoch"].tolist() == [1, 2]
    np.testing.assert_array_equal(curves["loss"], [np.nan, 0.5])


def test_arrays_come_back_under_their_names(tmp_path: Path):
    np.savez(tmp_path / "x.npz", a=np.arange(3), allow_pickle=False)
    np.save(tmp_path / "x.npy", np.arange(3))
    found = results.arrays(tmp_path / "x.npz")["a"], results.arrays(tmp_path / "x.npy")[""]
    assert all(array.tolist() == [0, 1, 2] for array in found)


@pytest.mark.parametrize(
    ("read", "content", "said"),
    [
        (results.document, b"{", "not JSON: Expecting"),
        (results.document, b"[1]", "found list, want an object of JSON"),
        (results.document, b"\xff", "cannot be read: 'utf-8' codec"),
        (results.curves, b"a\nx\n", "not a table of numbers: could not convert"),
        (results.rows, b"a,b\n1\n", "row 1 has more or fewer cells than the header"),
        (results.rows, b"a\n1,2\n", "row 1 has more or fewer cells than the header"),
        (results.arrays, b"PK\x03\x04", "not arrays of NumPy: File is not a zip file"),
        (results.arrays, b"", "not arrays of NumPy: No data left"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(tmp_path: Path, read, content: bytes, said: str):
    path = written(tmp_path / "file", content)
    with pytest.raises(UserError) as error:
        read(path)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{path}: {said}")


def test_a_file_that_is_absent_is_refused_unless_it_may_be(tmp_path: Path):
    for read in (results.document, results.rows, results.curves, results.arrays):
        assert results.known(read, tmp_path / "x") is None
        with pytest.raises(UserError, match="x: no such file"):
            read(tmp_path / "x")
    assert results.tensor(tmp_path / "x", "W") is None
