"""A name stays a name: on the page, in Markdown, in figures and in files' names."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import made_up
import pytest

from ebmrepro import report
from ebmrepro.config.params import Params
from ebmrepro.report import page
from ebmrepro.report.blocks import Section
from ebmrepro.system.errors import UserError

ATTACKS = [
    "<script>alert(1)<",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "a|b`c`|d",
    "new\nline\n\n# heading\n- [x](javascript:alert(1))",
    r"$\frac{$ \href{javascript:alert(1)}{x}",
    "{{ 7 * 7 }}{% for %}",
    "]]><!--&lt;script&gt;",
]


class Page(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


SHORT = "".join(ATTACKS[:4])  # a folder's name has at most 255 bytes


def attacked(root: Path) -> Params:
    """A project in which everything that has a name is called like the attacks."""
    settings = made_up.params(SHORT, ["ebgan"], [f"ebgan__{a}" for a in ATTACKS], seeds=(0,))
    made_up.results(root, settings)
    words = {"name": "".join(ATTACKS), "licence": "".join(ATTACKS), "classes": ATTACKS}
    card = root / "results" / SHORT / "reference/reference.json"
    told = json.loads(card.read_text())
    for split in told["dataset"]["splits"].values():
        split["per_class"] = [split["count"] // len(ATTACKS)] * len(ATTACKS)
    told |= {"dataset": told["dataset"] | words, "rows_protocol": "".join(ATTACKS)}
    card.write_text(json.dumps(told))
    for path in root.glob("results/*/*/0/metrics.json"):
        measured = json.loads(path.read_text())
        for kind in ("reasons", "flags"):
            measured[kind] = dict.fromkeys(measured[kind], "".join(ATTACKS))
        measured["protocol"] = {a: a for a in ATTACKS} | {"extractor": "".join(ATTACKS)}
        path.write_text(json.dumps(measured))
    return settings


def harmless(root: Path) -> Params:
    settings = made_up.params(methods=["ebgan"], variants=[], seeds=(0,))
    made_up.results(root, settings)
    return settings


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files of a report of names without harm, and of one of attacks."""
    both = []
    for named in (harmless, attacked):
        root = tmp_path_factory.mktemp("project")
        settings = named(root)
        report.write(settings, root, root / "reports")
        files = (path for path in (root / "reports").rglob("*") if path.is_file())
        both.append({str(p.relative_to(root / "reports")): p.read_bytes() for p in files})
    return both[0], both[1]


def test_no_name_becomes_a_part_of_the_page(reports):
    both = ([text for name, text in files.items() if name.endswith(".html")] for files in reports)
    plain, page = (b"".join(pages).decode() for pages in both)
    own = r"(\.\./)*((figures|pages|tables|site)/)?\w[\w-]*\.\w+(#[\w-]+)?"
    found = Page(page).found
    assert {tag for tag, _ in found} <= {tag for tag, _ in Page(plain).found} | {"ol"}
    for tag, attributes in found:
        assert not [key for key in attributes if key.startswith("on")], (tag, attributes)
        for key in ("src", "href"):
            link = attributes.get(key) or "#"
            safe = link.startswith(("#", "data:image/png;", "data:,"))
            assert safe or re.fullmatch(own, link, re.ASCII), link
    assert "&lt;script&gt;" in page and "{{ 7 * 7 }}" in page


def test_no_name_becomes_a_part_of_the_markdown(reports):
    plain, text = (files["results.md"].decode() for files in reports)

    def shape(text: str) -> set[str]:
        """Marks of headings, and the numbers of cells that rows have."""
        rows = [line for line in text.splitlines() if line.startswith(("|", "#"))]
        cells = (re.split(r"(?<!\\)\|", line) for line in rows if line[0] == "|")
        return {line.split()[0] for line in rows if line[0] == "#"} | {str(len(c)) for c in cells}

    assert shape(text) <= shape(plain) | {"5"}  # the table of what variants change
    assert set(re.findall(r"<[^>]*>", text)) <= {"<br>", "<sub>", "</sub>", "<sup>", "</sup>"}
    assert r"\[x\](javascript:alert(1))" in text and "[x](" not in text.replace(r"\]", "")
    assert r"a\|b\`c\`\|d" in text


def test_no_name_becomes_a_part_of_a_figure(reports):
    drawn = {name: text.decode() for name, text in reports[1].items() if name.endswith(".svg")}
    assert any("&lt;script&gt;" in text for text in drawn.values())
    for text in drawn.values():
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(text).iter()}
        assert not tags & {"script", "img", "a", "foreignObject"}


def test_no_name_leads_a_file_out_of_the_reports_folder(reports):
    for name in reports[1]:
        assert re.fullmatch(r"((figures|pages|plots|tables)/)?\w[\w-]*\.\w+", name, re.ASCII), name
    assert report.file_name("began__../../x") == "began__------x"


def test_a_suite_whose_name_is_that_of_a_page_is_told_of():
    with pytest.raises(UserError, match=r"'a suite' and 'the tour' would both be pages/tour\.html"):
        page.pages([Section("tour", "a suite"), Section("tour", "the tour")])
