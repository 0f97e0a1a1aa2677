"""Images that this project draws: patches of faces, and curves; and the public file of curves."""

import io
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.io import savemat

from ebmrepro import data
from ebmrepro.config.data import Data
from ebmrepro.data import DataError, files
from ebmrepro.data.images import Images
from ebmrepro.data.sources import curves, drawn_curves, olivetti, patches

ASKED = Data(source="patches", test=41_400, validation=0, split_seed=0)


# Patches ---------------------------------------------------------------------------------------


def test_a_patch_of_a_plane_is_the_plane_turned_and_scaled():
    """On row + 2 column every patch is a plane, whose slopes are those of a turn and a scale."""
    row, column = np.indices((64, 64))
    found = patches.patches((row + 2 * column).astype(np.uint8), 200, np.random.RandomState(0))
    assert found.shape == (200, 1, 25, 25) and found.dtype == np.uint8
    grid = np.indices((25, 25)).reshape(2, -1)
    design = np.vstack([grid, np.ones(625)]).T
    fitted = np.linalg.lstsq(design, found.reshape(200, -1).T.astype(float), rcond=None)[0]
    down, across, _ = fitted
    # (down, across) = scale * (cos - 2 sin, sin + 2 cos), of length scale * sqrt(5)
    scale = np.hypot(down, across) / np.sqrt(5)
    assert (scale > 1.39).all() and (scale < 1.81).all() and np.ptp(scale) > 0.35
    angle = np.degrees(np.arctan2(2 * down - across, down + 2 * across))
    assert np.abs(angle).max() < 91 and np.ptp(angle) > 165
    off = found.reshape(200, -1).T - design @ fitted
    assert np.abs(off).max() < 0.6, "rounded, and nothing from outside the face"


def test_the_largest_square_just_fits_into_a_face_at_45_degrees():
    reach = 12 * patches.SCALES[1] * np.sqrt(2)
    assert 31 - 0.5 < reach < 31.5


@pytest.fixture
def faces(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    images = np.random.RandomState(0).randint(0, 256, (400, 1, 64, 64)).astype(np.uint8)
    labels = np.arange(400, dtype=np.int64) // 10
    found = Images(images=images, labels=labels, classes=olivetti.CLASSES)
    monkeypatch.setattr(olivetti, "fetch", lambda params: found)
    monkeypatch.setattr(patches, "EACH", 2)
    return images


def test_the_last_ten_people_are_tested_on_and_no_other(faces: np.ndarray):
    found = patches.fetch(ASKED)
    assert len(found.images) == 800 and found.test is not None
    assert set(found.labels[found.test]) == set(range(30, 40))
    assert set(found.labels[~found.test]) == set(range(30))
    assert (found.labels[:400] == np.arange(400) // 10).all()  # the first are of all
    (note,) = found.notes
    assert "drawn by us" in note


def test_patches_follow_from_the_seed(faces: np.ndarray):
    one, again = (patches.fetch(ASKED).images for _ in range(2))
    other = patches.fetch(ASKED.model_copy(update={"split_seed": 1})).images
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_all_patches_are_as_many_as_the_papers():
    assert 400 * patches.EACH == patches.IMAGES
    assert patches.TEST_PEOPLE * 10 * patches.EACH == patches.TEST


# Curves of our own -----------------------------------------------------------------------------


def test_a_curve_is_the_natural_cubic_spline_through_its_points():
    points = np.random.RandomState(0).uniform(5, 22, (4, 3, 2))
    t = np.linspace(0, 2, drawn_curves.PIECES + 1)
    expected = [CubicSpline([0, 1, 2], three, bc_type="natural")(t) for three in points]
    np.testing.assert_allclose(drawn_curves.spline(points), expected, atol=1e-9)


def test_a_level_line_is_inked_as_by_hand():
    """From (5, 10) to (15, 10): 1 up to half a pixel from it, 0.5 at one, 0 from one and a half."""
    places = np.linspace([5.0, 10.0], [15.0, 10.0], 5)[None]
    image = drawn_curves.ink(places)[0, 0] / 255
    assert image[10, 5:16].tolist() == [1.0] * 11
    assert image[9, 10] == image[11, 10] == pytest.approx(0.5, abs=0.005)
    assert image[8, 10] == 0 and image[10, 3] == 0
    assert image[10, 4] == image[10, 16] == pytest.approx(0.5, abs=0.005)


def test_curves_stay_inside_and_go_from_left_to_right(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drawn_curves, "IMAGES", 600)
    monkeypatch.setattr(drawn_curves, "TEST", 200)
    found = drawn_curves.fetch(ASKED)
    assert found.images.shape == (600, 1, 28, 28) and found.test is not None
    assert found.test.sum() == 200 and not found.test[:400].any()
    edge = np.ones((28, 28), bool)
    edge[1:-1, 1:-1] = False
    assert not found.images[:, 0, edge].any()
    assert (found.images == 255).any(axis=(1, 2, 3)).all()
    assert np.array_equal(found.images, drawn_curves.fetch(ASKED).images)


# The public file -------------------------------------------------------------------------------


def mat(**arrays: np.ndarray) -> bytes:
    out = io.BytesIO()
    savemat(out, arrays, do_compression=True)
    return out.getvalue()


def test_the_public_file_is_read_from_the_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(curves, "COUNTS", {"bdata": 3, "bdatatest": 2})
    monkeypatch.setenv(files.MIRROR, str(tmp_path))
    with pytest.raises(DataError, match=r"missing digs3pts_1\.mat: put them in .*curves/"):
        curves.fetch(ASKED)
    values = np.random.RandomState(0).uniform(size=(5, 784))
    (tmp_path / "curves").mkdir()
    content = mat(bdata=values[:3], bdatatest=values[3:], tdata=np.zeros((3, 6)))
    (tmp_path / "curves" / curves.FILE).write_bytes(content)
    found = curves.fetch(ASKED)
    assert np.array_equal(found.images.reshape(5, -1), np.rint(255 * values))
    assert found.test is not None and found.test.tolist() == [False] * 3 + [True] * 2


def test_whole_numbers_of_any_size_are_grey_levels_as_well(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(curves, "COUNTS", {"bdata": 3})
    found = curves.decode("x.mat", mat(bdata=np.ones((3, 784), np.int8)))
    assert found.shape == (3, 1, 28, 28) and (found == 255).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (mat(bdata=np.zeros((2, 784))), r"bdata: found float64 \(2, 784\), expected numbers"),
        (mat(other=np.zeros(3)), "bdata: found nothing"),
        (mat(bdata=np.full((3, 784), 2.0)), "bdata: found 2 to 2, expected 0 to 1"),
        (mat(bdata=np.full((3, 784), np.nan)), "bdata: found nan to nan, expected 0 to 1"),
        (mat(bdata=np.zeros((3, 784)))[:-50], "not a whole MATLAB file"),
        (b"<html>", "not a whole MATLAB file"),
    ],
)
def test_another_file_is_refused_in_one_line(content: bytes, message: str, monkeypatch):
    monkeypatch.setattr(curves, "COUNTS", {"bdata": 3})
    with pytest.raises(DataError, match=f"^x.mat: {message}"):
        curves.decode("x.mat", content)


def test_a_damage_that_kills_the_reader_is_refused_too(monkeypatch):
    monkeypatch.setattr(curves, "COUNTS", {"bdata": 3})
    out = io.BytesIO()
    savemat(out, {"bdata": np.zeros((3, 784))})
    content = bytearray(out.getvalue())
    content[184] = 14  # the type of the numbers; SciPy follows a null pointer
    with pytest.raises(DataError, match=r"^x.mat: not a whole MATLAB file: .* died of SIG[A-Z]+$"):
        curves.decode("x.mat", bytes(content))


def test_published_errors_of_pca_stand_at_the_sources():
    from ebmrepro.config.declarations import source_facts

    assert source_facts("mnist").pca == (30, 13.87) and source_facts("curves").pca == (18, 5.90)
    assert source_facts("drawn_curves").pca is None and source_facts("patches").pca is None
    assert data.load_source("drawn_curves").NAME.startswith("Curves of our own")
