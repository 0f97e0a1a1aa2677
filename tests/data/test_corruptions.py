"""Corruptions do what they say, by the amount asked for, the same every time."""

import tracemalloc

import numpy as np
import pytest
import small

from ebmrepro.data import corruptions

X, Y = small.pictures()


@pytest.mark.parametrize("corrupt", corruptions.CORRUPTIONS.values())
def test_an_amount_of_nothing_changes_nothing(corrupt):
    before = X.copy()
    np.testing.assert_array_equal(corrupt(X, 0.0, seed=1), X)
    corrupt(X, 0.5, seed=1)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("corrupt", corruptions.CORRUPTIONS.values())
def test_more_is_further_from_the_image(corrupt):
    def distance(amount: float) -> float:
        return float(np.square(corrupt(X, amount, seed=1) - X.astype(float)).mean())

    distances = [distance(amount) for amount in (0.5, 0.7, 0.85, 1.0)]
    assert distances == sorted(distances) and distances[0] > 0


@pytest.mark.parametrize("corrupt", corruptions.CORRUPTIONS.values())
def test_a_seed_fixes_the_images(corrupt):
    once, again = corrupt(X, 0.5, seed=3), corrupt(X, 0.5, seed=3)
    assert once.dtype == np.uint8 and once.tobytes() == again.tobytes()


def test_noise_has_the_deviation_asked_for():
    grey = np.full((50, 1, 20, 20), 128, dtype=np.uint8)
    found = (corruptions.noisy(grey, 0.2, 0) - 128.0) / corruptions.HALF
    assert found.std() == pytest.approx(0.2, rel=0.03)


def test_the_noise_of_many_images_is_one_draw_of_which_a_part_is_held_at_a_time():
    grey = np.full((2 * corruptions.AT_ONCE + 1, 1, 3, 3), 128, dtype=np.uint8)
    whole = 128 + 0.2 * corruptions.HALF * np.random.RandomState(4).standard_normal(grey.shape)
    np.testing.assert_array_equal(corruptions.noisy(grey, 0.2, 4), corruptions._uint8(whole))
    large = np.zeros((8 * corruptions.AT_ONCE, 1, 16, 16), dtype=np.uint8)
    tracemalloc.start()
    try:
        corruptions.noisy(large, 0.2, 4)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * large.nbytes  # all at once in float64: some 16 times


def test_a_square_covers_its_share_and_grows_in_place():
    white = np.full((9, 1, 20, 20), 255, dtype=np.uint8)
    small_, large = (corruptions.occluded(white, share, 0) for share in (0.25, 1.0))
    assert (small_ == 0).mean() == 0.25
    assert (large == 0).all()


def test_inversion_passes_through_grey():
    assert np.ptp(corruptions.inverted(X, 0.5)) == 0
    np.testing.assert_array_equal(corruptions.inverted(X, 1.0), 255 - X)


def test_mirroring_twice_and_turning_four_times_gives_the_image_back():
    np.testing.assert_array_equal(corruptions.mirrored(corruptions.mirrored(X)), X)
    turned = X
    for _ in range(4):
        turned = corruptions.turned(turned)
    np.testing.assert_array_equal(turned, X)
    with pytest.raises(ValueError, match="images of 4 x 8, a turn needs squares"):
        corruptions.turned(X[:, :, :4])


def test_an_average_is_with_another_class():
    labels = np.arange(len(X)) % 2
    flat = np.where(labels == 0, 0, 200).astype(np.uint8)[:, None, None, None]
    found = corruptions.averaged(np.broadcast_to(flat, X.shape), labels, 0)
    assert (found == 100).all()
