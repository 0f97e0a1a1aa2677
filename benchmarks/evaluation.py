"""Question `evaluation`: the Fréchet distance and Inception features, beside pytorch-fid's.

pytorch-fid 0.3.0 hands `scipy.linalg.sqrtm` an argument that SciPy 1.18 no longer takes, so its
formula is written out here with the call that works on both. Images lie in memory on both sides, so
that nobody decodes files; the network's weights are random, since only their number matters here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import limits
from benchmarks.page import Bar, Sides, number, paragraphs, seconds, sides, spread, table
from benchmarks.timing import Comparison, interleaved
from ebmrepro.metrics import inception
from ebmrepro.metrics.checks import Array
from ebmrepro.metrics.features import Gaussian
from ebmrepro.metrics.fid import frechet_distance

OURS, THEIRS = "ours", "pytorch-fid"
DIMENSIONS = 2048
AIM_DISTANCE, AIM_FEATURES = 15.0, 2.0
BATCH = 50  # pytorch-fid's own


def gaussians(dimensions: int, seed: int = 0) -> tuple[Gaussian, Gaussian, float]:
    """Two Gaussians and their distance, which is known since the covariances share eigenvectors:
    |mu_a - mu_b|^2 + sum_i (sqrt(a_i) - sqrt(b_i))^2.

    The eigenvalues fall by four orders of magnitude, as those of Inception features do.
    """
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))
    fall = np.logspace(0, -4, dimensions)
    a, b = fall * rng.uniform(0.5, 1.5, dimensions), fall * rng.uniform(0.5, 1.5, dimensions)
    means = 0.1 * rng.normal(size=(2, dimensions))

    def made(mean: Array, eigenvalues: Array) -> Gaussian:
        covariance = (axes * eigenvalues) @ axes.T
        return Gaussian(mean, (covariance + covariance.T) / 2, None)

    difference = means[0] - means[1]
    exact = difference @ difference + np.square(np.sqrt(a) - np.sqrt(b)).sum()
    return made(means[0], a), made(means[1], b), float(exact)


def by_square_root(a: Gaussian, b: Gaussian) -> float:
    """pytorch-fid's formula: the square root of the product of covariances, as a general matrix."""
    from scipy.linalg import sqrtm

    root = np.asarray(sqrtm(a.covariance.dot(b.covariance)))
    difference = a.mean - b.mean
    traces = np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.trace(np.real(root))
    return float(difference @ difference + traces)


@contextmanager
def random_weights() -> Iterator[Path]:
    """A file of weights of FID's architecture, in which features keep a size."""
    from pytorch_fid import inception as peer

    network: Any = None
    keep = torch.nn.Module.load_state_dict
    download = peer.load_state_dict_from_url
    try:  # its constructor fetches weights from the network and loads them
        peer.load_state_dict_from_url = lambda *_, **__: {}
        torch.nn.Module.load_state_dict = lambda *_, **__: None  # pyright: ignore[reportAttributeAccessIssue]
        network = peer.fid_inception_v3()
    finally:
        peer.load_state_dict_from_url, torch.nn.Module.load_state_dict = download, keep
    torch.manual_seed(0)
    for name, parameter in network.named_parameters():
        if parameter.ndim == 4:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        elif name.endswith("bias"):
            torch.nn.init.uniform_(parameter, -0.1, 0.1)
    with tempfile.TemporaryDirectory(prefix="ebmrepro-bench-") as folder:
        path = Path(folder) / "random.pth"
        torch.save(network.state_dict(), path)
        yield path


def pytorch_fids(weights: Path) -> Any:
    """Its network with these weights, asked as it asks: batches of floats, one after another."""
    from pytorch_fid.inception import InceptionV3

    state = torch.load(weights, weights_only=True)
    with inception._in_place_of_a_download(state):
        network = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[DIMENSIONS]]).eval()

    def features(images: np.ndarray) -> np.ndarray:
        parts = []
        with torch.no_grad():
            for start in range(0, len(images), BATCH):
                x = torch.from_numpy(images[start : start + BATCH]).float() / 255
                parts.append(network(x)[0].squeeze(3).squeeze(2).numpy())
        return np.concatenate(parts)

    return features


def our_features(images: np.ndarray, weights: Path) -> np.ndarray:
    return inception.inception_features(
        images, weights, inception.BATCH["cpu"], "cpu", sha256_prefix=""
    ).features


def measure(quick: bool) -> dict[str, Any]:
    limits.with_threads(None)
    return {"distance": _distance(quick), "features": _features(quick)}


def _distance(quick: bool) -> dict[str, Any]:
    dimensions = 32 if quick else DIMENSIONS
    a, b, exact = gaussians(dimensions)
    values = {OURS: 0.0, THEIRS: 0.0}

    def ours() -> None:
        values[OURS] = frechet_distance(a, b)

    def theirs() -> None:
        values[THEIRS] = by_square_root(a, b)

    run = {OURS: ours, THEIRS: theirs}
    if not quick:
        ours()  # the square root takes long enough to need no warm-up
    timed = interleaved(run, 1 if quick else 3, warm_up=False)
    comparison = Comparison(f"Fréchet distance, {dimensions:,} features", "distances", 1, timed)
    return {"comparison": comparison.tree(), "values": values, "exact": exact}


def _features(quick: bool) -> dict[str, Any]:
    count = 2 if quick else BATCH
    shape = (count, 3, 32, 32)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with random_weights() as weights:
        theirs = pytorch_fids(weights)
        a, b = our_features(images, weights), theirs(images)
        difference = float(np.abs(a - b).max() / np.abs(b).max())
        run = {OURS: lambda: our_features(images, weights), THEIRS: lambda: theirs(images)}
        timed = interleaved(run, 1 if quick else 5, warm_up=False)
    comparison = Comparison("Inception features of 32x32 images", "images", count, timed)
    return {"comparison": comparison.tree(), "difference": difference}


def page(numbers: dict[str, Any]) -> str:
    distance, features = numbers["distance"], numbers["features"]
    one = Comparison.read(distance["comparison"])
    two = Comparison.read(features["comparison"])
    rows = [
        [side, seconds(one.seconds(side)), f"{value:.9g}", f"{_off(value, distance['exact']):.1e}"]
        for side, value in distance["values"].items()
    ]
    ratios = one.times_as_fast(OURS, THEIRS), two.times_as_fast(OURS, THEIRS)
    met = [
        "met" if ratio.median >= aim else "not met"
        for ratio, aim in zip(ratios, (AIM_DISTANCE, AIM_FEATURES), strict=True)
    ]
    star = "; other processes used the machine meanwhile" if one.disturbed else ""
    return paragraphs(
        f"**{one.what}.** Ours takes a Cholesky factor and a symmetric eigenvalue solve; "
        "pytorch-fid's formula takes the square root of the product of covariances "
        f"(`scipy.linalg.sqrtm`). The exact value is {distance['exact']:.9g}{star}.",
        table(["side", "time", "distance", "relative error"], rows),
        f"- Ours is {spread(ratios[0])} times as fast; the aim of {AIM_DISTANCE:g} is {met[0]}.",
        f"**{two.what}.** pytorch-fid's network as it comes, in batches of {BATCH}, beside ours: "
        "the same network with batch normalisation folded into the convolutions and channels last "
        "in memory. The weights are random.",
        sides([Sides(two, THEIRS)]),
        f"- Ours is {spread(ratios[1])} times as fast; the aim of {AIM_FEATURES:g} is {met[1]}. "
        f"The largest difference of a feature is {features['difference']:.1e} of the largest "
        "feature.",
        "Statistics of the reference images are computed by one stage a suite, `reference`, and "
        "read by every evaluation.",
        f"At {number(two.rate(OURS).median)} images a second, 10,000 images take "
        f"{number(10_000 / two.rate(OURS).median / 60)} minutes here.",
    )


def _off(value: float, exact: float) -> float:
    return abs(value - exact) / exact


def bars(numbers: dict[str, Any]) -> list[Bar]:
    one = Comparison.read(numbers["distance"]["comparison"])
    two = Comparison.read(numbers["features"]["comparison"])
    return [
        Bar(one.what, "pytorch-fid's formula", one.times_as_fast(OURS, THEIRS), AIM_DISTANCE),
        Bar(two.what, "pytorch-fid", two.times_as_fast(OURS, THEIRS), AIM_FEATURES),
    ]
