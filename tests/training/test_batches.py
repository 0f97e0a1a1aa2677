"""Batches of a data set that stays on the device and of one that is read as it is needed."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from ebmrepro.training import batches
from ebmrepro.training.batches import Batches

CPU = torch.device("cpu")


@pytest.fixture
def stored(tmp_path: Path) -> np.ndarray:
    """Images on the disk, mapped read-only, as `data.read` gives them."""
    rng = np.random.default_rng(3)
    np.save(tmp_path / "train.npy", rng.integers(0, 256, (23, 3, 4, 4), dtype=np.uint8))
    return np.load(tmp_path / "train.npy", mmap_mode="r")


def both(
    images: np.ndarray, labels: np.ndarray | None, monkeypatch: pytest.MonkeyPatch
) -> tuple[Batches, Batches]:
    there = Batches(images, labels, 5, 1, CPU)
    monkeypatch.setattr(batches, "SHARE", 0.0)
    return there, Batches(images, labels, 5, 1, CPU)


@pytest.mark.parametrize("start", [0, 2, 3, 4])
def test_what_is_read_as_needed_is_the_same_bytes_in_the_same_order(
    stored: np.ndarray, start: int, monkeypatch: pytest.MonkeyPatch
):
    there, read = both(stored, np.arange(23), monkeypatch)
    assert torch.is_tensor(there._images) and read._images is stored  # no copy
    expected, found = list(there.epoch(2, start)), list(read.epoch(2, start))
    assert len(found) == len(expected) == 4 - start
    for (x, y), (x_e, y_e) in zip(found, expected, strict=True):
        assert torch.equal(x, x_e) and y is not None and y_e is not None and torch.equal(y, y_e)


def test_every_seed_and_every_epoch_has_an_order_of_its_own(
    stored: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    for share in (batches.SHARE, 0.0):
        monkeypatch.setattr(batches, "SHARE", share)
        orders = set()
        for seed in range(4):
            one = Batches(stored, np.arange(23), 5, seed, CPU)
            for epoch in range(4):
                rows = [y.tolist() for _, y in one.epoch(epoch) if y is not None]
                assert len({row for batch in rows for row in batch}) == 20  # each image once
                orders.add(str(rows))
        assert len(orders) == 16


@pytest.mark.parametrize("share", [batches.SHARE, 0.0], ids=["there", "read"])
def test_each_rank_has_its_rows(stored: np.ndarray, share: float, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batches, "SHARE", share)
    whole = [x for x, _ in Batches(stored, None, 6, 1, CPU).epoch(1)]
    monkeypatch.setenv("WORLD_SIZE", "2")
    parts = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        parts.append([x for x, _ in Batches(stored, None, 6, 1, CPU).epoch(1)])
    assert all(map(torch.equal, map(torch.cat, zip(*parts, strict=True)), whole))


def test_an_epoch_that_is_left_leaves_no_thread(
    stored: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    _, read = both(stored, None, monkeypatch)
    running = set(threading.enumerate())
    epoch = read.epoch(0)
    next(epoch)
    assert set(threading.enumerate()) > running
    del epoch
    assert set(threading.enumerate()) == running


def test_reading_ahead_draws_no_random_numbers(stored: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    _, read = both(stored, None, monkeypatch)
    before = torch.get_rng_state()
    list(read.epoch(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_data_set_stays_on_the_device_up_to_a_share_of_its_memory():
    quarter = batches.memory(CPU) // 4
    assert batches.stays_there(quarter, CPU) and not batches.stays_there(quarter + 1, CPU)
