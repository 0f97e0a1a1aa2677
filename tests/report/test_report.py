"""The report shows the runs of params.yaml, all of them and no others; its files are made up."""

from __future__ import annotations

import csv
import json
import posixpath
import re
import shutil
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import made_up
import numpy as np
import pytest
from params_file import shipped

from ebmrepro import report
from ebmrepro.claims import claims_file, form, judgements
from ebmrepro.config.params import Params
from ebmrepro.metrics.flags import COPIES
from ebmrepro.metrics.interval import interval
from ebmrepro.report import figures, numbers, words
from ebmrepro.report.gather import gather
from ebmrepro.report.markdown import markdown
from ebmrepro.report.page import FRONT, pages
from ebmrepro.report.sections import sections
from ebmrepro.system.errors import UserError

ROOT = Path(__file__).parents[2]
CLAIMS = claims_file.load(shipped(), ROOT / "reports" / "claims.yaml")


def written(
    root: Path, settings: Params, claims: Sequence[form.Claim] = CLAIMS
) -> dict[str, bytes]:
    """The report's files by name."""
    into = root / "reports"
    into.mkdir(exist_ok=True)
    judgements.write(claims, settings, root, into / "claims.json")
    report.write(settings, root, into)
    return {str(p.relative_to(into)): p.read_bytes() for p in into.rglob("*") if p.is_file()}


def told(root: Path, settings: Params) -> tuple[str, str]:
    """The pages and their Markdown, without the files of figures, which take most of the time."""
    content = sections(gather(root, settings))
    return "".join(pages(content).values()), markdown(content)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    made_up.results(folder, made_up.params())
    return folder


@pytest.fixture(scope="module")
def files(root: Path) -> dict[str, bytes]:
    return written(root, made_up.params())


@pytest.fixture(scope="module")
def page(files: dict[str, bytes]) -> str:
    """All pages but the front page, one after the other, the summary first."""
    names = sorted(files, key=lambda name: (name != "pages/summary.html", name))
    return "".join(files[name].decode() for name in names if name.startswith("pages/"))


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Params]:
    """A DBN and two methods from one seed: what a test may change."""
    settings = made_up.params(methods=["ebgan", "magan"], variants=[], seeds=(0,))
    made_up.results(tmp_path, settings)
    return tmp_path, settings


class Elements(HTMLParser):
    """Tags with their attributes, and whether every element was closed."""

    VOID = frozenset({"meta", "link", "img", "path", "source", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_every_system_of_params_is_on_the_page(page: str, files: dict[str, bytes]) -> None:
    settings = made_up.params()
    for title in ("DBN", "DCGAN", "EBGAN", "EBGAN-PT", "BEGAN", "MAGAN", "BEGAN, γ = 0.5"):
        assert f'<th scope="row">{title}</th>' in page
        assert f"| {title} |" in files["results.md"].decode()
    for seed in settings.run.seeds:
        assert f"BEGAN, γ = 0.7, seed {seed}" in page
    assert f'missing-value">{numbers.NOT_RUN}' not in page


def test_results_that_params_does_not_name_stay_out(small: tuple[Path, Params]) -> None:
    root, settings = small
    rng = np.random.default_rng(0)
    made_up.run(root, "digits", "dcgan", 0, rng)
    made_up.run(root, "digits", "ebgan", 7, rng)
    made_up.run(root, "old", "ebgan", 0, rng)
    (root / "reports" / "figures").mkdir(parents=True)
    (root / "reports" / "figures" / "digits-dcgan.svg").write_text("of an earlier run")
    files = written(root, settings, [])  # claims name systems, run or not
    for name in ("index.html", "results.md", "summary.json"):
        text = files[name].decode().lower()
        assert "dcgan" not in text
        assert "seed 7" not in text
        assert '"old"' not in text
    assert not [name for name in files if "dcgan" in name]


def test_a_missing_run_reads_not_run_here(small: tuple[Path, Params]) -> None:
    root, settings = small
    for folder in ("models", "results"):
        shutil.rmtree(root / folder / "digits" / "magan")
    page, results = told(root, settings)
    row = re.search(r'<th scope="row">MAGAN</th>.*?</tr>', page, re.S)
    assert row and numbers.NOT_RUN in row[0]
    assert "2 of 3 trainings measured" in results


def test_a_report_of_nothing_says_so(tmp_path: Path) -> None:
    files = written(tmp_path, made_up.params())
    assert "0 of 24 trainings measured" in files["results.md"].decode()
    page = files["pages/digits.html"].decode()
    assert page.count(numbers.NOT_RUN) > len(made_up.params().run.names)


def test_a_value_that_was_not_measured_shows_its_reason(page: str, files: dict[str, bytes]) -> None:
    reason = "no Inception weights: set EBMREPRO_INCEPTION"
    assert f"not measured: {reason}" in page
    assert f"Fréchet Inception distance (FID): {reason}" in page
    assert reason in files["results.md"].decode()
    assert "fid" not in json.loads(files["summary.json"])["digits"]["began"]


def test_numbers_in_inception_features_stand_with_the_hash_of_the_weights(
    small: tuple[Path, Params],
) -> None:
    root, settings = small
    values = {"fid": 31.25, "inception_score": 5.5, "inception_score_sd": 0.25, "kid": 0.0125}
    values |= {"precision_inception": 0.625, "recall_inception": 0.375}
    for path in (root / "results" / "digits").glob("*/*/metrics.json"):
        measured = json.loads(path.read_text())
        measured["values"] |= values
        measured["reasons"] = {}
        measured["protocol"] |= {"inception_sha256": "6726825d...", "kid": "all images at once"}
        path.write_text(json.dumps(measured))
    path = root / "results" / "digits" / "reference" / "reference.json"
    told_of_real = json.loads(path.read_text())
    told_of_real["rows"]["held_out"] = {"values": {"fid": 3.5}}
    path.write_text(json.dumps(told_of_real))

    _, results = told(root, settings)
    table = results.partition("In features of the Inception network")[2]
    named, rows = table.partition("The numbers in Inception features")[::2]
    assert "| Real images of another split | 3.50 | –" in named
    row = next(line for line in named.splitlines() if line.startswith("| MAGAN"))
    assert all(number in row for number in ("31.2", "5.50", "0.25", "0.0125", "0.625", "0.375"))
    assert "- inception sha256: 6726825d...\n- kid: all images at once\n" in rows
    assert results.count("Precision, Inception features") == 2  # and in the glossary, nowhere else
    headline = results.partition("the numbers to look at first")[2].partition("MAGAN")[2]
    assert headline.split("|")[1].startswith(" 31.2")


def test_what_is_no_system_stands_above_the_systems_with_its_flags(page: str) -> None:
    row = re.search(r'<th scope="row">Copies of training images</th>(.*?)</tr>', page, re.S)
    assert row and re.findall(r">([^<>]+)</span>", row[1]) == ["0.250", "–", "–", "10.0", "–", "–"]
    flag = "Fréchet distance, DBN features: sits with copies of the training images"
    assert "<sup>" in row[1] and flag in page
    assert page.index("Copies of training images</th>") < page.index("Uniform noise</th>")
    assert "rows that are no system: 160 images</li>" in page


def test_a_system_that_copies_is_noted_and_never_the_best(small: tuple[Path, Params]) -> None:
    root, _ = small
    settings = made_up.params(methods=["ebgan", "magan"], variants=[], seeds=(0, 1, 2))
    made_up.results(root / "more", settings)
    for seed in settings.run.seeds:
        for name, flags in (("ebgan", {}), ("magan", {"fd_dbn": COPIES})):
            path = root / f"more/results/digits/{name}/{seed}/metrics.json"
            measured = json.loads(path.read_text())
            measured["values"]["fd_dbn"] = {"ebgan": 9.0, "magan": 0.1}[name] + seed / 1000
            measured["flags"] = flags
            path.write_text(json.dumps(measured))
    _, results = told(root / "more", settings)
    table = results.partition("**Distances and scores.**")[2].partition("**Fidelity")[0]
    assert "| MAGAN | 0.101<sup>" in table and "**0.101**" not in table
    assert f"Fréchet distance, DBN features: {COPIES}" in table


def test_the_summary_compares_the_classifier_with_and_without_pretraining(page: str) -> None:
    number = r"0\.0\d{3} \[0\.0\d{3}, 0\.0\d{3}\]"
    assert re.search(rf"test error, pretrained {number}; test error, random start {number}\.", page)


def test_a_flag_is_noted_under_its_table(page: str) -> None:
    assert "Kernel distance, DBN features: only 80 images of reference</li>" in page


def test_a_value_that_is_not_finite_is_left_out_and_named(small: tuple[Path, Params]) -> None:
    root, settings = small
    path = root / "results" / "digits" / "ebgan" / "0" / "metrics.json"
    measured = json.loads(path.read_text())
    measured["values"]["fd_dbn"] = float("nan")
    path.write_text(json.dumps(measured))
    page, _ = told(root, settings)
    assert "Fréchet distance, DBN features: not a finite number" in page
    assert ">nan<" not in page


def test_one_seed_has_no_interval(small: tuple[Path, Params]) -> None:
    root, settings = small
    _, results = told(root, settings)
    row = next(line for line in results.splitlines() if line.startswith("| EBGAN |"))
    assert "[" not in row
    assert "**" not in row  # and nothing is the best


def test_the_best_is_bold_only_when_intervals_do_not_overlap(small: tuple[Path, Params]) -> None:
    root, _ = small
    settings = made_up.params(methods=["ebgan", "magan"], variants=[], seeds=(0, 1, 2))
    made_up.results(root / "more", settings)

    def distances(values: dict[str, list[float]]) -> str:
        for name, own in values.items():
            for seed, value in enumerate(own):
                path = root / "more" / "results" / "digits" / name / str(seed) / "metrics.json"
                measured = json.loads(path.read_text())
                path.write_text(json.dumps(measured | {"values": {"fd_dbn": value}}))
        suite = gather(root / "more", settings)[0]
        table = numbers.table(("t", "", ""), suite.systems, ["fd_dbn"])
        return " ".join(label for label, cells in table.rows if cells[0].best)

    apart = {"dbn": [9.0, 9.1, 9.2], "ebgan": [1.0, 1.1, 1.2], "magan": [5.0, 5.1, 5.2]}
    assert distances(apart) == "EBGAN"
    assert distances(apart | {"magan": [1.1, 1.2, 1.3]}) == ""


def test_names_are_escaped_everywhere(tmp_path: Path) -> None:
    settings = made_up.params("<b>", ["ebgan", "<i>$x$"], ["<i>$x$__|y|"], (0,))
    made_up.results(tmp_path, settings)
    files = written(tmp_path, settings)
    for name in ("index.html", "pages/b.html", "results.md"):
        text = files[name].decode().lower()
        assert "<b>" not in text
        assert "<i>" not in text
        assert "&lt;b&gt;" in text
        assert name == "results.md" or Elements(files[name].decode()).open == []
    assert "\\|y\\|" in files["results.md"].decode()
    assert all(re.fullmatch(r"(figures|pages|plots|tables)/[\w.-]+|[\w.]+", n) for n in files)


def html(files: dict[str, bytes]) -> dict[str, str]:
    """The pages of the report; landscape.html is a program, with tests of its own."""
    pages = {name for name in files if name.endswith(".html")} - {"landscape.html"}
    return {name: files[name].decode() for name in pages}


def test_no_page_fetches_anything(files: dict[str, bytes]) -> None:
    for page in html(files).values():
        elements = Elements(page)
        assert elements.open == []
        assert not [tag for tag, _ in elements.found if tag in ("script", "iframe", "object")]
        for tag, attributes in elements.found:
            for key in ("src", "href", "xlink:href", "srcset"):
                there = attributes.get(key) or "#"
                assert ":" not in there or there.startswith("data:")
                assert tag == "a" or there.startswith(("#", "data:"))
        assert "url(http" not in page
        assert "@import" not in page


def test_no_line_ends_between_a_number_and_its_percent_sign(files: dict[str, bytes]) -> None:
    for page in html(files).values():
        assert not re.search(r"\d %", page)


def test_every_part_of_a_page_is_in_its_contents_once(files: dict[str, bytes]) -> None:
    for name, page in html(files).items():
        contents = re.search(r"<nav.*?</nav>", page, re.S)
        assert contents
        if name != FRONT:
            found = Elements(page).found
            own = ("main", "section", "details")
            ids = [f"#{a['id']}" for tag, a in found if tag in own and "id" in a]
            links = [a["href"] or "" for tag, a in Elements(contents[0]).found if tag == "a"]
            assert sorted(ids) == sorted(link for link in links if link.startswith("#"))
            assert len({*links}) == len(links)


def test_no_link_leads_nowhere(files: dict[str, bytes]) -> None:
    ids = {
        name: [a["id"] for _, a in Elements(t).found if "id" in a]
        for name, t in html(files).items()
    }
    assert all(len({*own}) == len(own) for own in ids.values())
    for name, page in html(files).items():
        for target in {a["href"] or "" for tag, a in Elements(page).found if tag == "a"}:
            path, _, anchor = target.partition("#")
            to = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
            elsewhere = ("../results/", "../site/lecture.html")  # the latter by `make docs`
            assert to in files or to.startswith(elsewhere), (name, target)
            assert not anchor or anchor in ids[to], (name, target)


def test_what_the_former_page_had_at_its_top_is_found_from_the_front_page(
    files: dict[str, bytes],
) -> None:
    ids = {a["id"] for _, a in Elements(html(files)[FRONT]).found if "id" in a}
    assert {"digits", "tour" if "pages/tour.html" in files else "plane", "claims", "lecture"} <= ids


def test_tables_can_be_taken_along_as_numbers(files: dict[str, bytes]) -> None:
    rows = list(csv.DictReader(files["tables/digits-quality.csv"].decode().splitlines()))
    magan = next(row for row in rows if row["System"] == "MAGAN")
    distance = "Fréchet distance, DBN features, squared distance; lower is better"
    low, high = json.loads(magan[f"{distance}: below"])
    assert low < float(magan[distance]) < high
    tables = re.findall(r'<table(?: class="words")?>', "".join(html(files).values()))
    assert 0 < len(tables) == sum(name.startswith("tables/") for name in files)


def test_every_claim_is_on_the_page_with_its_verdict_numbers_command_and_run(
    page: str, files: dict[str, bytes]
) -> None:
    told = json.loads(files["claims.json"])["claims"]
    assert told
    for claim in told:
        assert page.count(f'id="claim-{claim["id"]}"') == 1
        assert f'<a id="claim-{claim["id"]}"></a>' in files["results.md"].decode()
    row = re.search(r'<tr id="claim-energy-detects".*?</dl>', page, re.S)
    assert row
    for text in (
        '<span class="verdict verdict-',
        'href="../../results/digits/ebgan/0/metrics.json"',
        'href="../pages/digits.html#digits-histograms"',
        "dvc repro evaluate@digits-ebgan",
        "experiment ebmrepro/digits, runs ebgan-0, ebgan-1, ebgan-2",
    ):
        assert text in row[0]


def test_every_part_of_the_lecture_has_its_claims_and_figures(page: str) -> None:
    for topic in form.TOPICS:
        part = re.search(rf'<section id="lecture-{topic}">.*?</section>', page, re.S)
        assert part, topic
        assert 'href="../pages/claims.html#claim-' in part[0], topic
    began = re.search(r'<section id="lecture-began">.*?</section>', page, re.S)
    assert began and 'href="../pages/digits.html#digits-control"' in began[0]


def test_a_report_without_verdicts_has_no_claims(small: tuple[Path, Params]) -> None:
    root, settings = small
    page, _ = told(root, settings)
    assert 'id="claims"' not in page
    assert 'id="lecture"' not in page


def test_the_same_results_give_the_same_bytes(small: tuple[Path, Params]) -> None:
    root, settings = small
    copy = root / "elsewhere"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns("elsewhere"))
    once, again = written(root, settings), written(copy, settings)
    assert {name for name in once if once[name] != again.get(name)} == set()
    assert again.keys() == once.keys()


def test_every_figure_is_there_as_svg_and_as_png(files: dict[str, bytes]) -> None:
    names = {name.removeprefix("figures/") for name in files if name.startswith("figures/")}
    stems = {name.rpartition(".")[0] for name in names}
    assert names == {f"{stem}.{ending}" for stem in stems for ending in ("svg", "png")}
    parts = "samples scores comparison energies control histograms dbn-filters dbn-fine-tuning"
    of_suite = {f"digits-{p}" for p in [*parts.split(), "dbn-gradients", "sweep-began-gamma"]}
    assert stems == {"front-digits-samples", "front-energies", "front-control", *of_suite}


def test_figures_on_the_page_take_their_colours_from_it(page: str) -> None:
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, re.S))
    assert "var(--ink)" in drawings
    assert not [c for c in figures.variables().values() if c in drawings]
    assert not re.findall(r"(?:stroke|fill): #[0-9a-f]{6}", drawings)


def test_the_summary_holds_means_over_seeds(root: Path, files: dict[str, bytes]) -> None:
    values = [
        json.loads((root / f"results/digits/dbn/{seed}/metrics.json").read_text())["values"]
        for seed in (0, 1, 2)
    ]
    summary = json.loads(files["summary.json"])["digits"]
    mean = interval([v["error_pretrained"] for v in values], "logit").mean
    assert summary["dbn"]["error_pretrained"] == pytest.approx(mean, abs=1e-6)
    assert summary.keys() == set(made_up.params().run.names)


def test_plots_hold_a_row_for_each_epoch_and_blanks_where_nothing_was_measured(
    files: dict[str, bytes],
) -> None:
    rows = list(csv.DictReader(files["plots/digits-magan.csv"].decode().splitlines()))
    assert len(rows) == made_up.EPOCHS
    assert rows[0]["fake"] == ""
    assert float(rows[-1]["fake"]) > float(rows[-1]["real"])


def test_a_variant_is_told_by_what_it_changes(page: str) -> None:
    assert words.system("began__gamma_05", [("hparams.gamma", 0.5)]) == "BEGAN, γ = 0.5"
    assert words.system("ebgan__no_hinge", [("hparams.hinge", False)]) == "EBGAN, no hinge"
    assert words.system("ebgan__wide", [("a", 1), ("b", 2)]) == "EBGAN, wide"
    row = re.search(r'<th scope="row">BEGAN, γ = 0.5</th><td><span>began__gamma_05.*?</tr>', page)
    assert row and re.findall(r"<span>(.*?)</span>", row[0])[1:] == ["hparams.gamma", "0.9", "0.5"]


def test_a_broken_result_is_named(small: tuple[Path, Params]) -> None:
    root, settings = small
    (root / "results/digits/magan/0/metrics.json").write_text("{")
    with pytest.raises(UserError, match=r"magan.0.metrics\.json: not JSON"):
        gather(root, settings)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1234.5, 1, "1,234.5"),
        (-0.25, 2, "−0.25"),
        (0.0, 2, "0.00"),
        (-0.031, 1, "−0.031"),  # two figures where the decimals would leave none
        (0.00012, 3, "0.00012"),
        (6.6e-05, 3, "6.6e−05"),
    ],
)
def test_numbers_are_printed_as_read(value: float, digits: int, text: str) -> None:
    assert numbers.number(value, digits) == text
