"""A generator that copies its training images is told from one that has learnt."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu

from ebmrepro.metrics import memorisation
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.flags import COPIES
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.metrics.memorisation import Known, copying, least, near


def test_authenticity_by_hand():
    """On a line: training at 0, 1, 10. 0.4 is nearer to 0 than 1 is; 2.5 is further from 1 than 0
    is; 10 is a copy; 25 is further from 10 than 1 is."""
    seen = np.array([[0.0], [1.0], [10.0]])
    found = near(seen, [[0.4], [2.5], [10.0], [25.0]])
    assert found.authentic == 0.5
    assert found.distances == pytest.approx([0.16, 2.25, 0, 225])
    assert near(seen, seen).authentic == 0


def test_a_copy_of_a_training_image_that_occurs_twice_is_not_authentic():
    seen = np.array([[0.1, 0.2], [0.1, 0.2], [3.0, 4.0]])
    assert near(seen, seen).authentic == 0


def test_distances_are_those_of_all_pairs_however_many_are_held(monkeypatch):
    rng = np.random.default_rng(3)
    seen, points = rng.normal(size=(40, 3)), rng.normal(size=(50, 3))
    among = np.linalg.norm(seen[:, None] - seen[None], axis=2) + np.diag(np.full(40, np.inf))
    between = np.linalg.norm(points[:, None] - seen[None], axis=2)
    authentic = (between.min(axis=1) > among.min(axis=1)[between.argmin(axis=1)]).mean()
    for held in (2**24, 130):  # in one block, and in blocks of three rows
        monkeypatch.setattr("ebmrepro.metrics.distances.HELD", held)
        found = near(seen, points)
        assert found.distances == pytest.approx(between.min(axis=1) ** 2)
        assert found.authentic == pytest.approx(authentic)


def test_copying_is_the_mann_whitney_z_of_nearest_distances():
    rng = np.random.default_rng(0)
    fake, held_out = rng.random(50), rng.random(40)
    u = mannwhitneyu(fake, held_out).statistic
    expected = (u - 50 * 40 / 2) / np.sqrt(50 * 40 * (50 + 40 + 1) / 12)
    assert copying(fake, held_out) == pytest.approx(expected)
    assert copying(held_out, held_out) == 0
    assert copying(np.zeros(50), held_out) == pytest.approx(least(50, 40))


def features(x: np.ndarray, extractor: Literal["dbn", "inception"] = "dbn") -> Features:
    return Features(extractor, x.astype(np.float32), np.empty((0, 0), np.float32))


def measured(seen: np.ndarray, held_out: np.ndarray, fake: np.ndarray) -> Measurement:
    known = Known(features(seen), features(held_out), f"{len(seen)} images")
    return memorisation.of_training(known, features(fake), settings=None)  # type: ignore[arg-type]


def test_a_network_that_was_trained_to_copy_twenty_images_is_flagged_and_fair_draws_are_not():
    """A decoder of 20 free codes, fitted until it gives the images back; against
    new draws of the density that they came from."""
    rng = np.random.default_rng(2)
    seen, held_out, fair = (rng.normal(size=(n, 16)).astype(np.float32) for n in (20, 200, 200))
    images = torch.from_numpy(seen)
    codes = torch.randn(20, 8, requires_grad=True)
    decoder = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.Tanh(), torch.nn.Linear(64, 16))
    adam = torch.optim.Adam([codes, *decoder.parameters()], lr=0.01)
    start = loss = (decoder(codes) - images).square().mean()
    for _ in range(1500):
        loss = (decoder(codes) - images).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss.item() < start.item() / 100
    with torch.no_grad():
        copies = decoder(codes[torch.randint(0, 20, (200,))]).numpy()
    found = measured(seen, held_out, copies)
    names = {"authenticity_dbn", "copying_dbn", "fd_dbn"}
    assert {name for name, flag in found.flags.items() if flag == COPIES} == names
    assert COPIES not in measured(seen, held_out, fair).flags.values()


DRAWS = np.random.default_rng(4).normal(size=(1000, 8))
SEEN, HELD_OUT, OTHERS = DRAWS[:300], DRAWS[300:600], DRAWS[600:]


@pytest.mark.parametrize("seed", range(100, 103))
def test_a_fair_sample_is_not_flagged(seed: int):
    fair = np.random.default_rng(seed).normal(size=(400, 8))
    found = measured(SEEN, HELD_OUT, fair)
    assert COPIES not in found.flags.values()
    assert abs(found.values["copying_dbn"]) < 4


@pytest.mark.parametrize(("share", "flagged"), [(0.0, False), (0.2, False), (0.7, True), (1, True)])
def test_a_sample_is_flagged_where_it_is_nearer_to_copies_than_to_a_fair_one(share, flagged):
    n = int(share * len(OTHERS))
    copies = SEEN[np.random.default_rng(0).integers(0, len(SEEN), n)]
    found = measured(SEEN, HELD_OUT, np.concatenate([copies, OTHERS[n:]]))
    assert (found.flags.get("fd_dbn") == COPIES) == flagged


LINE = np.array([[0.0], [1.0], [10.0]])  # training images


def beside(authentic: int, copies: int = 0) -> np.ndarray:
    """2.5 is further from 1 than 0 is; 0 is a copy."""
    return np.array([[2.5]] * authentic + [[0.0]] * copies)


@pytest.mark.parametrize(("authentic", "flagged"), [(4, True), (5, False)])
def test_half_as_authentic_as_held_out_images_is_flagged_whatever_the_rank_test_finds(
    authentic: int, flagged: bool, monkeypatch: pytest.MonkeyPatch
):
    """Of ten held-out images eight are authentic, so four of ten fakes are at most half of that."""
    monkeypatch.setattr(memorisation, "copying", lambda *_: 0.0)
    found = measured(LINE, beside(8, 2), beside(authentic, 10 - authentic))
    assert found.values["authenticity_dbn"] == authentic / 10
    assert (found.flags.get("fd_dbn") == COPIES) == flagged


@pytest.mark.parametrize(("z", "flagged"), [(-3.71, True), (-3.69, False)])
def test_half_way_to_the_least_rank_test_is_flagged_however_authentic(
    z: float, flagged: bool, monkeypatch: pytest.MonkeyPatch
):
    """37 fakes against 37: -sqrt(3 37^2 / 75) = -37 / 5 is the least; chance ends sooner, at -3."""
    monkeypatch.setattr(memorisation, "copying", lambda *_: z)
    found = measured(LINE, beside(37), beside(37))
    assert found.values["authenticity_dbn"] == 1
    assert (found.flags.get("fd_dbn") == COPIES) == flagged


def test_blurred_copies_are_flagged_too():
    blurred = SEEN + 0.3 * np.random.default_rng(1).normal(size=SEEN.shape)
    found = measured(SEEN, HELD_OUT, blurred)
    assert found.values["authenticity_dbn"] > 0 and found.flags["copying_dbn"] == COPIES


def test_the_protocol_says_the_images_and_the_rule():
    (told,) = measured(SEEN, HELD_OUT, OTHERS).protocol.values()
    assert told.startswith("training split, 300 images, and 300 held-out images, 0.")
    assert f"the least there is, {least(400, 300):.1f}" in told


def test_in_inception_features_it_carries_their_name():
    known = Known(features(SEEN, "inception"), features(HELD_OUT, "inception"), "300 images")
    found = memorisation.of_training(known, features(SEEN, "inception"), None)  # type: ignore[arg-type]
    assert found.values["authenticity_inception"] == 0 and found.flags["fid"] == COPIES


def test_few_images_are_flagged_where_chance_puts_them_once_in_700_times(
    monkeypatch: pytest.MonkeyPatch,
):
    """Of 12 and 12 the least there is is -4.2, half of which a fair sample reaches often."""
    few, others = DRAWS[:12], DRAWS[600:612]
    assert least(12, 12) / 2 > memorisation.CHANCE
    for z, flagged in ((-3.0, True), (-2.99, False)):
        monkeypatch.setattr(memorisation, "copying", lambda *_, z=z: z)
        assert (COPIES in measured(SEEN, few, others).flags.values()) == flagged
