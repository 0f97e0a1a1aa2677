"""Mean and covariance of features as a file: `mu` and `sigma` in an .npz, as pytorch-fid has them.

Files of this form are what is published of CIFAR-10, CelebA and others; pytorch-fid's command line
takes ours in the place of a folder of images.
"""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
from numpy.typing import ArrayLike

from ebmrepro.metrics.features import Gaussian, fit_gaussian
from ebmrepro.system import atomic, reading
from ebmrepro.system.errors import UserError

LARGEST = 64 * 2**20  # bytes of an array that is read; 2,048 x 2,048 in float64 are half of that


def save(path: Path, features: ArrayLike) -> None:
    """Write mu and sigma of features (N, K), their `count` N, and the `features` themselves."""
    fitted = fit_gaussian(features)
    with atomic.atomic_write(path) as partial:
        np.savez(
            partial,
            allow_pickle=False,
            mu=fitted.mean,
            sigma=fitted.covariance,
            count=np.array(fitted.count),
            features=np.asarray(features, dtype=np.float32),
        )


def load(path: Path, dimensions: int) -> Gaussian:
    """The Gaussian of a file of ours or of others, who do not say how many features it is of.

    Raises:
        UserError: it holds no mu and sigma of so many dimensions.
    """
    with reading.opened(path, "not a file of mu and sigma") as file:
        with ZipFile(file) as archive:
            for name in ("mu.npy", "sigma.npy"):  # a few compressed bytes can fill the memory
                if (size := archive.getinfo(name).file_size) > LARGEST:
                    raise ValueError(f"{name} has {size:,} bytes, at most {LARGEST:,} are read")
        file.seek(0)
        with np.load(file, allow_pickle=False) as stored:
            count = int(stored["count"]) if "count" in stored else None
            found = Gaussian(stored["mu"], stored["sigma"], count)
    if len(found.mean) != dimensions:
        raise UserError(f"{path}: mu has {len(found.mean):,} numbers, expected {dimensions:,}")
    return found
