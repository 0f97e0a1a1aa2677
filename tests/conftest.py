"""What every test may count on: a fixed seed, one thread, and no setting of whoever runs it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from ebmrepro.studies.plane.members import Measured

ROOT = Path(__file__).parents[1]
os.environ["MPLBACKEND"] = "Agg"
os.environ["DVC_NO_ANALYTICS"] = "1"
# However the tests were started: nohup and `&` have signals ignored, which every child inherits.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# EBMREPRO_SOAK=N: the long form, with other mutations at each run. Else the same ones each time.
CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", max_examples=150, derandomize=True, database=None, **CALM)
settings.register_profile("soak", max_examples=1000, **CALM)
settings.load_profile("soak" if os.environ.get("EBMREPRO_SOAK") else "ci")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of `make test`'s processes none is left with a long file when the others have ended."""
    if hasattr(config, "workerinput"):  # in the order of the files where one process runs them
        long = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in long)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the settings of the person who runs it."""
    for name in list(os.environ):
        if name.startswith(("EBMREPRO_", "DVC_ROOT", "MLFLOW_TRACKING_URI")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("EBMREPRO_DEVICE", "cpu")  # its bytes are what tests know


@pytest.fixture(autouse=True)
def _seeded() -> None:
    import sys

    if "torch" in sys.modules:
        import torch

        torch.manual_seed(0)
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's Chromium without a window; tests that need it are passed over elsewhere."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(names)} is on PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def plane_found() -> Measured:
    """What the plane's stage measures at a test's size; files of tests share it and only read."""
    from small_plane import SMALL

    from ebmrepro.studies.plane.measure import measure

    return measure(SMALL, lambda _: None)
