"""Classes covered: both thresholds inclusive, the histogram, refusals."""

import numpy as np
import pytest

from ebmrepro.metrics.coverage import class_histogram, classes_covered

P = np.array(
    [
        [0.9, 0.1, 0.0],
        [0.8, 0.2, 0.0],
        [0.1, 0.9, 0.0],
        [0.4, 0.4, 0.2],
    ]
)


def test_a_class_counts_images_at_or_above_the_confidence():
    assert class_histogram(P, 0.8).tolist() == [2, 1, 0]
    assert class_histogram(P, 0.85).tolist() == [1, 1, 0]
    assert class_histogram(P, 0.3).tolist() == [3, 1, 0]  # at a tie, the lower class


def test_a_class_is_covered_at_or_above_its_share_of_all_images():
    assert classes_covered(P, share=0.25, confidence=0.8) == 2
    assert classes_covered(P, share=0.26, confidence=0.8) == 1
    assert classes_covered(P, share=0.5, confidence=0.85) == 0


def test_a_perfect_generator_covers_all_and_a_collapsed_one_covers_one():
    assert classes_covered(np.tile(np.eye(10), (20, 1)), share=0.1, confidence=1) == 10
    assert classes_covered(np.tile(np.eye(10)[:1], (20, 1)), share=0.01, confidence=0.5) == 1


@pytest.mark.parametrize(("share", "confidence"), [(0, 0.5), (1.1, 0.5), (0.1, 0), (0.1, 2)])
def test_thresholds_that_are_no_shares_are_refused(share, confidence):
    with pytest.raises(ValueError, match="allowed: above 0, at most 1"):
        classes_covered(P, share, confidence)


def test_rows_that_are_no_distribution_are_refused():
    with pytest.raises(ValueError, match="row 0 sums to 2"):
        class_histogram([[1.0, 1.0]], 0.5)
