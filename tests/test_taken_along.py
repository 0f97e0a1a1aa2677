"""Results to take along: one table of every number, and what others publish."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import made_up
import pandas as pd
import pytest
import torch

from ebmrepro import cli, results
from ebmrepro.data import downloads
from ebmrepro.pipeline.commands import export, fetch
from ebmrepro.system.errors import UserError

KEY = ["suite", "system", "seed", "measure"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up results, with a tour that measures some of the same."""
    root = tmp_path_factory.mktemp("project")
    made_up.results(root, made_up.params())
    tour = root / "results" / "digits" / "tour" / "metrics.json"
    tour.parent.mkdir()
    values = {"auroc_noise@ebgan": {"0": 0.5, "1": None}, "uniform": {"0": 1.0}}
    protocol = {"auroc_noise@ebgan": "on other images", "uniform": "of the uniform"}
    tour.write_text(
        json.dumps({"schema": 1, "values": values, "protocol": protocol, "reasons": {}})
    )
    measured = json.loads((root / "results/digits/ebgan/0/metrics.json").read_text())
    machine = {"device": "cpu x86_64", "threads": 1, "seconds": 1.0, "images_per_second": 1.0}
    machine |= {"started": "2026-01-02T03:04:05+00:00", "versions": {}, "commit": None}
    noted = root / ".ebmrepro" / "provenance" / f"{measured['fingerprint']}.json"
    noted.parent.mkdir(parents=True)
    noted.write_text(json.dumps(machine))
    return root


def test_hardware_is_that_of_the_training(project: Path):
    table = results.load(project)
    of = table[table.system == "ebgan"].groupby("seed").hardware.unique().map(list)
    assert of[0] == ["cpu x86_64, 1 thread"] and pd.isna(of[1]).all()


def test_every_number_of_every_file_is_one_row(project: Path):
    table = results.load(project)
    assert list(table.columns) == list(results.COLUMNS)
    assert not table.duplicated(KEY).any()
    files = sorted((project / "results").glob("*/*/[0-9]*/metrics.json"))
    assert files
    rows = table[table.seed.notna() & ~table.measure.str.startswith("tour/")].set_index(KEY)
    seen = 0
    for path in files:
        told = json.loads(path.read_text())
        for measure, value in told["values"].items():
            row = rows.loc[(told["suite"], told["method"], told["seed"], measure)]
            assert row.value == value or (value is None and pd.isna(row.value))
            assert all(said in row.protocol for said in told.get("protocol", {}).values())
            assert row.fraction == told["budget"]["epoch_fraction"]
            seen += 1
    assert seen == len(rows)


def test_what_could_not_be_measured_says_why(project: Path):
    table = results.load(project)
    lacking = table[table.value.isna()]
    assert len(lacking) and lacking.protocol.str.startswith("not measured: ").all()


def test_a_tour_measures_under_its_own_name(project: Path):
    table = results.load(project).set_index(KEY)
    row = table.loc[("digits", "ebgan", 0, "tour/auroc_noise")]
    assert row.value == 0.5 and row.protocol == "on other images"
    assert row.fraction == made_up.BUDGET
    assert table.loc[("digits", "tour", 0, "tour/uniform")].value == 1.0


def test_what_is_no_training_has_no_seed(project: Path):
    table = results.load(project)
    noise = table[(table.system == "noise") & (table.measure == "fd_dbn")]
    assert noise.seed.isna().all() and noise.value.tolist() == [99.0]
    assert noise.protocol.str.contains("160 images").all()


def test_curves_hold_every_epoch_of_every_seed(project: Path):
    table = results.curves("digits", "ebgan", "magan", root=project)
    assert (table.groupby(["system", "seed"]).epoch.count() == made_up.EPOCHS).all()
    assert set(table.system) == {"ebgan", "magan"} and table.seed.nunique() == 3
    for systems in (("bgan",), ("ebgan", "bgan")):
        with pytest.raises(UserError, match=r"results/digits: no system 'bgan'; .*'ebgan'\?"):
            results.curves("digits", *systems, root=project)


def test_the_project_is_found_from_a_folder_in_it(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(project / "results" / "digits")
    pd.testing.assert_frame_equal(results.load(), results.load(project))
    monkeypatch.chdir(project.parent)
    with pytest.raises(UserError, match=r"results: no such folder"):
        results.load()


def test_a_folder_that_is_no_seed_is_passed_over(project: Path, tmp_path: Path):
    there = project / "results" / "digits" / "ebgan" / "0"
    for name in ("0", "00", "²"):
        shutil.copytree(there, tmp_path / "results" / "digits" / "ebgan" / name)
    assert set(results.load(tmp_path).seed) == {0}


def test_a_damaged_file_is_one_line_that_names_it(project: Path, tmp_path: Path):
    path = tmp_path / "results" / "digits" / "ebgan" / "0" / "metrics.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"values": {')
    with pytest.raises(UserError) as error:
        results.load(tmp_path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_measure_that_has_no_words_is_there_all_the_same(project: Path, tmp_path: Path):
    told = json.loads(next((project / "results").glob("digits/ebgan/0/metrics.json")).read_text())
    path = tmp_path / "results" / "digits" / "ebgan" / "0" / "metrics.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**told, "values": {"of_another_version": 2.5}}))
    assert results.load(tmp_path).value.tolist() == [2.5]


def test_an_export_reads_back_as_the_table(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(project)
    monkeypatch.setattr(export.params, "load", made_up.params)
    export.export(csv=True, parquet=True, latex=True, out=tmp_path)
    table = results.load()
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "results.parquet"), table)
    read = pd.read_csv(tmp_path / "results.csv", dtype={"seed": "Int64"})
    pd.testing.assert_frame_equal(read, table, check_dtype=False)
    assert {path.name for path in tmp_path.iterdir()} == {"results.parquet", "results.csv", "latex"}
    text = (tmp_path / "latex" / "digits.tex").read_text()
    mean = table.query("system == 'magan' and measure == 'classes_covered'").value.mean()
    (row,) = (line for line in text.splitlines() if line.startswith("MAGAN "))
    assert r"95 \% interval" in text and not re.search(r"(?<!\\)%", text)  # which begins a comment
    assert f"& {mean:.1f}" in row and f"& 3 & {made_up.BUDGET:.3g} &" in row


def test_figures_are_those_of_the_report(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    drawn = [("figures/a.png", b"picture"), ("tables/a.csv", b"table")]
    monkeypatch.setattr("ebmrepro.report.files", lambda *_: iter(drawn))
    monkeypatch.setattr(export.params, "load", made_up.params)
    export.export(figures=True, out=tmp_path)
    assert [path.name for path in tmp_path.rglob("*.*")] == ["a.png"]


def test_no_network_for_inception_is_one_line_that_says_what_to_do(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def away(*_: object) -> Path:
        raise downloads.Unavailable("the network is away")

    monkeypatch.setattr(downloads, "download", away)
    monkeypatch.setattr(sys, "argv", ["ebmrepro", "fetch", "inception"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    told = capfd.readouterr().err
    assert end.value.code == 2 and told.count("\n") == 1
    assert all(word in told for word in (fetch.URL, "EBMREPRO_INCEPTION_WEIGHTS", "is away"))


def test_inception_lands_where_evaluations_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from hashlib import sha256

    from ebmrepro.metrics import inception

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    content = b"weights"

    def network(_: str, output_file: str, __: object) -> None:
        Path(output_file).write_bytes(content)

    monkeypatch.setattr(downloads, "_fetch", network)
    monkeypatch.setattr(fetch, "SHA256", sha256(content).hexdigest())
    fetch.inception()
    found, reason = inception.find_weights(sha256(content).hexdigest()[:8])
    assert reason is None and found is not None and found.read_bytes() == content
    assert inception.SHA256_PREFIX == "6726825d"


def test_the_hash_of_inception_is_that_of_its_name():
    from ebmrepro.metrics import inception

    assert fetch.SHA256.startswith(inception.SHA256_PREFIX) and len(fetch.SHA256) == 64
    assert fetch.SHA256[:8] in inception.FILE_NAME


def test_a_row_of_latex_has_the_numbers_of_its_own_system(project: Path):
    ((_, text),) = export._latex(results.load(project))
    rows = {line.split(" & ")[0]: line for line in text.splitlines()}
    # By hand: of three seeds' logarithms the mean and its t-interval, and exp of them.
    distances = {"EBGAN": "2.06 [1.92, 2.21]", "MAGAN": "1.97 [1.34, 2.89]"}
    for title, told in (distances | {"DBN": "1.01 [0.53, 1.92]"}).items():
        assert f" & {told} & " in rows[title]


def test_a_mean_of_latex_is_of_the_seeds_that_one_dbn_measured(project: Path, tmp_path: Path):
    shutil.copytree(project / "results", tmp_path / "results")
    path = tmp_path / "results/digits/ebgan/1/metrics.json"
    document = json.loads(path.read_text())
    document["protocol"]["extractor_sha256"] = "0" * 64
    path.write_text(json.dumps(document))
    table = results.load(tmp_path)
    a, b = table.query("measure == 'fd_dbn' and system == 'ebgan' and seed != 1").value
    ((_, text),) = export._latex(table)
    row = next(line for line in text.splitlines() if line.startswith("EBGAN & "))
    assert f" & {(a * b) ** 0.5:.2f} " in row and " n = 2 & " in row
