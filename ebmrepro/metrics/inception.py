"""Features for FID: the Inception network of 2015-12-05, by pytorch-fid's class and weights.

The weights are TensorFlow's of that date, ported by M. Seitzer (github.com/mseitzer/pytorch-fid);
FID in any other network or weights is another number (Heusel et al. 2017, arXiv:1706.08500). They
are found on this machine or not at all: nothing here calls a network.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ebmrepro.metrics import checks
from ebmrepro.params import UserError

if TYPE_CHECKING:
    from pytorch_fid.inception import InceptionV3

VARIABLE = "EBMREPRO_INCEPTION_WEIGHTS"
FILE_NAME = "pt_inception-2015-12-05-6726825d.pth"
SHA256_PREFIX = "6726825d"  # torch's convention: the file's name ends in the start of its SHA-256
DIMENSIONS = 2048


def find_weights(sha256_prefix: str = SHA256_PREFIX) -> tuple[Path, None] | tuple[None, str]:
    """The file of the weights and None, or None and why there is none.

    Looks at the file that EBMREPRO_INCEPTION_WEIGHTS names; unless it is set, at torch's hub cache,
    where pytorch-fid leaves them. The reason names no path, since it is printed in results. A file
    that someone named and that is not there, or is another, is an error (UserError); in the cache,
    it is a reason.
    """
    if named := os.environ.get(VARIABLE):
        path = Path(named).expanduser()
        if not path.is_file():
            raise UserError(f"{VARIABLE}: no file {path}")
        _verify(path, sha256_prefix)
        return path, None
    path = _hub_cache() / "checkpoints" / FILE_NAME
    if not path.is_file():
        return None, (
            f"the Inception weights are not on this machine: set {VARIABLE} to {FILE_NAME}, "
            "or put that file into checkpoints/ of torch's hub cache"
        )
    try:
        _verify(path, sha256_prefix)
    except ValueError as error:
        return None, str(error)
    return path, None


def inception_features(
    images: NDArray[np.uint8],
    weights: Path,
    batch_size: int,
    device: str,
    sha256_prefix: str = SHA256_PREFIX,
) -> NDArray[np.float32]:
    """Final average pooling of Inception, (N, 2048), of images (N, C, H, W) in 0..255.

    As pytorch-fid: pixels / 255, resized to 299 x 299 inside the network (bilinear, corners not
    aligned, no anti-aliasing), then [-1, 1]. Grey images (C = 1) are replicated to three channels.
    The batch size moves nothing beyond rounding; on a GPU, convolutions round as torch is set to
    (TF32 unless turned off), in pytorch-fid too. ValueError if the images are not uint8 with C in
    {1, 3}, if there are none, or if the weights have another hash.
    """
    import torch

    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"images: {images.dtype} {images.shape}, expected uint8 (N, 1 or 3, H, W)")
    if not len(images):
        raise ValueError("images: none")
    checks.whole("batch_size", batch_size, 1, 2**31)
    network = _network(weights, device, sha256_prefix)
    features = np.empty((len(images), DIMENSIONS), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            x = torch.tensor(images[start : start + batch_size], device=device)
            x = x.expand(-1, 3, -1, -1).float().div(255)
            (pooled,) = network(x)  # (n, 2048, 1, 1)
            features[start : start + len(x)] = pooled.flatten(1).cpu().numpy()
    return features


@lru_cache(maxsize=1)
def _network(weights: Path, device: str, sha256_prefix: str) -> "InceptionV3":
    import torch
    from pytorch_fid.inception import InceptionV3

    _verify(weights, sha256_prefix)
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{weights}: holds more or less than tensors: {reason}") from None
    with _in_place_of_a_download(state):
        return InceptionV3().eval().to(device)


@contextmanager
def _in_place_of_a_download(state: dict[str, Any]) -> Iterator[None]:
    """For the time of this context, pytorch-fid's network gets `state` where it would download.

    `InceptionV3()` always fetches weights, from an address in its source, through this one name of
    its module; it has no argument for a file.
    """
    from pytorch_fid import inception

    download = inception.load_state_dict_from_url
    inception.load_state_dict_from_url = lambda *_, **__: state
    try:
        yield
    finally:
        inception.load_state_dict_from_url = download


def _hub_cache() -> Path:
    """`torch.hub.get_dir()`, by its documented rule, without the seconds of importing torch."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    return Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser() / "hub"


def _verify(path: Path, sha256_prefix: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(sha256_prefix):
        raise UserError(
            f"{path.name}: not the Inception weights of 2015-12-05, SHA-256 {found}, "
            f"expected one that starts with {sha256_prefix}"
        )
