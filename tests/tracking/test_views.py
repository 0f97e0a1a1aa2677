"""Prepared views, opened in a browser as the links that `ebmrepro ui` prints open them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tracked_runs import pytestmark, write_run

from ebmrepro.config import declarations
from ebmrepro.config.params import Training
from ebmrepro.tracking import projection, views
from ebmrepro.tracking.store import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["pytestmark"]


@pytest.mark.slow
def test_a_link_opens_on_its_table_or_its_charts(server, browser: Browser):
    folder, _, port = server
    runs = [
        Training("digits", name, seed) for name in ("ebgan", "ebgan__no_hinge") for seed in (3, 4)
    ]
    for i, run in enumerate(runs):
        write_run(folder, run, f"{i}beef")
    projection.sync_all(folder, runs)
    pages = views.prepare(Store(folder), "digits", 3)
    seen = {"leaderboard": ["Group: ebgan", "Group: ebgan__no_hinge"], "energies": ["energy/real"]}
    for name, texts in seen.items():
        page = browser.new_page(viewport={"width": 1500, "height": 900})
        wrong: list[str] = []
        page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}{pages[name]}")
        for text in texts:
            page.get_by_text(text, exact=True).first.wait_for(timeout=120_000)
        assert page.get_by_text("Error loading shared view").count() == 0 and not wrong
        page.close()


def test_colours_are_those_of_the_report():
    from ebmrepro.report import figures

    for name in (*declarations.available_methods(), "mine"):
        assert views.colour(name) == figures.colour(name)
        assert views.colour(f"{name}__other") in figures.IN_THE_DARK


def test_views_hold_the_runs_they_are_named_for(root):
    runs = [Training("digits", name, seed) for name in ("began", "magan") for seed in (3, 4)]
    for i, run in enumerate(runs):
        write_run(root, run, f"{i}beef")
    projection.sync_all(root, runs)
    store = Store(root)
    pages = views.prepare(store, "digits", 3)
    assert set(pages) == {"leaderboard", "energies", "margin"}  # no curve here has a k
    experiment = store.client.get_experiment(store.experiment("digits"))
    states = {name: json.loads(experiment.tags[views.TAG + name]) for name in pages}
    found = {
        name: store.client.search_runs([experiment.experiment_id], state["searchFilter"])
        for name, state in states.items()
    }
    assert {name: len(own) for name, own in found.items()} == {
        "leaderboard": 4,
        "energies": 2,
        "margin": 4,
    }
    assert {run.data.tags["seed"] for run in found["energies"]} == {"3"}
    assert states["leaderboard"]["groupBy"]["groupByKeys"] == [views.SYSTEM]
    assert all(f"viewStateShareKey={name}&" in page for name, page in pages.items())


def test_a_leaderboard_of_more_runs_than_a_page_forms_no_means_of_some(root, monkeypatch):
    monkeypatch.setattr(views, "PAGE", 1)
    runs = [Training("digits", "magan", seed) for seed in (3, 4)]
    for i, run in enumerate(runs):
        write_run(root, run, f"{i}beef")
    projection.sync_all(root, runs)
    store = Store(root)
    views.prepare(store, "digits", 3)
    tags = store.client.get_experiment(store.experiment("digits")).tags
    state = json.loads(tags[f"{views.TAG}leaderboard"])
    assert "groupBy" not in state and state["orderByKey"] == "metrics.`eval/fd_dbn`"
