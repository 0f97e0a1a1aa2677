"""The Fréchet distance between Gaussians fitted to features.

Heusel et al., *GANs Trained by a Two Time-Scale Update Rule* (2017), arXiv:1706.08500. The distance
is called FID only in the features of `inception.py`; elsewhere it carries the extractor's name.
"""

import numpy as np
from scipy.linalg import get_lapack_funcs

from ebmrepro.config.evaluation import Evaluate
from ebmrepro.metrics.catalogue import DBN, Measure
from ebmrepro.metrics.checks import Array
from ebmrepro.metrics.features import Features, Gaussian
from ebmrepro.metrics.measurement import Measurement

MEASURES = {
    "fid": Measure(
        "Fréchet Inception distance (FID)",
        "Squared Fréchet distance between Gaussians fitted to the 2,048 Inception features "
        "(network of 2015-12-05, pytorch-fid's weights) of generated and of real images; null "
        "where the weights are not at hand.",
        unit="squared distance",
        better="lower",
        digits=2,
        inception=True,
    ),
    "fid_published": Measure(
        "FID against published statistics",
        "As FID, with the mean and covariance of real images from a file that others published; "
        "its name and hash are in the protocol.",
        unit="squared distance",
        better="lower",
        digits=2,
        inception=True,
    ),
    "fd_dbn": Measure(
        "Fréchet distance, DBN features",
        f"Squared Fréchet distance between Gaussians fitted to {DBN}, generated against test "
        "images; not comparable with FID.",
        unit="squared distance",
        better="lower",
    ),
    "fd_dbn_second": Measure(
        "Fréchet distance, features of a second DBN",
        "The Fréchet distance in the features of the suite's DBN classifier of another seed: how "
        "far systems keep their order says how little of it is the extractor's.",
        unit="squared distance",
        better="lower",
    ),
    "fd_dbn_untrained": Measure(
        "Fréchet distance of the untrained generator, DBN features",
        "As the Fréchet distance in DBN features, with images of the same generator before its "
        "first step: what no training at all scores.",
        unit="squared distance",
    ),
}


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Squared Fréchet (2-Wasserstein) distance of two Gaussians, in squared units of the features.

    |mu_a - mu_b|^2 + tr S_a + tr S_b - 2 tr (S_a S_b)^(1/2), at least 0; 0 iff they are equal.
    Dowson and Landau (1982). ValueError if the dimensions differ.

    S_a S_b is not symmetric, but with S_a = L L' its eigenvalues are those of L' S_b L, which is
    symmetric and positive semi-definite. So a factor and one symmetric eigenvalue solve replace
    the square root of a general matrix, with nothing imaginary to drop and nothing to add to the
    diagonal.
    """
    if len(a.mean) != len(b.mean):
        raise ValueError(
            f"Gaussians of {len(a.mean)} and of {len(b.mean)} dimensions do not compare"
        )
    eigenvalues = _eigenvalues_of_product(a.covariance, b.covariance)
    trace_root = np.sqrt(eigenvalues.clip(min=0)).sum()  # tr (S_a S_b)^(1/2)
    difference = a.mean - b.mean
    distance = (
        difference @ difference + np.trace(a.covariance) + np.trace(b.covariance) - 2 * trace_root
    )
    return max(float(distance), 0.0)  # below 0 only by rounding


def _eigenvalues_of_product(a: Array, b: Array) -> Array:
    """Of two covariances (K, K): those that are not 0 for certain, in no order that means much.

    Where `a` has full rank, L is triangular, and LAPACK has a routine for L' b L that needs half
    the arithmetic of products. Where it has not, or may have lost it to rounding, a Cholesky factor
    with pivoting has as many columns as `a` has rank.
    """
    potrf, pstrf, sygst = get_lapack_funcs(("potrf", "pstrf", "sygst"), dtype=np.float64)
    L, failed = potrf(a.T, lower=True)  # .T, here and below: the order in memory that LAPACK wants
    lost = len(a) * np.finfo(np.float64).eps * a.diagonal().max(initial=0)  # pstrf's own tolerance
    if not failed and np.square(L.diagonal()).min(initial=np.inf) > lost:
        product, _ = sygst(b.T, L, itype=2, lower=True)  # its lower triangle
        return np.asarray(np.linalg.eigvalsh(product), dtype=np.float64)
    factor, pivots, rank, _ = pstrf(a.T, lower=True)
    order = pivots - 1  # a[order][:, order] = L L'
    L = np.tril(factor)[:, :rank]
    product = L.T @ b[np.ix_(order, order)] @ L
    return np.asarray(np.linalg.eigvalsh(product), dtype=np.float64) if rank else np.zeros(0)


def frechet_flag(n_a: int, n_b: int, dim: int) -> str | None:
    """A warning if a covariance of `dim` features comes from too few samples, else None.

    From n samples it has rank n - 1 at most: with n <= dim it is singular, and the distance says
    more about n than about the images. (It is biased upwards at any n: Binkowski et al. 2018.)
    """
    n = min(n_a, n_b)
    if n > dim:
        return None
    return f"{n:,} images for {dim:,} features: the covariance is singular, the distance biased up"


def of_features(real: Features, fake: Features, settings: Evaluate) -> Measurement:
    name = real.named(dbn="fd_dbn", inception="fid")
    n, width = fake.features.shape
    found = Measurement(
        {name: frechet_distance(fake.gaussian, real.gaussian)},
        flags={name: frechet_flag(n, real.gaussian.count or n, width)},
    )
    if real.extractor == "dbn":
        found |= _in_a_second(real.second, fake.second)
    if real.published:
        found.values["fid_published"] = frechet_distance(fake.gaussian, real.published)
        found.flags["fid_published"] = frechet_flag(n, n, width)
    return found


def _in_a_second(real: Gaussian | None, fake: Gaussian | None) -> Measurement:
    if real is None or fake is None:
        reason = "there is no DBN of a second seed"
        return Measurement({"fd_dbn_second": None}, {"fd_dbn_second": reason})
    n, width = fake.count or 0, len(fake.mean)
    flag = frechet_flag(n, real.count or n, width)
    distance = frechet_distance(fake, real)
    return Measurement({"fd_dbn_second": distance}, flags={"fd_dbn_second": flag})
