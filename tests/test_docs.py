"""The documentation: true of the source and the results, whole, and readable without a network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import drawn
import markers
import mathml
import measured
import pytest
import source
from playwright.sync_api import Browser
from ruamel.yaml import YAML

from ebmrepro.config import declarations, params
from ebmrepro.metrics.interval import interval

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text() for path in DOCS.rglob("*.md")}
NOTEBOOKS = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.ipynb")]
METHODS = declarations.available_methods()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    # Not --quiet: that hides warnings from --strict as well.
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    told = [line for line in built.stderr.splitlines() if not line.startswith("INFO ")]
    assert (built.returncode, built.stdout, told) == (0, "", [])
    return folder


class Links(HTMLParser):
    """What a page makes a browser fetch, and the text of its formulae and of the rest."""

    FETCHED = ("script", "img", "iframe", "source", "video", "audio", "embed", "object")

    def __init__(self, text: str):
        super().__init__()
        self.fetched: list[str] = []
        self.formulae: list[str] = []
        self.text: list[str] = []
        self.inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in self.FETCHED:
            self.fetched += [v for k in ("src", "srcset", "data") if (v := given.get(k))]
        if tag == "link" and given.get("rel") != "canonical":
            self.fetched.append(given.get("href") or "")
        if tag in ("math", "script", "style"):
            self.inside.append(tag)
            if tag == "math":
                self.formulae.append("")

    def handle_endtag(self, tag: str) -> None:
        if self.inside and tag == self.inside[-1]:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if self.inside == ["math"]:
            self.formulae[-1] += data
        elif not self.inside:
            self.text.append(data)


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Links]:
    found = {p.relative_to(site).as_posix(): Links(p.read_text()) for p in site.rglob("*.html")}
    made = drawn.page() is not None  # the page to play with, which `make repro` makes
    assert len(found) == len(PAGES) + len(NOTEBOOKS) + 1 + made  # and 404.html
    for page in found.values():
        page.fetched = [address for address in page.fetched if not address.startswith("data:")]
    return found


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page():
    def entries(tree: object) -> list[str]:
        if isinstance(tree, str):
            return [tree]
        parts = tree.values() if isinstance(tree, dict) else tree
        return [entry for part in parts for entry in entries(part)]  # type: ignore[union-attr]

    configuration = YAML(typ="safe", pure=True).load((ROOT / "mkdocs.yml").read_text())
    listed = entries(configuration["nav"])
    assert sorted(listed) == sorted([*PAGES, *NOTEBOOKS])


@pytest.mark.slow
def test_a_page_makes_a_browser_fetch_nothing_from_a_network(site: Path, pages: dict[str, Links]):
    for name, page in pages.items():
        assert page.fetched or name == drawn.INTERACTIVE, name
        outside = [a for a in page.fetched if re.match(r"([a-z]+:)?//", a)]
        assert outside == [], name
        missing = [a for a in page.fetched if not (site / name).parent.joinpath(a).exists()]
        assert missing == [] or name == "404.html", name  # which has addresses from the root
    for path in site.rglob("*.css"):
        addresses = re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')]+)", path.read_text())
        assert [a for a in addresses if re.match(r"([a-z]+:)?//", a)] == [], path.name


def test_every_formula_is_drawn_and_none_is_left_as_latex(pages: dict[str, Links]):
    assert sum(len(page.formulae) for page in pages.values()) > 200
    for name, page in pages.items():
        assert [f for f in page.formulae if "\\" in f or not f.strip()] == [], name
        left = re.findall(r"\\[(\[].*|\$\S[^$\n]*\\[^$\n]*\$", "".join(page.text))
        assert [text for text in left if name != "decisions/documentation.html"] == [], name


def test_no_marker_is_left_in_a_page(pages: dict[str, Links]):
    for name, page in pages.items():
        if name not in ("decisions/documentation.html", "index.html"):
            assert "{{" not in "".join(page.text), name


@pytest.mark.parametrize(
    "latex", [r"\frobnicate{x}", r"\begin{aligned} a &= b \end{aligned}", r"x^"]
)
def test_a_formula_without_mathml_is_refused_by_name(latex: str):
    with pytest.raises(ValueError, match=re.escape(latex)):
        mathml.formula(latex, display=True)


def test_a_bar_stands_close_to_what_it_encloses():
    drawn = mathml.formula(r"\lvert x \rvert", display=False)
    assert re.findall(r'form="(\w+)">&#x0007C;', drawn) == ["prefix", "postfix"]


def asked(page: str) -> list[tuple[str, str]]:
    return [(m["name"], m["arguments"]) for m in markers.MARKER.finditer(page)]


@pytest.mark.parametrize("name", [name for name, text in PAGES.items() if asked(text)])
def test_every_marker_of_a_page_resolves(name: str):
    page = SimpleNamespace(file=SimpleNamespace(src_uri=name))
    for marker, arguments in asked(PAGES[name]):
        assert markers.expand(marker, arguments, page).strip(), marker


def test_code_is_shown_as_it_stands_in_its_file_with_its_line_numbers():
    shown = source.code("ebmrepro/methods/began.py", "BEGAN.step").splitlines()
    first = int(re.search(r'linenums="(\d+)"', shown[0])[1])  # type: ignore[index]
    lines = (ROOT / "ebmrepro/methods/began.py").read_text().splitlines()
    assert lines[first - 1].strip() == "def step(self, x, epoch):"
    assert shown[1:-1] == [line[4:] for line in lines[first - 1 : first - 3 + len(shown)]]
    assert "self.k.copy_" in shown[-2]


def test_decorators_are_shown_with_what_they_decorate():
    assert "\n@torch.no_grad()\ndef gibbs(" in source.code(
        "ebmrepro/networks/energies.py", "RBM.gibbs"
    )


@pytest.mark.parametrize(
    ("marker", "arguments", "told"),
    [
        ("code", '"ebmrepro/methods/began.py", "BEGAN.stepp"', "has no BEGAN.stepp"),
        ("code", '"ebmrepro/methods/bgan.py", "BEGAN"', "no file ebmrepro/methods/bgan.py"),
        ("departures", '"bgan"', "no method 'bgan'"),
        ("result", '"digits", ["began"], ["fd_dnb"]', "no measure 'fd_dnb'"),
        ("verdict", '"began"', "no marker 'verdict'"),
        ("code", "path", "is given"),
        ("code", '"ebmrepro/methods/began.py"', "is given"),
    ],
)
def test_a_marker_that_cannot_be_resolved_is_refused(marker: str, arguments: str, told: str):
    with pytest.raises(ValueError, match=told):
        markers.expand(marker, arguments)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_page_with_its_symbols_and_departures(method: str):
    page = PAGES[f"papers/{method}.md"]
    for marker in ("symbols", "departures"):
        assert (marker, f'"{method}"') in asked(page)
    assert f'"ebmrepro/methods/{method}.py"' in page


@pytest.mark.parametrize("method", METHODS)
def test_no_departure_and_no_symbol_of_a_header_is_lost(method: str):
    header = source._header(method)
    told = header[header.index("\nDepartures") :]
    assert source.departures(method).count("\n- ") + source.departures(method).startswith(
        "- "
    ) == told.count("\n- ")
    table = header[header.index("meaning") :].split("\n\n")[0]
    rows = [line for line in table.splitlines()[1:] if not line.startswith(" " * 8)]
    assert len(source.symbols(method).splitlines()) == 2 + len(rows)


# What is shown of results -----------------------------------------------------------------------


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with results of two systems: of `ebgan` three seeds, of `magan` none."""
    monkeypatch.setattr(measured, "ROOT", tmp_path)
    for seed, value in enumerate((1.0, 2.0, 3.0)):
        folder = tmp_path / "results" / "digits" / "ebgan" / str(seed)
        folder.mkdir(parents=True)
        values = {"fd_dbn": value, "fid": None}
        (folder / "metrics.json").write_text(json.dumps({"values": values}))
    return tmp_path


def test_a_result_is_mean_interval_and_count_over_the_seeds_on_disk(made_up: Path):
    table = measured.result("digits", ["ebgan", "magan"], ["fd_dbn", "fid", "margin"])
    found = interval([1.0, 2.0, 3.0], "log")
    row = next(line for line in table.splitlines() if "Fréchet distance, DBN" in line)
    assert f"| {found.mean:.1f}<br>" in row and "n = 3" in row and row.endswith("| not run here |")
    assert f"{found.high:.1f}" in row
    assert "| not measured | not run here |" in table
    assert "| – | not run here |" in table


def test_a_result_is_of_the_seeds_that_one_dbn_measured(made_up: Path):
    path = made_up / "results/digits/ebgan/1/metrics.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"protocol": {"extractor_sha256": "0" * 64}}))
    found = interval([1.0, 3.0], "log")
    assert "n = 2" in measured.result("digits", ["ebgan"], ["fd_dbn"])
    assert measured.value("digits/ebgan", "fd_dbn").startswith(f"{found.mean:.3g} ")


def test_what_was_trained_is_told_by_part_and_by_the_dbn_that_measured(made_up: Path):
    for seed, (part, dbn) in enumerate(((0.5, "a"), (1, "a"), (0.5, "a"), (0.5, "b"))):
        (folder := made_up / f"results/digits/ebgan/{seed}").mkdir(exist_ok=True)
        told = {"budget": {"epoch_fraction": part}, "protocol": {"extractor_sha256": dbn * 64}}
        (folder / "metrics.json").write_text(json.dumps({"seed": seed, **told}))
    rows = [line for line in measured.trained("digits").splitlines() if "EBGAN" in line]
    found = ["0.5 | 0, 2 by `aaaaaaaa`", "1 | 1 by `aaaaaaaa`", "0.5 | 3 by `bbbbbbbb`"]
    assert rows == [f"| EBGAN | {each} |" for each in found]
    assert "not run here" in measured.trained("mnist")


def test_results_that_are_not_there_are_said_not_to_be_run(made_up: Path):
    assert "not run here" in measured.result("mnist", ["ebgan"], ["fd_dbn"])
    assert "not run here" in measured.verdicts("ebgan")
    assert measured.topic("ebgan") == measured.verdicts("ebgan")
    assert "not run here" in measured.document("results/digits/tour/metrics.json", ["x"])


def claim(verdict: str, **changed: object) -> dict[str, object]:
    part = {"statistic": "a | b", "rule": "above 0", "mean": 0.5, "low": 0.25, "high": 0.75, "n": 3}
    judgement = {
        "suite": "digits",
        "verdict": verdict,
        "reason": "",
        "parts": [part],
        "carried": "",
    }
    return {
        "claim": "Energies end in (0, m).",
        "source": "Section 2",
        "paper": "ebgan",
        "topic": "ebgan",
        "published_in_words": "shape only",
        "certainty_in_words": "ours",
        "judgements": [judgement],
        **changed,
    }


def test_verdicts_show_sentence_published_ours_and_verdict(made_up: Path):
    (made_up / "reports").mkdir()
    found = {"claims": [claim("holds"), claim("not run here"), claim("fails", paper="lecture")]}
    (made_up / "reports" / "claims.json").write_text(json.dumps(found))
    head, _, first, second = measured.verdicts("ebgan").splitlines()
    assert all(line.count(" | ") == 3 for line in (head, first, second))
    assert "Energies end in (0, m)." in first and "shape only" in first and "**holds**" in first
    assert r"0.5 \[0.25, 0.75\], n = 3" in first and "to hold: above 0" in first
    assert "0.5" not in second and "not run here" in second
    assert "verdicts: 1 holds, 1 fails, 1 not run here" in measured.topic("ebgan")
    with pytest.raises(source.MarkerError, match="no claim of paper 'bgan'"):
        measured.verdicts("bgan")


def test_a_number_in_a_sentence_is_the_mean_over_seeds_with_its_interval(made_up: Path):
    found = interval([1.0, 2.0, 3.0], "log")
    assert measured.value("digits/ebgan", "fd_dbn").startswith(
        f"{found.mean:.3g} \\[{found.low:.3g}"
    )
    assert measured.value("digits/ebgan", "fid") == "*not run here*"
    assert measured.value("digits/magan", "fd_dbn") == "*not run here*"
    (made_up / "results/plane").mkdir()
    tree = {"values": {"z": {"0": -1234567.0, "1": -1234567.0}}}
    (made_up / "results/plane/metrics.json").write_text(json.dumps(tree))
    assert measured.value("plane", "z") == "−1,234,567"
    with pytest.raises(source.MarkerError, match="no measure 'fd_dnb'"):
        measured.value("digits/ebgan", "fd_dnb")
    with pytest.raises(source.MarkerError, match="results/plane has no value 'zz'"):
        measured.value("plane", "zz")
    with pytest.raises(source.MarkerError, match="results/digits/ebgan/0: found more than"):
        measured.value("digits/ebgan/0", "fd_dbn")


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ((0.5, 1.4, 2.6), "higher than"),
        ((1.5, 2.6, 3.4), "lower than"),
        ((1.5, 1.5, 3.1), "not told apart from"),
    ],
)
def test_how_two_stand_is_said_by_their_difference_seed_by_seed(
    made_up: Path, others: tuple[float, ...], said: str
):
    for seed, value in enumerate(others):
        folder = made_up / "results/digits/magan" / str(seed)
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps({"values": {"fd_dbn": value}}))
    assert measured.beside("digits/ebgan", "fd_dbn", "digits/magan", "fd_dbn") == said


def test_a_figure_of_the_report_that_is_not_there_is_refused_by_name():
    with pytest.raises(source.MarkerError, match="the report has no digits-energis"):
        drawn.figure("digits-energis")
    with pytest.raises(source.MarkerError, match="digits-energies has no 'EBGANN'"):
        drawn.figure("digits-energies", ["EBGANN"])


def test_every_part_of_the_lecture_has_a_finding_with_a_number_a_figure_and_a_command():
    parts = re.split(r"^## \d+\. .*$", PAGES["lecture.md"], flags=re.MULTILINE)[1:]
    assert len(parts) == 11
    for part in parts:
        part = part.partition("\n## ")[0]
        finding, _, rest = part.partition("{: .finding }")
        assert rest and "{{ value(" in finding and "{{ figure(" in rest and "**Run:**" in rest


def test_a_notebook_is_in_git_without_what_it_printed():
    for name in NOTEBOOKS:
        cells = json.loads((DOCS / name).read_text())["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert code and all(c["outputs"] == [] and c["execution_count"] is None for c in code)


@pytest.mark.slow
def test_the_notebook_of_the_lecture_draws_three_figures(site: Path):
    page = (site / "lecture-figures.html").read_text()
    assert page.count('class="jp-RenderedImage ') == 3


@pytest.mark.slow
def test_the_lecture_opens_in_a_browser_in_the_dark_and_on_a_phone(site: Path, browser: Browser):
    for name in ("lecture", "lecture-figures"):
        opened = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        wrong: list[str] = []
        opened.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
        opened.on("requestfailed", lambda asked, wrong=wrong: wrong.append(asked.url))
        opened.goto((site / f"{name}.html").as_uri())
        assert wrong == []
        assert opened.evaluate("document.documentElement.scrollWidth") <= 390
        opened.close()


def test_a_document_shows_its_values_and_how_they_were_taken(made_up: Path):
    path = made_up / "metrics.json"
    values = {"error@dbn": {"0": 0.25, "1": 0.75}, "gain@dbn": {"0": None}}
    protocol = {"error@dbn": "Share of 360 test images."}
    reasons = {"gain@dbn": "one seed failed"}
    path.write_text(json.dumps({"values": values, "protocol": protocol, "reasons": reasons}))
    table = measured.document("metrics.json", ["error@dbn", "gain@dbn"])
    assert "Share of 360 test images." in table and "0.5<br>" in table and "n = 2" in table
    assert "one seed failed" in table
    with pytest.raises(source.MarkerError, match="no value 'error'"):
        measured.document("metrics.json", ["error"])


# What is told to type --------------------------------------------------------------------------

WORDS = "\n".join(PAGES.values())


def test_every_number_that_a_page_says_to_set_is_in_params():
    tree = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())
    known = params.flatten(tree)
    told = re.findall(r"-S '?([\w.]+)=|^\| .* \| `((?:\w+\.){2,}\w+)=", WORDS, re.MULTILINE)
    keys = {first or second for first, second in told}
    assert len(keys) > 10
    assert sorted(keys - set(known)) == []


def test_every_command_and_target_that_a_page_names_exists():
    from ebmrepro import cli

    def named(app) -> set[str]:
        own = {c.name or c.callback.__name__ for c in app.registered_commands}
        return own | {g.name for g in app.registered_groups}

    told = set(re.findall(r"\bebmrepro ([a-z]+)\b(?=[^\n]*[`\n])", code_of(WORDS)))
    assert told and sorted(told - named(cli.app)) == []
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = set(re.findall(r"\bmake ([a-z]+)\b", code_of(WORDS)))
    assert told and sorted(told - targets) == []


def test_every_stage_of_the_pipeline_is_on_the_page_about_running():
    stages = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"]
    assert [stage for stage in stages if f"`{stage}`" not in PAGES["guide/run.md"]] == []


def test_every_file_of_the_project_that_a_page_names_exists():
    told = set(re.findall(r"`((?:ebmrepro|tests|docs|stages)/[\w./]+\.\w+)`", WORDS))
    assert told and [path for path in sorted(told) if not (ROOT / path).exists()] == []


def test_every_test_that_the_page_on_reliability_names_exists():
    """A file of tests may stand without its folder, and a name may be cut, by "..."."""
    files = list((ROOT / "tests").rglob("*.py"))
    there = {path.stem for path in files}
    for path in files:
        there |= set(re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
    told = set(re.findall(r"\btest_\w+(?:\.\.\.)?", code_of(PAGES["reliability.md"])))
    whole = {name for name in told if not name.endswith("...")}
    cut = {name.removesuffix("...") for name in told - whole}
    assert len(whole) > 100 and sorted(whole - there) == []
    assert [start for start in cut if not any(name.startswith(start) for name in there)] == []


def test_every_setting_of_the_environment_that_a_page_names_is_read_somewhere():
    read = "\n".join(path.read_text() for path in (ROOT / "ebmrepro").rglob("*.py"))
    told = set(re.findall(r"\b(?:EBMREPRO|MLFLOW)_[A-Z_]+", WORDS))
    assert told and [name for name in sorted(told) if f'"{name}"' not in read] == []


def code_of(text: str) -> str:
    """What stands in backticks and fences, without the comments."""
    code = re.findall(r"```\w*\n.*?```|`[^`\n]+`", text, re.DOTALL)
    return re.sub(r"\s#.*", "", "\n".join(code))
