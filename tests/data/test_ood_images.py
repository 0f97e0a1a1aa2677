"""Probes: images that are none of the data."""

import numpy as np
import pytest

from ebmrepro.data import ood_images


@pytest.mark.parametrize("probe", [ood_images.noise, ood_images.patches])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 20)])
def test_a_probe_has_the_datas_shape_and_its_seed_decides_it(probe, shape):
    x = probe(shape, 5, 0)
    assert x.dtype == np.uint8 and x.shape == (5, *shape)
    assert np.array_equal(x, probe(shape, 5, 0))
    assert not np.array_equal(x, probe(shape, 5, 1))
    assert len({image.tobytes() for image in x}) == 5


def test_noise_uses_every_grey_level_alike():
    counts = np.bincount(ood_images.noise((1, 32, 32), 250, 0).ravel(), minlength=256)
    assert np.abs(counts / 1000 - 1).max() < 0.2  # 6 standard deviations


def test_shuffling_moves_pixels_and_changes_none():
    x = np.arange(4 * 3 * 5 * 5, dtype=np.uint16).astype(np.uint8).reshape(4, 3, 5, 5)
    y = ood_images.shuffled(x, 0)
    assert not np.array_equal(x, y)
    for before, after in zip(x.reshape(4, 3, 25), y.reshape(4, 3, 25), strict=True):
        assert sorted(map(bytes, before.T.copy())) == sorted(map(bytes, after.T.copy()))


def test_every_image_is_shuffled_in_its_own_way():
    x = np.broadcast_to(np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8), (9, 1, 8, 8))
    y = ood_images.shuffled(x, 0)
    assert len({image.tobytes() for image in y}) == 9
    assert np.array_equal(y, ood_images.shuffled(x, 0))


def test_patches_have_structure_where_noise_has_none():
    def neighbours(x):
        x = x.astype(float)
        return np.corrcoef(x[..., :-1].ravel(), x[..., 1:].ravel())[0, 1]

    assert neighbours(ood_images.patches((1, 8, 8), 500, 0)) > 0.8
    assert abs(neighbours(ood_images.noise((1, 8, 8), 500, 0))) < 0.05


@pytest.mark.parametrize("size", [(427, 640), (428, 64), (64, 641), (700, 700)])
def test_patches_of_any_size_show_a_scene(size):
    """Larger ones than the photographs, once, were a traceback after all trainings."""
    whole = ood_images.patches((3, 427, 640), 9, 0)
    found = ood_images.patches((3, *size), 9, 0)
    assert found.shape == (9, 3, *size)
    assert found.std() > whole.std() / 2 and len(np.unique(found)) > 200


def test_patches_are_grey_or_coloured():
    with pytest.raises(ValueError, match="1 or 3 channels, not 2"):
        ood_images.patches((2, 8, 8), 1, 0)
