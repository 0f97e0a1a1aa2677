"""The pipeline end to end, as a person runs it, on a small budget in a clone of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ebmrepro.networks import images
from ebmrepro.system import reading

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DVC = [sys.executable, "-W", "ignore", "-m", "dvc"]
METHODS = ["dcgan", "ebgan", "ebgan_pt", "began", "magan", "dbn_updown"]

# A method in one file: an energy that is the distance from the mean image, sampled from memory.
TEMPLATE = '''
"""The mean image as an energy: a method for a test."""
import torch
from ebmrepro.methods.base.method import Method, Turn
from ebmrepro.config.documents import Strict
from ebmrepro.config.types import Epochs, Positive


class Mean(Method):
    players = ("D",)

    class Hparams(Strict):
        epochs: Epochs
        spread: Positive

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        self.D = torch.nn.Linear(1, torch.Size(shape).numel())

    def energy(self, x):
        return (x.flatten(1) - self.D.bias).square().sum(1)

    def sample(self, n):
        noise = torch.randn(n, self.D.bias.numel()) * self.hp.spread
        return (self.D.bias + noise).clamp(-1, 1).unflatten(1, self.shape)

    def step(self, x, epoch):
        yield Turn("D", self.energy(x).mean(), {"energy/real": self.energy(x).mean()})
'''
BLOCK = """    mean:
      epoch_fraction: 1.0
      batch_size: 64
      grids: 1
      optim:
        D:
          name: adam
          lr: 0.1
          beta1: 0.9
          beta2: 0.999
      hparams:
        epochs: 2
        spread: 0.1
"""


class Project:
    """A clone of this project, with the commands that a person types in it."""

    first: str  # what the first `dvc repro` printed

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("EBMREPRO", "DVC", "GIT"))},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(folder),  # the clone's own package, not the one that is installed
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@example.org",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@example.org",
        }

    def run(self, *command: str, ok: bool = True) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert (done.returncode == 0) is ok, said[-4000:]
        return said

    def dvc(self, *words: str) -> str:
        return self.run(*DVC, *words)

    def edit(self, *changes: tuple[str, str]) -> None:
        """Replace the first match of each pattern in params.yaml."""
        path = self.folder / "params.yaml"
        text = path.read_text()
        for pattern, after in changes:
            assert re.search(pattern, text), pattern
            text = re.sub(pattern, after, text, count=1)
        path.write_text(text)

    def repro(self) -> set[str]:
        """Run the pipeline the warm way; the stages that ran."""
        said = self.run(sys.executable, "-m", "ebmrepro", "repro")
        return set(re.findall(r"^ *\d+/\d+ (\S+): (?!taken)", said, re.MULTILINE))

    def files(self, *patterns: str) -> dict[str, bytes]:
        found = sorted(path for pattern in patterns for path in self.folder.glob(pattern))
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def points(self) -> dict[str, int]:
        """Points that MLflow holds, by run name and seed."""
        code = (
            "import json; from pathlib import Path; from ebmrepro.tracking.store import Store\n"
            "store = Store(Path()); client = store.client\n"
            "found = [e for e in client.search_experiments() if e.name.startswith('ebmrepro/')]\n"
            "out = {}\n"
            "for run in client.search_runs([e.experiment_id for e in found], max_results=1000):\n"
            "    if run.data.tags.get('ebm.kind') == 'report':\n"
            "        continue\n"
            "    key = run.data.tags['ebm.fingerprint']\n"
            "    assert key not in out, 'a run stands there twice'\n"
            "    out[key] = sum(len(client.get_metric_history(run.info.run_id, m))\n"
            "                   for m in run.data.metrics)\n"
            "print(json.dumps(out))"
        )
        return json.loads(self.run(sys.executable, "-W", "ignore", "-c", code).splitlines()[-1])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone whose pipeline has run once: one seed, a fiftieth of the epochs."""
    folder = tmp_path_factory.mktemp("clone") / "ebmrepro"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if name != "dvc.lock" and not name.startswith("results/") and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    project = Project(folder)
    project.run("git", "init", "--quiet")
    project.edit(
        ("budget: 1.0", "budget: 0.02"),
        (r"seeds: \[3, 4, 5, 6, 7\].*", "seeds: [0]"),
        (r"(fundamentals:\n  seeds: ).*", r"\g<1>[0, 1, 2]"),
        ("generated: 2000", "generated: 300"),
        ("steps: 300", "steps: 10"),  # of the plane: contrastive divergence,
        ("steps: 350", "steps: 10"),  # maximum likelihood,
        ("steps: 400", "steps: 10"),  # EBGAN
        ("    chains: 400", "    chains: 10"),
        (r"{chains: 400", "{chains: 10"),
        ("ring_chains: 1000", "ring_chains: 10"),
        (r"(dials:.*\n    seeds: )\[3, 4, 5, 6, 7\]", r"\g<1>[0]"),
        ("moments: 50", "moments: 5"),
        ("steps: 1500", "steps: 50"),
        ("steps: 800", "steps: 50"),
        ("steps: 800", "steps: 50"),
        (r"epochs: 50(\n *batch_size: 20)", r"epochs: 2\1"),  # of the classifiers
        (r"epochs: 50(\n *batch_size: 20)", r"epochs: 2\1"),
        (r"variants: \[[^\]]*\]", "variants: [began__gamma_low]"),
    )
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "-m", "start")
    # Untracked, which halves its time: MLflow is to be able to catch up from the files alone.
    project.environment["EBMREPRO_TRACKING"] = "off"
    # The warm way; the tests below run single stages as plain `dvc repro` does and compare bytes.
    project.first = project.run(sys.executable, "-m", "ebmrepro", "repro")
    project.environment["EBMREPRO_TRACKING"] = "on"
    project.run(sys.executable, "-m", "ebmrepro", "track", "sync")
    return project


@pytest.fixture(scope="module")
def points(project: Project) -> dict[str, int]:
    """What MLflow holds of the first run."""
    return project.points()


@pytest.fixture
def copy(project: Project, tmp_path: Path) -> Project:
    """The same clone for a test that changes it, with all its runs in an MLflow of its own."""
    folder = tmp_path / "ebmrepro"
    shutil.copytree(project.folder, folder, symlinks=True)
    return Project(folder)


def test_it_ends_in_a_report_with_all_seven_systems(project: Project):
    assert "report: reports/index.html" in project.first
    page = (project.folder / "reports/index.html").read_text()
    for name in ("DBN", "DCGAN", "EBGAN", "EBGAN-PT", "BEGAN", "MAGAN", "DBN up-down"):
        assert name in page
    summary = json.loads((project.folder / "reports/summary.json").read_text())
    assert set(summary["digits"]) == {"dbn", *METHODS, "began__gamma_low"}


def test_a_second_time_there_is_nothing_to_do(project: Project):
    said = project.dvc("repro")
    assert "up to date" in said and "> python" not in said


def test_every_measurement_has_its_protocol(project: Project):
    for name in ("dbn", *METHODS):
        path = project.folder / f"results/digits/{name}/0/metrics.json"
        metrics = json.loads(path.read_text())
        assert metrics["values"]["fid"] is None and "Inception weights" in metrics["reasons"]["fid"]
        assert metrics["protocol"]["generated"].startswith("300 images")
        assert metrics["protocol"]["reference"] == "test split, 360 images"
        assert len(metrics["protocol"]["extractor_sha256"]) == 64
        told = metrics["flags"].get("classes_covered", "")
        assert ("asked for" in told) == (name == "dbn_updown")
        assert ("error_updown" in metrics["values"]) == (name == "dbn_updown")
        assert ("r_hat_samples" in metrics["values"]) == (name in ("dbn", "dbn_updown"))


def test_results_hold_what_a_report_needs_where_there_are_no_models_and_no_data(project: Project):
    for name in ("dbn", *METHODS):
        kept = project.folder / f"results/digits/{name}/0"
        model = project.folder / f"models/digits/{name}/0"
        assert (kept / "training.json").read_bytes() == (model / "run.json").read_bytes()
        assert (kept / "curves.csv").read_bytes() == (model / "curves.csv").read_bytes()
        metrics = json.loads((kept / "metrics.json").read_text())
        assert (
            metrics["budget"]["epoch_fraction"] == 0.02
            and "= 0.02)" in metrics["protocol"]["trained"]
        )
        drawn = np.load(project.folder / f"generated/digits/{name}/0.npy")[:64]
        shown = images.tiles(reading.pixels(kept / "samples.png"), (1, 8, 8), 64)
        assert np.array_equal(shown, drawn)
    metrics = json.loads((project.folder / "results/digits/dbn/0/metrics.json").read_text())
    epochs = metrics["budget"]["epochs"]
    assert set(epochs) == {"rbm_epochs", "finetune_epochs"}  # the warm-up is not scaled
    assert epochs["rbm_epochs"]["run"] < epochs["rbm_epochs"]["of"]
    real = reading.pixels(project.folder / "results/digits/reference/real.png")
    test = np.load(project.folder / "data/digits/test.npy")[:64]
    assert np.array_equal(images.tiles(real, (1, 8, 8), 64), test)
    told = json.loads((project.folder / "results/digits/reference/reference.json").read_text())
    dataset = json.loads((project.folder / "data/digits/dataset.json").read_text())
    assert told["dataset"] == dataset


def test_what_was_trained_here_can_be_carried(copy: Project):
    said = copy.run(sys.executable, "-m", "ebmrepro", "carry", "digits")
    told = json.loads((copy.folder / "results/digits/provenance.json").read_text())["trainings"]
    assert set(told) == {"classifiers", "dbn", *METHODS, "began__gamma_low"}
    assert "threads" in said or "thread " in said
    assert all(not own["0"]["resumed"] for own in told.values())


def test_the_same_seed_gives_the_same_bytes(copy: Project):
    kept = ("models/digits/*/*/model.safetensors", "models/digits/*/*/curves.csv")
    before = copy.files(*kept, "results/digits/*/*/metrics.json")
    assert len(before) == 3 * 8 + 1  # of the classifiers, their measures alone
    stages = ("train@digits-magan-0", "evaluate@digits-magan")
    copy.environment["EBMREPRO_TRACKING"] = "off"
    copy.dvc("repro", "--force", "--no-run-cache", "--single-item", *stages)
    copy.environment["EBMREPRO_TRACKING"] = "on"
    assert copy.files(*kept, "results/digits/*/*/metrics.json") == before


def test_every_run_is_in_mlflow_once_with_its_curves(project: Project, points: dict[str, int]):
    cards = project.files("models/digits/*/*/run.json").values()
    assert set(points) == {json.loads(card)["fingerprint"] for card in cards}
    assert min(points.values()) > 20


def test_an_edit_reruns_what_reads_it_and_reverting_runs_nothing(
    copy: Project, points: dict[str, int]
):
    began = r"(    began:\n(?:.*\n)*?        gamma: )[0-9.]+"
    original = (copy.folder / "params.yaml").read_text()
    copy.edit((began, r"\g<1>0.61"))
    asked_again = {"evaluate@digits-began", "tour@digits", "report"}
    assert copy.repro() == {"train@digits-began-0", *asked_again}

    (copy.folder / "params.yaml").write_text(original)
    said = copy.dvc("repro")
    assert "is cached - skipping run" in said and "> python" not in said
    copy.run(sys.executable, "-m", "ebmrepro", "track", "sync")
    after = copy.points()
    assert {key: after[key] for key in points} == points
    assert len(after) == len(points) + 1  # of the edit, which only its own training has told


def test_mlflow_can_be_rebuilt_from_the_files(copy: Project, points: dict[str, int]):
    (copy.folder / "mlflow.db").unlink()
    shutil.rmtree(copy.folder / "mlartifacts")
    copy.run(sys.executable, "-m", "ebmrepro", "track", "rebuild")
    assert copy.points() == points


def test_a_new_method_takes_one_file_and_one_block(copy: Project):
    (copy.folder / "ebmrepro/methods/mean.py").write_text(TEMPLATE)
    copy.edit(
        ("  methods:\n    dcgan:\n", "  methods:\n" + BLOCK + "    dcgan:\n"),
        (r"methods: \[dcgan", "methods: [dcgan, mean"),
    )
    ran = copy.repro()
    assert {"train@digits-mean-0", "evaluate@digits-mean", "report"} <= ran
    assert not {stage for stage in ran if stage.startswith("train@")} - {"train@digits-mean-0"}
    metrics = json.loads((copy.folder / "results/digits/mean/0/metrics.json").read_text())
    assert metrics["values"]["auroc_noise"] > 0.9  # noise is further from the mean than digits are
    assert ">MEAN<" in (copy.folder / "reports/pages/digits.html").read_text()


def test_a_wrong_parameter_stops_before_any_work(copy: Project):
    copy.edit(("lambda_k: ", "lamda_k: "))
    said = copy.run(*DVC, "repro", ok=False)
    assert "lamda_k: unknown key; allowed are" in said and "did you mean 'lambda_k'" in said
    assert "Traceback" not in said
