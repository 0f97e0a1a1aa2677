"""Paths in z, on generators whose best z is known."""

import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from typer.testing import CliRunner

from ebmrepro import data
from ebmrepro.cli import app
from ebmrepro.config import params
from ebmrepro.config.evaluation import Paths
from ebmrepro.config.optimisers import Adam
from ebmrepro.evaluation import interpolation, shown
from ebmrepro.evaluation.interpolation import Search
from ebmrepro.networks import images
from ebmrepro.runs import layout, models
from ebmrepro.system.errors import UserError

ROOT = Path(__file__).parents[2]
ADAM = Adam(name="adam", lr=0.02, beta1=0.9, beta2=0.999)


def threefold(z: Tensor) -> Tensor:
    """One number, three equal pixels."""
    return z[:, :, None, None].expand(-1, 1, 1, 3)


def linear(z: Tensor) -> Tensor:
    """Two numbers, two pixels: (z_1 + z_2, z_1 - z_2)."""
    return torch.stack([z.sum(1), z[:, 0] - z[:, 1]], dim=1)[:, None, None, :]


def test_the_search_minimises_the_absolute_error_not_the_square():
    """|x - z| summed over 0.1, 0.2 and 0.9 is least at their median; the square at their mean."""
    x = torch.tensor([0.1, 0.2, 0.9]).reshape(1, 1, 1, 3)
    z = interpolation.find(threefold, x, torch.zeros(1, 1), Search(200, ADAM))
    assert z.item() == pytest.approx(0.2, abs=0.01)


def test_the_search_finds_what_a_linear_generator_drew():
    wanted = torch.tensor([[0.3, -0.2], [-0.5, 0.4]])
    found = interpolation.find(linear, linear(wanted), torch.zeros(2, 2), Search(400, ADAM))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.02)


def test_the_search_of_an_image_does_not_depend_on_its_company():
    x = linear(torch.tensor([[0.3, -0.2], [-0.5, 0.4]]))
    both = interpolation.find(linear, x, torch.zeros(2, 2), Search(50, ADAM))
    one = interpolation.find(linear, x[:1], torch.zeros(1, 2), Search(50, ADAM))
    torch.testing.assert_close(both[:1], one)


def test_z_stays_within_its_prior():
    """The image lies at z = 3; the nearest that a z in [-1, 1] gives is at its edge."""
    x = torch.full((1, 1, 1, 3), 3.0)
    inside = interpolation.find(threefold, x, torch.zeros(1, 1), Search(300, ADAM, 1.0))
    outside = interpolation.find(threefold, x, torch.zeros(1, 1), Search(300, ADAM, math.inf))
    assert inside.item() == 1.0 and outside.item() == pytest.approx(3, abs=0.1)


def test_a_start_that_is_best_is_kept():
    x, start = linear(torch.tensor([[0.3, -0.2]])), torch.tensor([[0.3, -0.2]])
    assert torch.equal(interpolation.find(linear, x, start, Search(5, ADAM)), start)


def test_the_generator_is_not_trained():
    layer = torch.nn.Linear(2, 2)
    G = lambda z: layer(z)[:, None, None, :]  # noqa: E731
    interpolation.find(G, torch.ones(1, 1, 1, 2), torch.zeros(1, 2), Search(3, ADAM))
    assert all(p.grad is None for p in layer.parameters())


def test_a_path_is_straight_in_z_between_real_ends():
    x = torch.tensor([[9.0, 9.0], [7.0, 7.0]]).reshape(2, 1, 1, 2)
    z_a, z_b = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    row = interpolation.path(linear, x[:1], x[1:], z_a, z_b, 5)
    assert row.shape == (1, 7, 1, 1, 2)
    assert row[0, :, 0, 0, 0].tolist() == [9, 0, 0.25, 0.5, 0.75, 1, 7]


def test_a_sheet_has_mirror_images_other_images_and_draws():
    """(a, b) is at z = ((a + b) / 2, (a - b) / 2), so its mirror image is at minus the second."""
    x = torch.tensor([[0.6, 0.2], [0.0, 0.8]]).reshape(2, 1, 1, 2)
    z = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    mirrored, others, draws = interpolation.sheet(linear, x, z, 3, Search(400, ADAM))[:, :, 0, 0]
    expected = torch.tensor([[0.6, 0.2], [0.6, 0.2], [0.4, 0.4], [0.2, 0.6], [0.2, 0.6]])
    torch.testing.assert_close(mirrored, expected, rtol=0, atol=0.02)
    assert torch.equal(mirrored[0], x[0, 0, 0]) and torch.equal(mirrored[-1], x[0, 0, 0].flip(0))
    expected = torch.tensor([[0.6, 0.2], [0.6, 0.2], [0.3, 0.5], [0.0, 0.8], [0.0, 0.8]])
    torch.testing.assert_close(others, expected, rtol=0, atol=0.02)
    assert draws.tolist() == [[share, share] for share in (0, 0.25, 0.5, 0.75, 1)]


def test_the_command_draws_three_kinds_of_rows_of_a_trained_generator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    settings = params.load()
    data.prepare("digits", settings.suite("digits").data, Path("data/digits"))
    weights = layout.folder("digits", "began", 3) / "model.safetensors"
    weights.parent.mkdir(parents=True)
    save_file(models.untrained("digits", "began", 3, settings).state_dict(), weights)

    command = ["interpolate", "digits", "began", "--seed", "3", "--steps", "2", "--rows", "2"]
    result = CliRunner().invoke(app, [*command, "--between", "3"])
    assert result.exit_code == 0, result.output
    assert "2 rows each to mirror images" in result.output
    with Image.open("interpolation.png") as picture:
        drawn = np.asarray(picture)
    expected = images.grid(np.zeros((30, 1, 8, 8), np.uint8), 5)  # 3 kinds, 2 rows, 3 + 2 columns
    high, wide = expected.shape[-2:]
    times = -(-600 // wide)  # as a person looks at it: each pixel a square, labels around
    grid = drawn[-8 - high * times : -8, -8 - wide * times : -8][::times, ::times, 0]
    assert drawn.shape[1] >= 600 and grid.shape == (high, wide)
    drawn = grid
    real, _ = data.read(Path("data/digits"), "test")
    assert (drawn[:8, :8] == real[0, 0]).all() and (drawn[:8, -8:] == real[0, 0, :, ::-1]).all()
    # Of both ends of the four rows that have real ones, on [-1, 1]; the picture has 256 shades.
    cells = np.pad(drawn, ((0, 1), (0, 1))).reshape(6, 9, 5, 9)[:4, :8, :, :8] / 127.5 - 1
    apart = np.abs(cells[:, :, [0, 4]] - cells[:, :, [1, 3]]).mean()
    found = re.search(r"at real ends (\S+),", result.output)
    assert found
    told = float(found[1])
    assert told == pytest.approx(apart, abs=0.005)

    # What `evaluate.paths` has results keep is such a picture, drawn by the training's seed.
    kept = tmp_path / "kept.png"
    adam = Adam(name="adam", lr=0.1, beta1=0.9, beta2=0.999)
    interpolation.write(kept, ("digits", "began", 3), settings, 2, 3, 2, adam, 3)
    asked = Paths(rows=2, between=3, steps=2, lr=0.1)
    shown.paths(tmp_path, ("digits", "began", 3), settings, asked)
    assert (tmp_path / "paths.png").read_bytes() == kept.read_bytes()

    rows = len(real) // 2 + 1
    with pytest.raises(UserError, match=f"rows: found {rows}; {len(real)} images allow"):
        interpolation.write(tmp_path, ("digits", "began", 3), settings, rows, 3, 2, adam, 0)
    refused = CliRunner().invoke(app, ["interpolate", "digits", "dbn"])
    assert "no generator of 'dbn'; there are" in str(refused.exception)
