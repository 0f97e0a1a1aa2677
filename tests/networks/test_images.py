"""What becomes of an image between the network and the file."""

import numpy as np
import pytest
import torch

from ebmrepro.networks import images

EVERY_VALUE = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)


def test_every_uint8_value_survives_the_way_to_floats_and_back():
    assert np.array_equal(images.to_uint8(images.from_uint8(EVERY_VALUE)), EVERY_VALUE)


def test_black_is_minus_one_and_white_is_one():
    x = images.from_uint8(EVERY_VALUE).flatten()
    assert x.dtype == torch.float32
    assert (x[0], x[-1]) == (-1.0, 1.0)


def test_a_float_becomes_the_nearest_grey_level():
    step = 2 / 255
    x = torch.tensor([-1 + 0.49 * step, -1 + 0.51 * step, 1 - 0.49 * step])
    assert images.to_uint8(x).tolist() == [0, 1, 255]


def test_what_lies_outside_is_clamped():
    assert images.to_uint8(torch.tensor([-1e9, -1.1, 1.1, 1e9])).tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_diverged_network_has_no_image(value):
    with pytest.raises(ValueError, match="NaN or infinity"):
        images.to_uint8(torch.tensor([0.0, value]))


def test_an_image_in_a_graph_is_detached():
    assert images.to_uint8(torch.zeros(3, requires_grad=True)).shape == (3,)


def test_floats_are_not_taken_for_uint8():
    with pytest.raises(TypeError, match="float32"):
        images.from_uint8(np.zeros((1, 1, 2, 2), dtype=np.float32))


def test_an_array_mapped_read_only_is_read_and_left_alone(tmp_path):
    np.save(tmp_path / "x.npy", EVERY_VALUE)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    images.from_uint8(mapped).add_(1)
    assert np.array_equal(mapped, EVERY_VALUE)


def test_a_grid_fills_rows_first_and_its_empty_cells_are_grey():
    x = np.array([10, 20, 30], dtype=np.uint8).reshape(3, 1, 1, 1)
    g = images.SEPARATOR
    assert images.grid(x, columns=2).tolist() == [[10, g, 20], [g, g, g], [30, g, g]]


def test_a_grid_without_separators_is_the_images_side_by_side():
    x = np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2)
    assert images.grid(x, columns=2, pad=0).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]


def test_a_grid_of_colour_images_keeps_pixels_and_channels():
    x = np.random.RandomState(0).randint(0, 256, (5, 3, 4, 6), dtype=np.uint8)
    g = images.grid(x, columns=3, pad=2)
    assert g.shape == (2 * 4 + 2, 3 * 6 + 2 * 2, 3)
    assert np.array_equal(g[6:10, 8:14], x[4].transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("shape", "columns"), [((0, 1, 2, 2), 1), ((1, 2, 2, 2), 1), ((1, 1, 2, 2), 0), ((2, 2), 1)]
)
def test_a_grid_of_nothing_drawable_is_refused(shape, columns):
    with pytest.raises(ValueError, match="found"):
        images.grid(np.zeros(shape, dtype=np.uint8), columns)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_has_the_pixels_given_and_always_the_same_bytes(tmp_path, channels):
    from PIL import Image

    x = np.random.RandomState(0).randint(0, 256, (4, channels, 8, 8), dtype=np.uint8)
    g = images.grid(x, columns=2)
    images.save_png(tmp_path / "a.png", g)
    images.save_png(tmp_path / "b.png", g)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), g)
