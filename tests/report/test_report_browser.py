"""The report as a browser shows it, from made-up results and from those that git keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import made_up
import pytest
from params_file import shipped
from playwright.sync_api import Browser, Page

from ebmrepro import report
from ebmrepro.claims import claims_file, judgements
from ebmrepro.report import front
from ebmrepro.report.blocks import Animation, Figure, Gallery, Table
from ebmrepro.report.claims import read
from ebmrepro.report.gather import gather
from ebmrepro.report.page import FRONT, pages
from ebmrepro.report.sections import sections

ROOT = Path(__file__).parents[2]
SHIPPED = shipped()
CLAIMS = claims_file.load(SHIPPED, ROOT / "reports" / "claims.yaml")

pytestmark = pytest.mark.slow  # each starts a browser's page, and draws a report


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report on made-up results."""
    root = tmp_path_factory.mktemp("project")
    settings = made_up.params()
    made_up.results(root, settings)
    (root / "reports").mkdir()
    judgements.write(CLAIMS, settings, root, root / "reports" / "claims.json")
    report.write(settings, root, root / "reports")
    return root / "reports"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages on the results of this repository, without their files of figures."""
    into = tmp_path_factory.mktemp("reports")
    judgements.write(CLAIMS, SHIPPED, ROOT, into / "claims.json")
    suites, told = gather(ROOT, SHIPPED), read(into / "claims.json")
    content = sections(suites, told)
    (into / "pages").mkdir()
    for name, page in pages(content, front.section(suites, told, content)).items():
        (into / name).write_text(page)
    return into


def test_no_two_files_to_take_along_have_one_name():
    suites, plain = gather(ROOT, SHIPPED), (Table, Figure, Animation)
    told = read(ROOT / "reports" / "claims.json")
    content = sections(suites, told)
    content = [front.section(suites, told, content), *content]
    names = [
        (isinstance(block, Table), block.name)
        for section in content
        for block in section.every_block()
        if isinstance(block, plain) or (isinstance(block, Gallery) and block.sheet)
    ]
    assert len({*names}) == len(names) > 100


@contextmanager
def opened(
    browser: Browser, path: Path, width: int = 1280, scheme: Literal["light", "dark"] = "light"
) -> Iterator[Page]:
    """A page that asked for nothing besides itself and met no error."""
    seen: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("request", lambda request: seen.append(request.url))
    page.goto(path.as_uri())
    yield page
    assert [what for what in seen if not what.startswith("data:")] == [path.as_uri()]
    page.close()


def size(page: Page, side: str) -> int:
    return page.evaluate(f"document.documentElement.scroll{side}")


@pytest.mark.parametrize("results", ["made", "kept"])
def test_the_front_page_is_short_light_and_as_wide_as_the_screen(
    browser: Browser, results: str, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(results) / FRONT
    assert path.stat().st_size < 1_500_000
    with opened(browser, path) as page:
        assert size(page, "Height") <= 6000
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        with opened(browser, path, 390, scheme) as page:
            assert size(page, "Width") == 390
            assert size(page, "Height") <= 9000


def test_pages_fit_a_phone_and_their_index_stays_in_view_on_a_screen(
    browser: Browser, kept: Path
) -> None:
    for path in sorted((kept / "pages").glob("*.html")):
        with opened(browser, path, 390, "dark") as page:
            assert size(page, "Width") == 390, path.name
    with opened(browser, kept / "pages" / "digits.html") as page:
        page.evaluate("scrollTo(0, 5000)")
        box = page.locator("#contents").bounding_box()
        assert box is not None and box["y"] == 0


def test_the_keyboard_leads_from_the_front_page_to_a_claim(browser: Browser, made: Path) -> None:
    with opened(browser, made / FRONT) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('nav') !== null")
        href = page.locator("#front-findings a, #front-matrix td a").first.get_attribute("href")
    assert href is not None
    name, _, anchor = href.partition("#")
    with opened(browser, made / name) as page:
        assert page.locator(f"[id='{anchor}']").is_visible()


def test_a_mark_in_the_matrix_is_told_by_more_than_its_colour(browser: Browser, kept: Path) -> None:
    with opened(browser, kept / FRONT) as page:
        marks = page.locator(".matrix td a")
        told = {(m.inner_text(), m.get_attribute("aria-label")) for m in marks.all()}
        legend = page.locator(".counts").inner_text()
    assert len({mark for mark, _ in told}) == len(told) > 3
    assert all(f"{mark} {verdict}" in legend for mark, verdict in told)


def test_paper_shows_the_content_without_its_navigation(browser: Browser, kept: Path) -> None:
    with opened(browser, kept / "pages" / "digits.html") as page:
        page.emulate_media(media="print")
        assert not page.locator("#contents").is_visible()
        assert page.locator("main figure").first.is_visible()
