"""Features for FID: the Inception network of 2015-12-05, by pytorch-fid's class and weights.

The weights are TensorFlow's of that date, ported by M. Seitzer (github.com/mseitzer/pytorch-fid);
FID in any other network or weights is another number (Heusel et al. 2017, arXiv:1706.08500). They
are found on this machine or not at all: nothing here calls a network.

The same pass gives p(y|x) for the Inception score. pytorch-fid's class ends at the pooling, but its
file has the last layer: 1,008 outputs, of ImageNet's 1,000 classes and eight without a meaning. The
score's first code (openai/improved-gan, inception_score/model.py) multiplies the pooled features by
that layer's weights, leaves its biases out, and takes the softmax over all outputs; so do we.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ebmrepro.metrics import checks
from ebmrepro.metrics.features import Features
from ebmrepro.system.errors import UserError
from ebmrepro.system.reading import opened

VARIABLE = "EBMREPRO_INCEPTION_WEIGHTS"
FILE_NAME = "pt_inception-2015-12-05-6726825d.pth"
NOT_HERE = (
    f"the Inception weights are not on this machine: set {VARIABLE} to {FILE_NAME}, or put that "
    "file into checkpoints/ of torch's hub cache"
)
SHA256_PREFIX = "6726825d"  # torch's convention: the file's name ends in the start of its SHA-256
DIMENSIONS = 2048
CLASSES = 1008
# Images at once, by kind of device; on a CPU fewer in the first two blocks, whose layers are large.
# Both are what was fastest of a few: see docs/decisions/structure.md.
BATCH = {"cpu": 16, "cuda": 256}
STEM_BLOCKS = 2  # of pytorch-fid's four
STEM = {"cpu": 4, "cuda": 256}

Follow = Callable[[Iterable[int], int], Iterable[int]]


def find_weights(sha256_prefix: str = SHA256_PREFIX) -> tuple[Path, None] | tuple[None, str]:
    """The file of the weights and None, or None and why there is none.

    Looks at the file that EBMREPRO_INCEPTION_WEIGHTS names; unless it is set, at torch's hub cache,
    where pytorch-fid leaves them. The reason names no path, since it is printed in results. A file
    that someone named and that is not there, or is another, is an error (UserError); in the cache,
    it is a reason.
    """
    named = os.environ.get(VARIABLE)
    path = Path(named or Path(torch.hub.get_dir(), "checkpoints", FILE_NAME)).expanduser()
    missing = f"{VARIABLE}: no file {path}" if named else NOT_HERE
    try:
        if not path.is_file():
            raise UserError(missing)
        _verify(path, sha256_prefix)
    except UserError as error:
        if named:
            raise
        return None, str(error)
    return path, None


def inception_features(
    images: NDArray[np.uint8],
    weights: Path,
    batch_size: int,
    device: str,
    sha256_prefix: str = SHA256_PREFIX,
    follow: Follow = lambda batches, _: batches,
) -> Features:
    """Final average pooling (N, 2048) and p(y|x) (N, 1008) of images (N, C, H, W) in 0..255.

    As pytorch-fid: pixels / 255, resized to 299 x 299 inside the network (bilinear, corners not
    aligned, no anti-aliasing), then [-1, 1]. Grey images (C = 1) are replicated to three channels.
    `follow(batches, count)` passes the batches on and may show how far they are.

    Batch norm is folded into the convolutions and channels lie last in memory, which is faster and
    moves nothing beyond rounding; nor does the batch size. On a GPU, convolutions round as torch is
    set to (TF32 unless turned off), in pytorch-fid too. ValueError if the images are not uint8 with
    C in {1, 3}, if there are none, or if the weights have another hash.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"images: {images.dtype} {images.shape}, expected uint8 (N, 1 or 3, H, W)")
    if not len(images):
        raise ValueError("images: none")
    checks.whole("batch_size", batch_size, 1, 2**31)
    network = _network(weights, device, sha256_prefix)
    features = np.empty((len(images), DIMENSIONS), dtype=np.float32)
    probabilities = np.empty((len(images), CLASSES), dtype=np.float32)
    starts = range(0, len(images), batch_size)
    piece = STEM[torch.device(device).type]
    with torch.inference_mode():
        for start in follow(starts, len(starts)):
            x = torch.tensor(images[start : start + batch_size], device=device)
            x = x.expand(-1, 3, -1, -1).float().div(255)
            x = x.contiguous(memory_format=torch.channels_last)
            stem = torch.cat([network.stem(part)[0] for part in x.split(piece)])
            pooled = network.rest(stem).flatten(1)  # (n, 2048)
            rows = slice(start, start + len(x))
            features[rows] = pooled.cpu().numpy()
            probabilities[rows] = (pooled @ network.head.T).softmax(1).cpu().numpy()
    return Features("inception", features, probabilities)


@dataclass(frozen=True)
class _Network:
    stem: nn.Module  # images in [0, 1] -> [(n, 192, 35, 35)]
    rest: nn.Module  # -> pooled features (n, 2048, 1, 1)
    head: Tensor  # (1008, 2048)


@lru_cache(maxsize=1)
def _network(weights: Path, device: str, sha256_prefix: str) -> _Network:
    from pytorch_fid.inception import InceptionV3

    _verify(weights, sha256_prefix)
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{weights}: holds more or less than tensors: {reason}") from None
    with _in_place_of_a_download(state):
        stem, whole = InceptionV3([STEM_BLOCKS - 1]), InceptionV3()
    rest = nn.Sequential(*list(whole.blocks)[STEM_BLOCKS:])
    return _Network(
        _faster(stem).to(device), _faster(rest).to(device), state["fc.weight"].to(device)
    )


def _faster(network: nn.Module) -> nn.Module:
    """The same function up to rounding: batch norm folded into convolutions, channels last."""
    for module in network.eval().modules():
        parts = dict(module.named_children())
        conv, norm = parts.get("conv"), parts.get("bn")
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            module.conv, module.bn = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return network.to(memory_format=torch.channels_last)


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


def digest(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(path: Path, sha256_prefix: str) -> None:
    found = digest(path)
    if not found.startswith(sha256_prefix):
        raise UserError(
            f"{path.name}: not the Inception weights of 2015-12-05, SHA-256 {found}, "
            f"expected one that starts with {sha256_prefix}"
        )
