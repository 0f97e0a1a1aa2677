"""A folder of one's own: what is an image in it, what is broken, and what is left out."""

from __future__ import annotations

import os

import numpy as np
import pytest
from made_up_images import asked, block, mirror, photographs, picture, refused

from ebmrepro import data
from ebmrepro.config.documents import ParamsError

__all__ = ["mirror"]  # fixtures, used by name


def test_a_folder_of_images_has_a_class_per_folder(mirror, tmp_path):
    photographs(mirror / "mine")
    (mirror / "mine/cats/notes.txt").write_text("no image")
    (mirror / "mine/.cache").mkdir()
    (mirror / "mine/.cache/9.jpg").write_bytes(picture(9))
    made = data.prepare("mine", block("folder", 4, 2, folder="mine"), tmp_path / "mine")
    assert made["classes"] == ["cats", "dogs"] and made["shape"] == [3, 8, 8]
    per_class = {split: about["per_class"] for split, about in made["splits"].items()}
    assert per_class == {"train": [3, 3], "validation": [1, 1], "test": [2, 2]}
    assert "broken" in made and made["broken"] == {}
    images, _ = data.read(tmp_path / "mine", "train")
    assert not images.flags.writeable and len({x.tobytes() for x in images}) == 6


def test_the_first_images_of_every_split_are_of_all_classes(mirror, tmp_path):
    """Energies are measured of the first ones, which were of one class."""
    photographs(mirror / "mine", classes="abcd", each=50)
    for name, seed in (("mine", 0), ("again", 0), ("other", 1)):
        asks = block("folder", 60, 60, folder="mine").model_copy(update={"split_seed": seed})
        data.prepare(name, asks, tmp_path / name)
    for split in ("train", "validation", "test"):
        labels = data.read(tmp_path / "mine", split)[1]
        assert np.bincount(labels[:30], minlength=4).min() >= 2, split
    one, again, other = (data.read(tmp_path / n, "train")[0] for n in ("mine", "again", "other"))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_images_without_folders_are_one_class(mirror, tmp_path):
    photographs(mirror / "mine")
    (mirror / "mine/top.PNG").write_bytes(picture(3, form="PNG"))
    made = data.prepare("mine", block("folder", 3, folder="mine"), tmp_path / "mine")
    assert made["classes"] == ["image"] and made["splits"]["train"]["per_class"] == [10]


def test_broken_images_are_named_counted_and_left_out(mirror, tmp_path):
    photographs(mirror / "mine")
    (mirror / "mine/cats/3.jpg").write_bytes(picture(3)[:300])
    (mirror / "mine/dogs/0.jpg").write_bytes(b"")
    asks = block("folder", 4, folder="mine", image=asked(broken=0.2))
    made = data.prepare("mine", asks, tmp_path / "mine")
    assert set(made["broken"]) == {"cats/3.jpg", "dogs/0.jpg"}
    assert "runcated" in made["broken"]["cats/3.jpg"]
    assert {k: v["count"] for k, v in made["splits"].items()} == {"train": 6, "test": 4}
    (remark,) = data.remarks(made)
    assert remark.startswith("broken and left out (dataset.json names all), 2: 'cats/3.jpg' ")
    images, _ = data.read(tmp_path / "mine", "train")
    assert images.reshape(6, -1).max(axis=1).min() > 0  # none of the black ones is among them


def test_more_broken_images_than_the_stated_share_are_refused_by_name(mirror, tmp_path):
    photographs(mirror / "mine")
    (mirror / "mine/cats/3.jpg").write_bytes(picture(3)[:300])
    asks = block("folder", 4, folder="mine", image=asked(broken=0.08))  # 0.96 of 12
    found = refused("1 of 12 images are broken", "mine", asks, tmp_path / "mine")
    assert "share of 0.08 (data.image.broken): 'cats/3.jpg' Truncated File Read" in found


def test_every_file_that_is_left_out_is_named_and_counted_whatever_it_is(mirror, tmp_path):
    """TIFFs, once, were passed over without a word, and a pipe was waited for."""
    photographs(mirror / "mine")
    for name in ("readme.txt", "dogs/film.mov", ".DS_Store"):
        (mirror / "mine" / name).write_bytes(b"x")
    os.mkfifo(mirror / "mine/dogs/pipe.png")
    (mirror / "mine/dogs/gone.png").symlink_to("nowhere")
    (mirror / "mine/dogs/loop").symlink_to(mirror / "mine")
    dataset = data.prepare("mine", block("folder", 4, folder="mine", image=asked()), tmp_path / "x")
    assert dataset["left_out"] == {
        ".DS_Store": "begins with a dot",
        "dogs/film.mov": "has no image's ending",
        "dogs/gone.png": "is a link to nothing",
        "dogs/loop": "is a link to a folder",
        "dogs/pipe.png": "is a pipe",
        "readme.txt": "has no image's ending",
    }
    (line,) = data.remarks(dataset)
    assert line.startswith("no images, left out (dataset.json names all), 6: '.DS_Store' begins")


def test_tiffs_are_read(mirror, tmp_path):
    photographs(mirror / "mine")
    for k in range(2):
        (mirror / f"mine/dogs/{k}.tif").write_bytes(picture(k, form="TIFF"))
    dataset = data.prepare("mine", block("folder", 4, folder="mine", image=asked()), tmp_path / "x")
    assert sum(split["count"] for split in dataset["splits"].values()) == 14
    assert not dataset["broken"] and "left_out" not in dataset


def test_a_folder_with_nothing_to_read_says_so(mirror, tmp_path):
    asks = block("folder", 4, folder="mine")
    refused(r"missing mine: put them in .*mirror/\./; images", "mine", asks, tmp_path / "mine")
    (mirror / "mine").mkdir()
    refused("mine: found no images in it", "mine", asks, tmp_path / "mine")
    (mirror / "mine" / "a\nb.jpg").write_bytes(picture(1))
    refused("signs that cannot be printed", "mine", asks, tmp_path / "mine")


def test_more_test_images_than_there_are_images_name_the_key(mirror, tmp_path):
    photographs(mirror / "mine")
    with pytest.raises(ParamsError, match=r"s\.data\.test: found 12; .* at most 11"):
        data.prepare("s", block("folder", 12, folder="mine"), tmp_path / "s")
