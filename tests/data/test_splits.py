"""Which images are for training, for validation and for the test."""

import numpy as np
import pytest
from loopback import no_network
from small_sources import DIGITS, small_mnist

from ebmrepro import data
from ebmrepro.config.documents import ParamsError
from ebmrepro.data.sources import digits
from ebmrepro.data.splits import stratified

__all__ = ["no_network", "small_mnist"]  # fixtures, used by name


def test_the_digits_split_is_the_one_all_results_were_made_with(tmp_path):
    dataset = data.prepare("digits", DIGITS, tmp_path / "digits")
    assert {name: split["count"] for name, split in dataset["splits"].items()} == {
        "train": 1257,
        "validation": 180,
        "test": 360,
    }
    assert (
        dataset["splits"]["test"]["sha256"]
        == "56402c2318bea459a9460c84d818d71e50186ca38de050aa0a79cdc351d762c0"
    )


def test_splits_are_disjoint_and_miss_no_image(tmp_path):
    data.prepare("digits", DIGITS, tmp_path / "digits")
    images = [data.read(tmp_path / "digits", s)[0] for s in ("train", "validation", "test")]
    distinct = {x.tobytes() for split in images for x in split}  # all 1,797 digits differ
    assert sum(map(len, images)) == len(distinct) == 1797


def test_every_class_has_its_share_in_every_split(tmp_path):
    dataset = data.prepare("digits", DIGITS, tmp_path / "digits")
    counts = np.array([split["per_class"] for split in dataset["splits"].values()])
    shares = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / 1797
    assert np.abs(counts - shares).max() < 1


def test_another_seed_is_another_split():
    images, other = digits.fetch(DIGITS), DIGITS.model_copy(update={"split_seed": 1})
    one, two = (data.split(images, params, "digits")["test"] for params in (DIGITS, other))
    assert not np.array_equal(one, two)


def test_a_draw_rounds_shares_by_largest_remainder():
    labels = np.repeat([0, 1, 2], [5, 3, 2])  # 4 of 10: 2, 1.2 and 0.8
    mask = stratified(labels, 4, 0, "test")
    assert np.bincount(labels[mask]).tolist() == [2, 1, 1]


def test_a_draw_of_everything_or_nothing_is_exact():
    labels = np.array([0, 0, 1, 2])
    assert stratified(labels, 4, 0, "test").all()
    assert not stratified(labels, 0, 0, "test").any()


def test_validation_and_test_are_drawn_independently():
    labels = np.zeros(1000, dtype=np.int64)
    both = stratified(labels, 500, 0, "test") & stratified(labels, 500, 0, "validation")
    assert 200 < both.sum() < 300


@pytest.mark.parametrize(
    ("source", "change", "message"),
    [
        ("digits", {"test": 1797}, "s.data.test: found 1797; .* at most 1796"),
        ("digits", {"validation": 1437}, "s.data.validation: found 1437; .* at most 1436"),
        ("mnist", {"test": 19}, "s.data.test: found 19; .* so it is 20"),
    ],
)
def test_splits_that_cannot_be_had_name_the_key(small_mnist, tmp_path, source, change, message):
    params = DIGITS.model_copy(update={"source": source, **change})
    with pytest.raises(ParamsError, match=f"^params.yaml: {message}"):
        data.prepare("s", params, tmp_path / "s")
    assert not (tmp_path / "s").exists()
