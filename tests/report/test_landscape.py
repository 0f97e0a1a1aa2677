"""The page to play with: its arithmetic is Python's, its widgets do what they say, offline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page
from small_plane import SMALL

from ebmrepro.networks.samplers import Draws, gradient
from ebmrepro.report import landscape, plane
from ebmrepro.studies.plane import film
from ebmrepro.studies.plane.energies import Plain, PlaneEnergy, Reconstruction, Stack
from ebmrepro.studies.plane.members import Measured
from ebmrepro.system.atomic import write_json

TOLERANCE = 1e-4  # relative to the largest; torch computes in float32, a browser in float64


@pytest.fixture(scope="module")
def page(
    browser: Browser, plane_found: Measured, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """The page of a small plane, opened as a file; it must fetch nothing and raise nothing."""
    root = tmp_path_factory.mktemp("plane")
    results, made = root / "results/fundamentals", root / "generated/fundamentals"
    for folder in (results, made):
        folder.mkdir(parents=True)
    write_json(results / "metrics.json", plane_found.document())
    plane_found.save(made / "arrays.npz")
    film.write(plane_found.training, plane_found.sliding, SMALL, made)
    seen = plane.read(root, SMALL)
    assert seen is not None
    (root / "landscape.html").write_text(landscape.html(seen), encoding="utf-8")
    opened = browser.new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    opened.on("request", lambda asked: wrong.append(asked.url))
    opened.goto((root / "landscape.html").as_uri())
    assert wrong == [(root / "landscape.html").as_uri()]  # itself
    wrong.clear()
    yield opened
    assert wrong == []
    opened.close()


def number(page: Page, script: str, argument: Any = None) -> Any:
    return page.evaluate(script, argument)


@pytest.mark.slow
@pytest.mark.parametrize("widths", [[2, 32, 32, 1], [2, 32, 2, 32, 2]])
def test_energy_and_slope_in_the_browser_are_pythons(page: Page, widths: list[int]):
    kind: type[PlaneEnergy] = Plain if widths[-1] == 1 else Reconstruction
    energy = kind(Stack(widths, 2.0, Draws([7])), SMALL.domain)
    axis = torch.linspace(-3.5, 3.5, 15)  # over the walls
    points = torch.cartesian_prod(axis, axis)
    E, slope = gradient(lambda x: energy(x)[0], points)
    script = """([numbers, widths, points]) => {
      const energy = new Energy(new Float32Array(numbers), widths, FOUND.domain);
      return points.map(([x, y]) => energy.at(x, y));
    }"""
    numbers = energy.net.numbers(0).tolist()
    seen = np.array(number(page, script, [numbers, widths, points.tolist()]))
    ours = np.column_stack([E.numpy(), slope.numpy()])
    assert np.abs(seen - ours).max() <= TOLERANCE * np.abs(ours).max()


@pytest.mark.slow
def test_the_page_holds_the_energy_that_was_trained(page: Page, plane_found: Measured):
    """Its last frame is the network whose energies the stage has written."""
    for way in ("cd", "ml", "ebgan"):
        page.select_option("#way", way)
        script = (
            "(axis) => axis.flatMap((x) => axis.map((y) => landscape.energy.at(x, y, false)[0]))"
        )
        side = SMALL.domain.half
        axis = [side * (2 * (i + 0.5) / SMALL.grid - 1) for i in range(0, SMALL.grid, 4)]
        ours = plane_found.arrays[f"energy/ring/{way}"][::4, ::4].flatten()
        seen = np.array(number(page, script, axis))
        assert np.abs(seen - ours).max() <= TOLERANCE * np.abs(ours).max(), way


@pytest.mark.slow
def test_a_point_that_descends_loses_energy_at_every_move(page: Page):
    page.select_option("#way", "ml")
    page.select_option("#rule", "descent")
    page.click("#clear")
    page.click("#scatter")
    script = """() => [...Array(30)].map(() => {
      const before = landscape.points.map(([x, y]) => landscape.energy.at(x, y, false)[0]);
      landscape.move(1);
      const after = landscape.points.map(([x, y]) => landscape.energy.at(x, y, false)[0]);
      return Math.max(...after.map((E, i) => E - before[i]));
    })"""
    page.locator("#step").fill("-3")
    assert max(number(page, script)) <= 1e-9
    assert "30 moves" in page.inner_text("#moving")


@pytest.mark.slow
def test_langevin_without_temperature_is_descent_and_with_it_is_not(page: Page):
    script = """(temperature) => {
      const points = [[0.5, 1], [-2, 0.3]], energy = landscape.energy;
      for (let i = 0; i < 20; i++) move(points, energy, 0.01, temperature, new Chance(i));
      return points;
    }"""
    page.select_option("#rule", "langevin")
    page.locator("#temperature").fill("0")
    assert number(page, "landscape.temperature") == 0
    cold = number(page, script, 0)
    page.select_option("#rule", "descent")
    page.locator("#temperature").evaluate("(input) => { input.disabled = false; }")
    page.locator("#temperature").fill("2")
    assert number(page, "landscape.temperature") == 0  # descent knows none
    assert number(page, script, number(page, "landscape.temperature")) == cold
    assert number(page, script, 1) != cold


@pytest.mark.slow
def test_langevins_points_spread_as_the_density_says(page: Page):
    """On E = |x|^2 / 2 a chain at temperature T has variance T / (1 - step / 2) on each axis."""
    script = """(temperature) => {
      const bowl = { domain: { half: 100 }, at: (x, y) => [(x * x + y * y) / 2, x, y] };
      const points = [...Array(4000)].map(() => [0, 0]), chance = new Chance(3);
      for (let i = 0; i < 60; i++) move(points, bowl, 0.1, temperature, chance);
      return points.reduce((sum, [x, y]) => sum + x * x + y * y, 0) / 8000;
    }"""
    for temperature in (0.5, 2):
        spread = temperature / (1 - 0.1 / 2) * (1 - 0.9**120)
        assert number(page, script, temperature) == pytest.approx(spread, rel=0.05)


@pytest.mark.slow
def test_a_click_drops_points_there_and_a_drag_turns(page: Page):
    page.click("#clear")
    page.locator("#surface").scroll_into_view_if_needed()
    box = page.locator("#surface").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.click(*middle)
    assert number(page, "landscape.points.length") == number(page, "BUNCH")
    assert np.abs(np.mean(number(page, "landscape.points"), axis=0)).max() < 1.5
    yaw = number(page, "landscape.surface.yaw")
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1], steps=5)
    page.mouse.up()
    assert number(page, "landscape.surface.yaw") > yaw
    assert number(page, "landscape.points.length") == number(page, "BUNCH")


@pytest.mark.slow
def test_keys_turn_the_surface_and_drop_points(page: Page):
    page.click("#clear")
    page.focus("#surface")
    before = number(page, "[landscape.surface.yaw, landscape.surface.pitch]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    after = number(page, "[landscape.surface.yaw, landscape.surface.pitch]")
    assert after[0] > before[0] and after[1] > before[1]
    page.keyboard.press("Enter")
    assert number(page, "landscape.points.length") == number(page, "BUNCH")


@pytest.mark.slow
def test_the_scrubber_changes_the_surface(page: Page):
    page.select_option("#way", "ml")
    picture = "document.getElementById('surface').toDataURL()"
    last = number(page, picture)
    page.locator("#moment").fill("0")
    assert page.inner_text("#moment-value") == "step 0"
    assert number(page, picture) != last
    page.locator("#moment").fill(str(SMALL.film.frames - 1))
    assert number(page, picture) == last


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gamma", "margin", "pt_weight"])
def test_a_dial_shows_the_run_of_its_value(page: Page, name: str):
    page.select_option("#dial", name)
    seen = []
    for i in range(number(page, "dials.dial.values.length")):
        page.locator("#value").fill(str(i))
        seen.append((page.inner_text("#ends"), page.inner_html("#curves")))
        assert "8 valleys" in seen[-1][0] and "2 seeds" in seen[-1][0]
    assert len({curves for _, curves in seen}) == len(seen) > 3
    assert page.locator("#curves svg").count() == 4
    shown = page.locator(".dial-words:visible")
    assert shown.count() == 1


@pytest.mark.slow
def test_nothing_is_to_be_scrolled_sideways_on_a_phone(page: Page):
    assert number(page, "document.documentElement.scrollWidth") <= 390


def test_without_the_stage_the_page_says_what_makes_it(tmp_path: Path):
    assert plane.read(tmp_path, SMALL) is None
    text = landscape.html(None)
    assert "make repro runs it" in text and "<script" not in text
    assert landscape.html(plane.Found(SMALL, {"values": {}}, {}, {})) == text  # older arrays
