"""Suites that are not run here: their results come with the repository, and nothing else does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import made_up
import numpy as np
import pytest
from params_file import shipped
from ruamel.yaml import YAML

from ebmrepro.claims import claims_file, judgements, measurements
from ebmrepro.claims.form import Claim
from ebmrepro.config import training
from ebmrepro.config.params import Params
from ebmrepro.networks import images
from ebmrepro.report import claims as told_claims
from ebmrepro.report.gather import Suite, gather
from ebmrepro.report.markdown import markdown
from ebmrepro.report.page import pages
from ebmrepro.report.sections import sections
from ebmrepro.report.suite import of_suite
from ebmrepro.runs import carried
from ebmrepro.system.errors import UserError

ROOT = Path(__file__).parents[2]
SETTINGS = shipped()
CLAIMS = {c.id: c for c in claims_file.load(SETTINGS, ROOT / "reports" / "claims.yaml")}
SOME = [CLAIMS[name] for name in ("dbn-updown-error", "dbn-updown-helps", "pca-error")]
HERE = made_up.params(methods=["ebgan"], variants=[], seeds=(0,), others=("mnist",))
THERE = made_up.params("mnist", methods=["ebgan", "dbn_updown"], variants=[], seeds=(0, 1, 2))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits that were run here from one seed, and an MNIST that was run from three before."""
    root = tmp_path_factory.mktemp("project")
    made_up.results(root, HERE)
    made_up.results(root, THERE)
    made_up.provenance(root, "mnist")
    carried.collect(root, root, "mnist", "beside other trainings")
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """The same, for a test to change."""
    return Path(shutil.copytree(built, tmp_path / "project"))


def document(root: Path, settings: Params = HERE, claims: Sequence[Claim] = SOME) -> Any:
    return json.loads(json.dumps(judgements.document(claims, settings, root)))["claims"]


def mnist(root: Path) -> Suite:
    return next(suite for suite in gather(root, HERE) if suite.name == "mnist")


def words(root: Path) -> str:
    return markdown([of_suite(mnist(root), document(root))])


# The report --------------------------------------------------------------------------------------


def test_a_clone_without_models_and_data_shows_the_same_bytes(root: Path) -> None:
    def shown() -> tuple[str, str]:
        judged = json.loads(json.dumps(judgements.document(SOME, HERE, root)))
        content = sections(gather(root, HERE), judged)
        return "".join(pages(content).values()), markdown(content)

    shutil.rmtree(root / "models" / "digits")  # what is shown of these differs, as it should
    assert list((root / "models" / "mnist").rglob("model.safetensors"))
    before = shown()
    for folder in ("models", ".ebmrepro"):
        shutil.rmtree(root / folder)
    assert {path.name for path in root.iterdir()} == {"results"}
    assert shown() == before
    assert "MNIST at the papers&#39; scale (carried)" in before[0]


def test_what_is_carried_is_what_lies_there_and_not_what_the_run_names(root: Path) -> None:
    suite = mnist(root)
    assert suite.carried
    assert {s.name: [run.seed for run in s.runs] for s in suite.systems} == {
        name: [0, 1, 2] for name in ("dbn", "ebgan", "dbn_updown")
    }
    shutil.rmtree(root / "results/mnist/ebgan/1")
    seeds = {s.name: [run.seed for run in s.runs] for s in mnist(root).systems}
    assert seeds["ebgan"] == [0, 2]


def test_a_suite_that_is_run_is_not_carried(root: Path) -> None:
    found = gather(root, made_up.params("mnist", ["ebgan"], [], (0,), ("digits",)))
    assert [(suite.name, suite.carried) for suite in found] == [("mnist", False), ("digits", True)]


def test_numbers_are_those_of_the_training_and_epochs_those_before_the_budget(root: Path) -> None:
    for seed in (0, 1, 2):
        path = root / f"results/mnist/ebgan/{seed}/training.json"
        card = json.loads(path.read_text())
        card["params"]["hparams"]["margin"] = 7.5
        path.write_text(json.dumps(card))
    system = next(s for s in mnist(root).systems if s.name == "ebgan")
    assert system.number("hparams.margin") == 7.5
    assert card["params"]["hparams"]["epochs"] == made_up.BUDGET * made_up.EPOCHS
    assert system.number("hparams.epochs") == made_up.EPOCHS


def test_each_published_number_has_its_row_with_all_it_rests_on(root: Path) -> None:
    text = words(root)
    (row,) = (line for line in text.splitlines() if line.startswith("| The generative DBN"))
    for part in (
        "0.0125 (1.25 %) of test images",
        "Table 1 and section 6.1 (verified in a third party's text or code)",
        "n = 3<",
        "not yet",
        "| 25 %<sup>3</sup><br><sub>3 trainings: 3 min</sub> |",
    ):
        assert part in row
    assert "\n3. Made-up GPU; beside other trainings\n" in text
    assert (
        r"dvc exp run -S 'run.suites=\[mnist\]' -S 'run.methods=\[dbn_updown\]' "
        r"-S 'run.variants=\[\]' -S 'run.seeds=\[0,1,2\]' evaluate@mnist-dbn_updown"
    ) in text
    assert "Thirty principal components" not in "".join(re.findall(r"^\|.*", text, re.M))
    assert "- Thirty principal components" in text and "13.87 squared error" in text


def test_a_result_of_another_training_is_not_given_the_hardware_of_the_first(root: Path) -> None:
    for path in root.glob("results/mnist/dbn_updown/*/metrics.json"):
        found = json.loads(path.read_text()) | {"fingerprint": "0" * 64}
        path.write_text(json.dumps(found))
    text = words(root)
    row = next(line for line in text.splitlines() if line.startswith("| The generative DBN"))
    assert "| 25 %<sup>3</sup> |" in row and "\n3. not stated" in text


def test_depths_stand_in_order_with_their_shares(root: Path) -> None:
    rng = np.random.default_rng(0)
    for name, layers, error in (("dbn__deep", [32] * 3, 0.05), ("dbn__flat", [32], 0.07)):
        made_up.run(root, "mnist", name, 0, rng)
        place = root / "results/mnist" / name / "0"
        card = json.loads((place / "training.json").read_text())
        card["params"]["hparams"] = {"layers": layers}
        (place / "training.json").write_text(json.dumps(card))
        measured = json.loads((place / "metrics.json").read_text())
        measured["values"] |= {"error_pretrained": error, "grad_norm_random_1": 0.5}
        measured["budget"] = {"epoch_fraction": 0.01, "epochs": {}}
        (place / "metrics.json").write_text(json.dumps(measured))
    table = words(root).partition("**Test error by depth.**")[2].partition("**Gradients")[0]
    labels = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| DBN")]
    assert labels == ["DBN, flat: 32; 1 %", "DBN: 32-32; 25 %", "DBN, deep: 32-32-32; 1 %"]


def test_the_first_images_of_a_grid_come_back_as_they_were() -> None:
    rng = np.random.default_rng(3)
    for channels, n, columns in ((1, 100, 10), (3, 7, 4)):
        drawn = rng.integers(0, 256, (n, channels, 5, 6), dtype=np.uint8)
        back = images.tiles(images.grid(drawn, columns), (channels, 5, 6), n)
        assert np.array_equal(back, drawn)
    with pytest.raises(ValueError, match="no grid of 9 images"):
        images.tiles(images.grid(drawn, columns), (3, 5, 6), 9)


# Claims ------------------------------------------------------------------------------------------


def judged(root: Path, name: str) -> dict[str, Any]:
    """The judgement of a shipped claim on MNIST."""
    (claim,) = document(root, claims=[CLAIMS[name]])
    return next(j for j in claim["judgements"] if j["suite"] == "mnist")


def test_a_claim_is_judged_on_carried_results_and_says_so(root: Path) -> None:
    found = judged(root, "dbn-updown-error")
    assert found["verdict"] == "not yet" and found["parts"][0]["n"] == 3
    assert found["reason"] == "25 % of the epochs, 100 % are needed"
    assert found["carried"] == "carried: run before, on Made-up GPU"
    assert found["files"][0] == "results/mnist/dbn_updown/0/metrics.json"
    assert found["runs"] == [], "MLflow has the runs of this machine alone"
    (claim,) = document(root, claims=[CLAIMS["dbn-updown-helps"]])
    there = {j["suite"]: j["carried"] for j in told_claims.shown(claim, ["digits"])}
    assert there == {"digits": "", "mnist": "carried: run before, on Made-up GPU"}


def test_what_is_neither_run_nor_carried_still_reads_not_run_here(root: Path) -> None:
    found = judged(root, "rbm-cd25-likelihood")
    assert (found["verdict"], found["carried"], found["command"]) == ("not run here", "", "")
    assert found["reason"] == "results/mnist: rbm is not among what is carried"
    shutil.rmtree(root / "results" / "mnist")
    found = judged(root, "dbn-updown-error")
    assert found["verdict"] == "not run here" and "not among run.suites" in found["reason"]


def test_a_number_of_a_carried_claim_is_that_of_the_training(root: Path) -> None:
    files = measurements.Files(root, "mnist", HERE)
    assert files.number("ebgan", "hparams.epochs") == made_up.BUDGET * made_up.EPOCHS
    with pytest.raises(
        measurements.Missing, match=r"ebgan/0/training\.json: params\.hparams\.slope"
    ):
        files.number("ebgan", "hparams.slope")


def test_systems_that_ran_from_other_seeds_are_paired_where_they_meet(root: Path) -> None:
    shutil.rmtree(root / "results/mnist/dbn_updown/0")
    made_up.run(root, "mnist", "dbn_updown", 7, np.random.default_rng(1))
    found = document(root, claims=[claim(PAIR)])[0]["judgements"][0]["parts"][0]
    assert set(found["values"]) == {"1", "2"}
    assert found["verdict"] == "undecided" and "2 seeds, 3 are needed" in found["reason"]
    assert "Paired over the seeds that all of its systems have: 1, 2." in found["protocol"]


def test_systems_with_no_seed_in_common_are_not_run_here_and_the_reason_is_a_file(root: Path):
    """Not that all their seeds had been seen, which is what no seed at all would read as."""
    for lost in ("dbn", "ebgan/1", "ebgan/2", "dbn_updown/0", "dbn_updown/2"):
        shutil.rmtree(root / "results/mnist" / lost)
    (found,) = document(root, claims=[claim(PAIR)])[0]["judgements"]
    assert found["verdict"] == "not run here"
    missing = "results/mnist/dbn_updown/0/metrics.json: no such file (and 1 more)"
    assert found["reason"] == missing


PAIR = {
    "kind": "difference",
    "a": {"kind": "measure", "of": "ebgan", "measure": "fd_dbn"},
    "b": {"kind": "measure", "of": "dbn_updown", "measure": "fd_dbn"},
}


def claim(statistic: dict[str, Any]) -> Claim:
    return Claim.model_validate(
        {
            "id": "made-up",
            "claim": "It is so.",
            "paper": "ebgan",
            "source": "Table 9",
            "certainty": "ours",
            "published": [],
            "suites": ["mnist"],
            "seeds": {"mnist": 3},
            "shown": "quality",
            "tests": [{"statistic": statistic, "rule": {"kind": "above", "threshold": 0.0}}],
        }
    )


# What it ran on ----------------------------------------------------------------------------------


def known(root: Path, name: str, seed: int) -> Path:
    """The file in which this machine keeps what a training ran on."""
    card = json.loads((root / f"results/mnist/{name}/{seed}/training.json").read_text())
    return root / ".ebmrepro" / "provenance" / f"{card['fingerprint']}.json"


def entry(root: Path, name: str = "ebgan", seed: int = 0) -> carried.Entry:
    carried.collect(root, root, "mnist")
    return carried.provenance(root, "mnist")[name, seed]


def changed(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_result_without_provenance_is_refused_in_one_line(root: Path) -> None:
    (root / "results/mnist/provenance.json").unlink()
    known(root, "ebgan", 1).unlink()
    with pytest.raises(UserError, match=r"results/mnist/ebgan/1: found no \.ebmrepro"):
        carried.collect(root, root, "mnist")
    assert not (root / "results/mnist/provenance.json").exists()


def test_what_was_carried_from_another_machine_stays(root: Path) -> None:
    before = (root / "results/mnist/provenance.json").read_bytes()
    shutil.rmtree(root / ".ebmrepro")
    carried.collect(root, root, "mnist", "another note")
    assert (root / "results/mnist/provenance.json").read_bytes() == before


def test_a_training_that_ran_again_takes_the_place_of_the_first(root: Path) -> None:
    changed(known(root, "ebgan", 0), device="cpu", seconds=70.0, images_per_second=914.3)
    found = entry(root)
    assert found["seconds"] == 70.0
    assert re.fullmatch(r".+, 2 threads of a machine with \d+ cores", found["hardware"])


@pytest.mark.parametrize(
    ("seconds", "speed", "resumed", "in_all"),
    [
        (64.0, 1000.0, False, 64.0),
        (16.0, 1000.0, True, 64.0),
        (0.4, 0.0, True, None),
        (0.06, 986_132.5, False, 0.1),  # 0.0649 s: rounded away 8 % of the time, and nothing else
    ],
)
def test_the_time_of_a_resumed_training_follows_from_the_speed_of_its_last_part(
    root: Path, seconds: float, speed: float, resumed: bool, in_all: float | None
) -> None:
    """1,000 steps of 64 images, of which the last part showed seconds * speed."""
    changed(known(root, "ebgan", 0), seconds=seconds, images_per_second=speed)
    found = entry(root)
    assert (found["resumed"], found["seconds_in_all"]) == (resumed, in_all)
    told = {64.0: "64 s", 16.0: "about 64 s", 0.4: "time not known", 0.06: "0 s"}[seconds]
    assert carried.took([found]).endswith(told)


def test_a_stage_of_its_own_says_itself_how_long_it_took(root: Path) -> None:
    """It has no training.json, and the report's blocks for trainings pass it by."""
    place = root / "results/mnist/ebgan_grid/0"
    place.mkdir(parents=True)
    told = {"suite": "mnist", "method": "ebgan_grid", "seed": 0, "fingerprint": "9" * 64, "step": 1}
    told |= {key: {} for key in ("values", "counts", "intervals", "reference")}
    (place / "metrics.json").write_text(json.dumps(told))
    for table in ("scores.csv", "margin.csv"):
        (place / table).write_text("kind\n")
    told = json.loads(known(root, "ebgan", 0).read_text()) | {"seconds": 7200.0}
    (root / ".ebmrepro/provenance" / f"{'9' * 64}.json").write_text(json.dumps(told))
    found = entry(root, "ebgan_grid")
    assert carried.took([found]) == "1 training: 2 h 0 min"
    assert "ebgan_grid" not in {system.name for system in mnist(root).systems}


def test_measures_beside_the_card_of_another_training_are_refused(root: Path) -> None:
    changed(root / "results/mnist/ebgan/2/metrics.json", fingerprint="f" * 64)
    with pytest.raises(UserError, match="training ffffffffffff beside training"):
        carried.collect(root, root, "mnist")
    (root / "results/mnist/ebgan/2/training.json").unlink()
    with pytest.raises(UserError, match="no such file; evaluate ebgan again"):
        carried.collect(root, root, "mnist")


def test_the_command_line_refuses_what_cannot_be_carried_in_one_line(tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for suite, said in (("mnst", "did you mean 'mnist'?"), ("mnist", "then carry it")):
        line = [sys.executable, "-m", "ebmrepro", "carry", suite]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith(f"{said}\n") and done.stderr.count("\n") == 1


# The stages that measure -------------------------------------------------------------------------


def test_what_is_told_to_type_names_stages_of_the_pipeline() -> None:
    stages = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"]
    over = {"dbn": ["suite"], "ebgan": ["suite", "method"], "ebgan__x": ["suite", "variant"]}
    for name, matrix in over.items():
        stage, _, item = carried.targets("mnist", name, [0])[0].partition("@")
        assert list(stages[stage]["matrix"]) == matrix
        assert item == "-".join(["mnist", name][: len(matrix)])


def test_every_command_of_the_guide_names_blocks_and_stages_that_there_are() -> None:
    text = (ROOT / "docs/guide/mnist.md").read_text().replace("\\\n", "")
    commands = [line for line in text.splitlines() if line.startswith("dvc exp run")]
    assert len(commands) >= 9
    for line in commands:
        lists = dict(re.findall(r"-S 'run\.(\w+)=\[([\w,]+)\]'", line))
        suite, own = lists["suites"], lists.get("variants", "").split(",")
        own += lists.get("methods", "").split(",")
        there = SETTINGS.suites[suite].methods
        assert {n for n in own if n and n not in there and training.base(n) not in there} == set()
        seeds = [int(seed) for seed in lists["seeds"].split(",")]
        grids = ["ebgan_grid"] if "grids" in lists else []
        beside = [name for name in ("classifiers", "linear_codes") if name in lists]
        asked = ["dbn", *filter(None, own), *grids, *beside]
        known = {stage for name in asked for stage in carried.targets(suite, name, seeds)}
        targets = re.findall(r"\S+@\S+", line)
        assert targets and set(targets) <= known
        assert known - set(targets) <= {f"evaluate_dbn@{suite}"}
