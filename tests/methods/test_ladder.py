"""The ladder network's step: its cost, its labels, its rate."""

import math
from typing import Any

import numpy as np
import pytest
import small
import torch
from torch.nn.functional import cross_entropy

from ebmrepro.config.documents import ParamsError
from ebmrepro.methods.base.method import Labelled
from ebmrepro.training.batches import Batches, balanced

CPU = torch.device("cpu")


def quiet(name: str, **changes: Any) -> Any:
    """Without noise, so that a cost can be computed again."""
    return small.build(name, noise=0.0, **changes)


def visible(x: torch.Tensor) -> torch.Tensor:
    return (x.flatten(1) + 1) / 2


def test_the_cost_is_that_of_the_labels_and_of_every_layer():
    model = quiet("ladder", denoising=[10.0, 1.0, 0.1, 0.0])
    batch = small.batch(model)
    (turn,) = model.step(batch, epoch=0)
    v = visible(batch.few.x)
    labels = cross_entropy(model.D.classify(v), batch.few.y)
    bottom, above = model.D.costs(visible(batch.x))
    torch.testing.assert_close(turn.loss, labels + bottom.mean() + above.mean())
    # Every estimate is 0 at the start. With m, s the clean mean and deviation of a unit, its cost
    # is then the mean of (- m / s - z)^2 over the batch, which is m^2 / s^2 + 1.
    clean = model.D.clean(visible(batch.x))
    shift = sum(
        weight * ((mean / sd).square() + z.var(0, unbiased=False)).mean()
        for weight, (z, mean, sd) in zip([1.0, 0.1, 0.0], clean, strict=True)
    )
    torch.testing.assert_close(above.mean(), shift)
    torch.testing.assert_close(bottom.mean(), 10 * visible(batch.x).square().mean())


def test_chance_is_the_cost_of_labels_of_a_network_that_knows_nothing():
    model = quiet("ladder")
    with torch.no_grad():
        model.D.gamma.zero_()
    (turn,) = model.step(small.batch(model), epoch=0)
    assert turn.terms["cost/labels"].item() == pytest.approx(math.log(small.CLASSES))


@pytest.mark.parametrize("name", small.LADDERS)
def test_labelled_and_other_images_are_normalised_apart(name: str):
    """One labelled image more or less does not move what the others are normalised by."""
    model = quiet(name)
    batch = small.batch(model)
    fewer = batch._replace(few=Labelled(batch.few.x[:4], batch.few.y[:4]))
    terms = [next(iter(model.step(b, epoch=model.epochs - 1))).terms for b in (batch, fewer)]
    assert terms[0]["energy/real"] == terms[1]["energy/real"]
    assert terms[0]["cost/labels"] != terms[1]["cost/labels"]


def test_the_rate_falls_to_nought_in_a_line_over_the_last_part():
    model = small.build("ladder", epochs=10, constant=0.6)
    rates = [1.0]
    for epoch in range(9):
        model.after_epoch(epoch, {})
        rates.append(model.rate_factor.item())
    assert rates == pytest.approx([1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


def test_a_constant_rate_stays():
    model = small.build("ladder", constant=1.0)
    for epoch in range(model.epochs):
        model.after_epoch(epoch, {})
        assert model.rate_factor.item() == 1


@pytest.mark.parametrize("name", small.LADDERS)
def test_a_test_image_is_classified_without_noise(name: str):
    model = small.build(name, noise=0.5).eval()
    batch = small.batch(model, 24).few
    wrong = (model.D.classify(visible(batch.x)).argmax(1) != batch.y).float().mean().item()
    assert model.diagnose([], [batch]) == {"error_few_labels": pytest.approx(wrong)}


def test_chains_end_between_black_and_white_and_differ():
    model = small.build("ladder", chain_steps=8).eval()
    x = model.sample(50)
    assert x.min() >= -1 and x.max() <= 1 and len(x.flatten(1).unique(dim=0)) == 50


def test_the_noise_of_a_chain_falls_to_nought_in_a_line(monkeypatch: pytest.MonkeyPatch):
    """Of 4 steps 3/4, 1/2, 1/4 of the noise and none, halved once more in each step that follows;
    what is rebuilt is black."""
    model = small.build("ladder", noise=0.1, chain_steps=4).eval()
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.zeros(*size))
    monkeypatch.setattr(torch, "randn_like", torch.ones_like)
    monkeypatch.setattr(model.D, "reconstruct", torch.zeros_like)
    left = 0.1 * (0.75 / 8 + 0.5 / 4 + 0.25 / 2)
    torch.testing.assert_close(visible(model.sample(2)), torch.full((2, 64), left))


def test_a_guess_that_runs_away_takes_no_chain_with_it():
    """Nothing bounds hat x; of noise, which it was not trained on, it may be far from any pixel."""
    model = small.build("ladder", chain_steps=300).eval()
    with torch.no_grad():
        model.D.a[0][9] = 10.0  # v(u) = 10: hat x = 10 x
    assert model.sample(5).isfinite().all()


# The few images with labels ----------------------------------------------------------------------


def test_labels_are_as_many_of_each_class_and_follow_from_the_seed():
    _, labels = small.pictures()
    rows = [balanced(labels, 6, seed) for seed in (0, 1, 0)]
    for chosen in rows:
        assert len(set(chosen.tolist())) == 6
        assert np.bincount(labels[chosen]).tolist() == [2, 2, 2]
    assert np.array_equal(rows[0], rows[2]) and not np.array_equal(rows[0], rows[1])


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (7, "hparams.labels: found 7, which 3 classes cannot share evenly"),
        (27, "hparams.labels: found 27, 9 of each class; a class has 8 training images"),
    ],
)
def test_labels_that_there_are_not_are_refused(count: int, told: str):
    images, labels = small.pictures()
    with pytest.raises(ParamsError, match=told):
        Batches(images, labels, 8, 0, CPU, count)


def test_a_batch_has_labels_of_the_few_alone_each_as_often_as_another():
    images, labels = small.pictures()
    batches = Batches(images, labels, 8, 0, CPU, few=12)
    known = {images[row].tobytes(): labels[row] for row in balanced(labels, 12, 0)}
    orders = []
    for epoch in range(2):
        seen = []
        for _ in batches.epoch(epoch):
            x, y = batches.take_few() or pytest.fail("there are none")
            assert x.shape == (8, *small.SHAPE)
            pixels = ((x + 1) * 127.5).round().to(torch.uint8).numpy()
            assert [known[image.tobytes()] for image in pixels] == y.tolist()
            seen += [image.tobytes() for image in pixels]
        assert set(seen[:12]) == set(seen[12:]) == set(known)  # 24 of 12 images
        orders.append(seen)
    assert orders[0] != orders[1]


def test_the_order_of_all_images_is_that_of_a_method_that_sees_every_label():
    images, labels = small.pictures()
    few, all_ = (list(Batches(images, labels, 8, 3, CPU, few=n).epoch(1)) for n in (6, None))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(few, all_, strict=True))
