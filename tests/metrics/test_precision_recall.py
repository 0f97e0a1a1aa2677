"""Improved precision and recall: small manifolds on a line, brute force, collapse, refusals."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from ebmrepro.metrics import distances
from ebmrepro.metrics.precision_recall import precision_recall


def brute_force(x: np.ndarray, y: np.ndarray, k: int) -> tuple[float, float]:
    def share_on(manifold, points):
        radii = np.sort(cdist(manifold, manifold), axis=1)[:, k]  # column 0 is the point itself
        return float((cdist(points, manifold) <= radii).any(axis=1).mean())

    return share_on(x, y), share_on(y, x)


def test_on_a_line_it_matches_a_count_by_hand():
    # Real balls have radius 1 and hold 0.5 but not 10; fake balls have radius 9.5 and hold
    # all of the real.
    real = [[0.0], [1.0], [2.0], [3.0]]
    assert precision_recall(real, [[0.5], [10.0]], k=1) == (0.5, 1)
    # Two fakes at 0.4 and 0.6: both on the real manifold, and no real within 0.2 of them.
    assert precision_recall(real, [[0.4], [0.6]], k=1) == (1, 0)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_it_agrees_with_brute_force(k):
    rng = np.random.default_rng(k)
    x, y = rng.normal(size=(150, 8)) + 50, rng.normal(0.7, 0.8, size=(120, 8)) + 50
    assert precision_recall(x, y, k) == pytest.approx(brute_force(x, y, k))


def test_blocks_do_not_change_it(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), rng.normal(0.5, 1, size=(41, 3))
    expected = precision_recall(x, y, 3)
    monkeypatch.setattr(distances, "HELD", 130)
    assert precision_recall(x, y, 3) == expected


def test_copies_of_the_data_are_perfect():
    x = np.random.default_rng(1).normal(size=(50, 16)) * 100
    assert precision_recall(x, x, 3) == (1, 1)


def test_distant_clouds_share_nothing():
    x = np.random.default_rng(2).normal(size=(50, 4))
    assert precision_recall(x, x + 1000, 3) == (0, 0)


def test_a_generator_collapsed_to_one_good_image_is_precise_and_recalls_only_that():
    x = np.random.default_rng(3).normal(size=(40, 64))
    assert precision_recall(x, np.tile(x[:1], (30, 1)), 3) == (1, 1 / 40)


def test_swapping_the_sets_swaps_precision_and_recall():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(80, 4)), rng.normal(size=(50, 4)) * 0.3
    forward, backward = precision_recall(x, y, 3), precision_recall(y, x, 3)
    assert forward == (backward.recall, backward.precision)
    assert forward.precision > forward.recall  # a narrow generator


def test_k_beyond_the_neighbours_there_are_is_refused():
    with pytest.raises(ValueError, match="k: 3, allowed: 1 to 2"):
        precision_recall(np.eye(5, 3), np.eye(3), 3)
    with pytest.raises(ValueError, match="k: 0"):
        precision_recall(np.eye(3), np.eye(3), 0)


def test_bad_features_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        precision_recall(np.eye(3), np.full((3, 3), np.inf), 1)


def test_ties_are_ties_wherever_the_points_lie():
    """Of whole numbers every distance is exact, so the balls' edges are; rounding moves none."""
    x, y = np.array([[2, 1], [3, 3], [2, 2.0]]), np.array([[2, 2], [2, 0], [3, 2.0]])
    rng = np.random.default_rng(0)
    cases = [(x, y, 1)]
    for _ in range(200):
        n, m, width = rng.integers(4, 9), rng.integers(4, 9), rng.integers(1, 5)
        points = rng.integers(0, 4, (n + m, width)).astype(float)
        cases.append((points[:n], points[n:], int(rng.integers(1, 4))))
    for x, y, k in cases:
        for apart in (0.0, 1e5):

            def squared(a, b):
                return ((a[:, None] - b[None]) ** 2).sum(-1)

            def radii(a, k=k):
                return np.sort(squared(a, a) + np.diag([np.inf] * len(a)))[:, k - 1]

            on_real = (squared(y, x) <= radii(x)).any(1).mean()
            on_fake = (squared(x, y) <= radii(y)).any(1).mean()
            found = precision_recall(x + apart, y + apart, k)
            assert found == pytest.approx((on_real, on_fake)), (x, y, k, apart)


def test_features_of_two_widths_are_refused_as_such():
    with pytest.raises(ValueError, match="features of 2 and of 1 dimensions do not compare"):
        precision_recall([[0.0, 1.0], [2.0, 3.0]], [[0.0], [1.0]], k=1)
