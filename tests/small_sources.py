"""The digits, and an MNIST that is made up and small, in a mirror."""

import gzip
import hashlib
import struct

import numpy as np
import pytest

from ebmrepro.config.data import Data
from ebmrepro.data import files, idx
from ebmrepro.data.sources import mnist

DIGITS = Data(source="digits", test=360, validation=180, split_seed=0)


def idx_file(array, magic=None, dims=None):
    """A gzipped idx file of `array`, whose header may lie."""
    head = bytes((0, 0, 8, array.ndim)) if magic is None else magic
    shape = array.shape if dims is None else dims
    raw = head + struct.pack(f">{len(shape)}I", *shape) + array.astype(np.uint8).tobytes()
    return gzip.compress(raw, mtime=0)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def small_mnist(monkeypatch, tmp_path):
    """A made-up MNIST of 40 and 20 images in a mirror; returns the mirror."""
    random = np.random.RandomState(0)
    contents = {
        idx.TRAIN_IMAGES: idx_file(random.randint(0, 256, (40, 28, 28))),
        idx.TRAIN_LABELS: idx_file(np.arange(40) % 10),
        idx.TEST_IMAGES: idx_file(random.randint(0, 256, (20, 28, 28))),
        idx.TEST_LABELS: idx_file(np.arange(20) % 10),
    }
    monkeypatch.setattr(mnist, "CHECKSUMS", {name: sha256(c) for name, c in contents.items()})
    mirror = tmp_path / "mirror"
    (mirror / "MNIST/raw").mkdir(parents=True)
    for name, content in contents.items():
        (mirror / "MNIST/raw" / name).write_bytes(content)
    monkeypatch.setenv(files.MIRROR, str(mirror))
    return mirror


SMALL = Data(source="mnist", test=20, validation=0, split_seed=0)
