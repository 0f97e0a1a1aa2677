"""EBGAN's arithmetic, by hand. Zhao et al. (2017), equations 1 and 2."""

import pytest
import small
import torch

from ebmrepro.methods.base.method import Method, Turn


def with_energies(model: Method, real: list[float], fake: list[float]) -> list[Turn]:
    """The turns of one step whose energies are given, with the same fakes in both turns."""
    small.give_energies(model, real + fake, fake)
    return list(model.step(torch.zeros(2, *small.SHAPE), epoch=0))


def test_the_hinge_is_per_sample():
    model = small.build("ebgan", margin=2.0, objective="hinge")
    d, g = with_energies(model, real=[0.5, 1.5], fake=[1.0, 4.0])
    # L_D = mean D(x) + mean [2 - D(G(z))]^+ = 1 + (1 + 0) / 2; of the means it would be 1 + 0
    assert d.loss is not None and d.loss.item() == pytest.approx(1.5)
    assert d.terms["energy/real"].item() == 1 and d.terms["energy/fake"].item() == 2.5
    assert d.terms["hinge/active"].item() == 0.5
    assert g.player == "G" and g.loss is not None and g.loss.item() == 2.5  # L_G = D(G(z))


def test_without_the_hinge_fakes_are_pushed_up_for_ever():
    model = small.build("ebgan", margin=2.0, objective="no_hinge")
    d, _ = with_energies(model, real=[0.5, 1.5], fake=[1.0, 400.0])
    assert d.loss is not None and d.loss.item() == pytest.approx(1 - 200.5)


def test_trained_on_real_images_only_fakes_do_not_count():
    model = small.build("ebgan", objective="real_only")
    d, _ = with_energies(model, real=[0.5, 1.5], fake=[1.0, 4.0])
    assert d.loss is not None and d.loss.item() == 1


def test_against_noise_fakes_do_not_count_and_noise_has_the_hinge(monkeypatch: pytest.MonkeyPatch):
    model = small.build("ebgan", margin=2.0, objective="noise")
    seen: list[torch.Tensor] = []

    def energy(x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return torch.tensor([1.0, 4.0])

    monkeypatch.setattr(model, "energy", energy)
    d, _ = with_energies(model, real=[0.5, 1.5], fake=[1.0, 400.0])
    assert d.loss is not None and d.loss.item() == pytest.approx(1 + 0.5)
    assert seen[0].shape == (2, *small.SHAPE)
    assert -1 <= seen[0].min() < -0.9 and 0.9 < seen[0].max() <= 1


def test_a_fake_above_the_margin_gives_the_discriminator_no_gradient():
    model = small.build("ebgan", margin=1e-6)  # every fake of an untrained G lies above it
    x, weights = small.batch(model), list(model.D.parameters())
    d = next(model.step(x, epoch=0))
    of_loss = torch.autograd.grad(d.loss, weights)
    of_real = torch.autograd.grad(model.energy(x).mean(), weights)
    torch.testing.assert_close(of_loss, of_real)


def test_the_generator_feels_both_paths_of_its_energy():
    """D(G(z)) = || G(z) - D(G(z)) ||: through the target and through the reconstruction."""
    model = small.build("ebgan")
    x_g = model.sample(4)
    both = torch.autograd.grad(model.energy(x_g).mean(), x_g, retain_graph=True)[0]
    x_hat = model.reconstruct(x_g)
    assert x_hat is not None
    detached = torch.linalg.vector_norm((x_g.detach() - x_hat).flatten(1), dim=1).mean()
    one = torch.autograd.grad(detached, x_g)[0]
    assert not torch.allclose(both, one)
