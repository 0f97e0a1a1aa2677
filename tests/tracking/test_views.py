"""Prepared views, opened in a browser as the links that `ebmrepro ui` prints open them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from test_store import (  # the fixtures among them are used by name
    empty_database,
    pytestmark,
    server,
    write_run,
)

from ebmrepro.config.params import Training
from ebmrepro.tracking import projection, views
from ebmrepro.tracking.store import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["empty_database", "pytestmark", "server"]


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
