"""What a source says of its images, and whether that is true."""

import numpy as np
import pytest
from loopback import no_network
from small_sources import DIGITS

from ebmrepro import data
from ebmrepro.config.declarations import available_sources, source_facts
from ebmrepro.config.documents import ParamsError
from ebmrepro.data.images import Images
from ebmrepro.data.sources import digits

__all__ = ["no_network"]  # fixtures, used by name


@pytest.mark.parametrize("name", available_sources())
def test_a_source_declares_what_it_is(name):
    source = data.load_source(name)
    assert source.NAME and source.LICENCE and source.CITATION
    assert callable(source.fetch)


def test_what_digits_declares_of_its_images_is_true(tmp_path):
    """params.py checks a suite by it, long before there are images."""
    facts = source_facts("digits")
    made = data.prepare("digits", DIGITS, tmp_path / "digits")
    assert tuple(made["shape"]) == facts.shape and facts.test is None
    assert sum(split["count"] for split in made["splits"].values()) == facts.images


def test_an_unknown_source_is_told_the_nearest_name():
    with pytest.raises(ParamsError, match=r"'mnst'; there are .*digits.*mnist.*mean 'mnist'\?"):
        data.load_source("mnst")


def test_digits_come_back_from_grey_levels():
    grey = digits.fetch(DIGITS).images
    counts = np.rint(grey.astype(float) * 16 / 255)
    assert np.array_equal(np.rint(counts * 255 / 16), grey)
    assert np.unique(counts).tolist() == list(range(17))
    assert grey.shape == (1797, 1, 8, 8)


def test_digits_have_the_class_counts_that_uci_states_for_its_test_set():
    labels = digits.fetch(DIGITS).labels
    stated = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(labels).tolist() == stated


def test_a_source_that_breaks_its_promise_is_found_out():
    images, labels = np.zeros((2, 1, 3, 3), dtype=np.uint8), np.zeros(2, dtype=np.int64)
    with pytest.raises(ValueError, match="images: found float64"):
        Images(images=images / 255, labels=labels, classes="a")
    with pytest.raises(ValueError, match=r"labels: found int64 \(1,\), want int64 \(2,\)"):
        Images(images=images, labels=labels[:1], classes="a")
    with pytest.raises(ValueError, match=r"test: found int64 \(2,\), want bool \(2,\)"):
        Images(images=images, labels=labels, classes="a", test=labels)
