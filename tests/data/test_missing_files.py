"""What cannot be fetched: how to get it is said."""

from __future__ import annotations

import sys
import types

import pytest
from made_up_images import asked, block, mirror, refused

from ebmrepro import data
from ebmrepro.config import declarations
from ebmrepro.data import files

__all__ = ["mirror"]  # fixtures, used by name


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "celeba",
            ["img_align_celeba.zip", "DIR/celeba/", "Google Drive", "mmlab", "licence"],
        ),
        ("lsun", ["bedroom_train_lmdb.zip", "DIR/lsun/", "43 GB", "dl.yf.io", "licence: none"]),
        ("imagenet", ["train/<WordNet id>", "DIR/ImageNet/", "login", "licence: non-commercial"]),
        ("imagenet_dogs", ["train/<WordNet id>", "DIR/ImageNet/", "login", "licence"]),
        ("cifar10", ["cifar-10-python.tar.gz", "DIR/CIFAR10/", "no network in a test"]),
        ("olivetti", ["olivettifaces.mat", "DIR/olivetti/", "no network in a test"]),
    ],
)
def test_the_command_tells_how_to_get_the_files(source, words, tmp_path, monkeypatch):
    monkeypatch.delenv(files.MIRROR)
    if source == "lsun":
        monkeypatch.setitem(sys.modules, "lmdb", types.ModuleType("lmdb"))
    module = data.load_source(source)
    image = asked() if "image" in declarations.source_facts(source).takes else None
    found = refused("missing ", source, block(source, 1, image=image), tmp_path / source)
    assert all(word in found for word in [*words, f"set {files.MIRROR}=DIR"]), found
    assert module.LICENCE
