"""Density and coverage: prdc's where no distance is tied, and right where images are the same."""

import numpy as np
import pytest

from ebmrepro.metrics import meeting
from ebmrepro.metrics.balls import balls
from ebmrepro.metrics.density_coverage import density_coverage
from ebmrepro.metrics.distances import Points
from ebmrepro.metrics.features import Features


def prdc(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float]:
    """Density and coverage as the authors' package computes them: distances, not their squares."""
    among = np.sort(np.linalg.norm(real[:, None] - real[None], axis=2), axis=1)[:, k]
    between = np.linalg.norm(real[:, None] - fake[None], axis=2)
    density = (between < among[:, None]).sum(axis=0).mean() / k
    return float(density), float((between.min(axis=1) < among).mean())


def sample(seed: int, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 4)), rng.normal(0.3, 1.2, size=(m, 4))


@pytest.mark.parametrize(("n", "m", "k"), [(30, 40, 3), (50, 20, 5), (1500, 1100, 3), (2, 9, 1)])
def test_they_are_those_of_prdc_where_no_distance_is_tied(n, m, k):
    real, fake = sample(1, n, m)
    assert density_coverage(real, fake, k) == pytest.approx(prdc(real, fake, k))


def test_they_are_those_of_prdc_for_copies_of_images_that_are_all_different():
    real, fake = sample(2, 40, 10)
    copies = np.concatenate([real[:15], fake])
    assert density_coverage(real, copies, 3) == pytest.approx(prdc(real, copies, 3))


def by_hand() -> np.ndarray:
    """On a line, 0 1 2 4, k = 2: distances to the second neighbour 2, 1, 2, 3; 1 has 0 and 2 at
    its edge."""
    return np.array([[0.0], [1.0], [2.0], [4.0]])


def test_a_ball_counts_k_images_where_some_are_tied_at_its_edge():
    # Of 1's ball, radius 1: itself inside; 0 and 2 at the edge share the one that is left of k = 2.
    # 1.5 is inside the balls of 0, 1, 2 and 4 (radius 3), so its density is 4 / 2.
    assert density_coverage(by_hand(), [[1.5]], 2).density == pytest.approx(2)
    # 0 is in its own ball and, a half, in 1's; at the edge of 2's, whose ball counts 2 by itself
    # and 1, with 0 and 4 at the edge: nothing is left.
    assert density_coverage(by_hand(), [[0.0]], 2).density == pytest.approx(1.5 / 2)


@pytest.mark.parametrize(
    "real",
    [
        by_hand(),
        np.ones((64, 8)),  # clovaai/generative-evaluation-prdc#7
        np.repeat(sample(3, 12, 1)[0], 5, axis=0),  # each image k + 2 times
        np.random.default_rng(4).integers(0, 3, (60, 3)),  # a lattice: nearly every distance tied
        sample(5, 60, 1)[0],
    ],
)
def test_real_images_have_density_1_and_coverage_1_of_themselves(real):
    assert density_coverage(real, real, 3) == pytest.approx((1, 1))


def test_a_copy_of_repeated_images_covers_them_where_prdc_says_0():
    real = np.repeat([[0.0, 1.0], [5.0, 5.0]], 4, axis=0)
    assert density_coverage(real, real[:4], 3) == (1, 0.5)
    assert prdc(real, real[:4], 3) == (0.0, 0.0)


def test_far_images_have_neither():
    real, fake = sample(6, 30, 30)
    assert density_coverage(real, fake + 100, 3) == (0, 0)


def test_what_does_not_fit_is_refused():
    real, fake = sample(7, 5, 5)
    with pytest.raises(ValueError, match="k: 5, allowed: 1 to 4"):
        density_coverage(real, fake, 5)
    with pytest.raises(ValueError, match="4 and of 3 dimensions"):
        density_coverage(real, fake[:, :3], 2)


def test_balls_that_are_known_count_for_their_k_alone():
    x, y = (part.astype(np.float32) for part in sample(8, 40, 30))
    none = np.empty((0, 0), np.float32)
    known = Features("dbn", x, none, around=balls(Points.of(x), 3))
    for k in (3, 5):
        fake = Features("dbn", y, none)
        found = meeting.between(known, fake, k)
        assert found == meeting.of_arrays(x, y, k)
        assert meeting.between(known, fake, k) is found  # one pass for precision and for coverage
