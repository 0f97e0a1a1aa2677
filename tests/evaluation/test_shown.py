"""Pictures that results keep: a report of carried trainings shows what their models drew."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ebmrepro.evaluation import shown
from ebmrepro.networks import images
from ebmrepro.system.errors import UserError


def test_the_first_images_of_every_grid_are_kept_with_its_step(tmp_path: Path):
    (tmp_path / "samples").mkdir()
    rng, drawn = np.random.default_rng(0), {}
    for step in (900, 12, 10_000_000):  # the last has more digits than its place
        drawn[step] = rng.integers(0, 256, (30, 3, 5, 4), dtype=np.uint8)
        grid = images.grid(drawn[step], 10)
        images.save_png(tmp_path / "samples" / f"step_{step:07d}.png", grid)
    shown.progress(tmp_path, tmp_path, (3, 5, 4))
    kept = np.load(tmp_path / "progress.npz", allow_pickle=False)
    assert kept["steps"].tolist() == [12, 900, 10_000_000]
    for step, first in zip(kept["steps"], kept["images"], strict=True):
        assert np.array_equal(first, drawn[step][:10])


def test_a_training_that_drew_nothing_has_no_pictures(tmp_path: Path):
    shown.progress(tmp_path, tmp_path, (1, 8, 8))
    assert not (tmp_path / "progress.npz").exists()


def test_a_grid_of_other_images_is_named(tmp_path: Path):
    path = tmp_path / "samples/step_0000007.png"
    path.parent.mkdir()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(path)
    with pytest.raises(UserError, match=r"step_0000007\.png: not a grid of its images"):
        shown.progress(tmp_path, tmp_path, (1, 8, 8))
