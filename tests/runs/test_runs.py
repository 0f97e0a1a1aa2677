"""A run on disk: curves that can be read while they grow, and resuming."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from params_file import shipped

from ebmrepro.runs.curves import Curves

ROOT = Path(__file__).parents[2]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_is_on_disk_as_soon_as_it_is_known(tmp_path: Path):
    curves = Curves(tmp_path / "curves.csv")
    for epoch in (1, 2):
        curves.append({"epoch": epoch, "loss/D": 0.5 * epoch})
        assert rows(curves.path)[-1] == {"epoch": str(epoch), "loss/D": f"{0.5 * epoch:.7g}"}


def test_a_new_phase_widens_the_table_and_leaves_cells_empty(tmp_path: Path):
    curves = Curves(tmp_path / "curves.csv")
    curves.append({"epoch": 1, "a": 1.0})
    curves.append({"epoch": 2, "b": 2.0})
    assert rows(curves.path) == [
        {"epoch": "1", "a": "1", "b": ""},
        {"epoch": "2", "a": "", "b": "2"},
    ]


def test_curves_of_a_resumed_run_are_those_of_a_whole_one(tmp_path: Path):
    records = [{"epoch": i, "loss": i / 7} for i in range(1, 5)]
    whole, resumed = Curves(tmp_path / "a.csv"), Curves(tmp_path / "b.csv", records[:2])
    for record in records:
        whole.append(record)
    for record in records[2:]:
        resumed.append(record)
    assert whole.path.read_bytes() == resumed.path.read_bytes()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the parameters and the data of the digits suite."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    run_stage(folder, "data", "digits")
    return folder


def run_stage(folder: Path, stage: str, *arguments: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, str(ROOT / "stages" / f"{stage}.py"), *arguments],
        cwd=folder,
        env={**os.environ, "EBMREPRO_TRACKING": "off", **environment},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def small_budget(folder: Path, share: float) -> None:
    text = (ROOT / "params.yaml").read_text().replace("budget: 1.0", f"budget: {share}", 1)
    (folder / "params.yaml").write_text(text)


def outputs(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_checkpoint_of_other_parameters_is_never_picked_up(project: Path):
    from ebmrepro.config import params
    from ebmrepro.runs import identity

    here = Path.cwd()
    try:
        os.chdir(project)
        identities = set()
        for share in (0.2, 0.3):
            small_budget(project, share)
            settings = params.load()
            identities |= {
                identity.fingerprint("digits", "magan", seed, settings) for seed in (0, 1)
            }
        assert len(identities) == 4
    finally:
        os.chdir(here)


def test_a_checkpoint_of_other_data_or_code_is_never_picked_up(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from ebmrepro.config import params
    from ebmrepro.runs import fingerprints, identity

    monkeypatch.chdir(project)
    small_budget(project, 0.2)
    settings = params.load()

    def now() -> str:
        return identity.fingerprint("digits", "magan", 0, settings)

    before = now()
    package = shutil.copytree(fingerprints.PACKAGE, tmp_path / "ebmrepro")
    monkeypatch.setattr(fingerprints, "PACKAGE", package)
    assert now() == before
    for name in (
        "methods/magan.py",
        "methods/base/method.py",
        "training/loop.py",
        "runs/curves.py",
    ):
        text = (package / name).read_text()
        (package / name).write_text(text + "# changed\n")
        assert now() != before, name
        (package / name).write_text(text)
    (package / "methods/began.py").write_text("# another method's")
    assert now() == before

    about = project / "data/digits/dataset.json"
    original = about.read_text()
    try:
        about.write_text(original.replace('"sha256": "', '"sha256": "0', 1))
        assert about.read_text() != original and now() != before
    finally:
        about.write_text(original)


@pytest.mark.slow
def test_provenance_stands_beside_the_results_and_not_in_them(project: Path):
    small_budget(project, 0.02)
    run_stage(project, "train", "digits", "dcgan", "1")
    card = json.loads((project / "models/digits/dcgan/1/run.json").read_text())
    path = project / f".ebmrepro/provenance/{card['fingerprint']}.json"
    machine = json.loads(path.read_text())
    assert {"device", "seconds", "images_per_second", "started", "versions"} <= set(machine)
    assert not {"device", "seconds", "started", "versions"} & set(card)


def test_provenance_says_whether_steps_were_compiled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from ebmrepro.runs import provenance

    monkeypatch.setattr(provenance, "root", lambda: tmp_path)
    for compiler, told in ((None, False), ("max-autotune", True)):
        monkeypatch.setattr(provenance.precision, "compiler", lambda c=compiler: c)
        provenance.write_provenance("f", provenance.start(), 1.0, 100)
        found = json.loads((tmp_path / ".ebmrepro/provenance/f.json").read_text())
        assert found["compiled"] == told and found["images_per_second"] == 100


def test_a_training_names_the_commit_at_which_it_began(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from ebmrepro.runs import provenance

    monkeypatch.setattr(provenance, "root", lambda: tmp_path)
    commits = iter(["first", "second"])
    monkeypatch.setattr(provenance, "commit", lambda: next(commits))
    started = provenance.start()
    assert provenance.start().commit == "second"
    provenance.write_provenance("f", started, 1.0, 100)
    told = json.loads((tmp_path / ".ebmrepro/provenance/f.json").read_text())
    assert told["commit"] == "first" and told["started"] == started.time.isoformat("T", "seconds")


def test_without_git_a_result_names_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from ebmrepro.runs import provenance

    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.commit() is None


def test_weights_that_are_missing_damaged_or_of_another_network_are_named(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    import torch
    from safetensors.torch import save_file

    from ebmrepro.config import params
    from ebmrepro.runs import models
    from ebmrepro.system import errors

    monkeypatch.chdir(project)
    settings, path = params.load(), Path("models/digits/ebgan/7/model.safetensors")
    path.parent.mkdir(parents=True)
    with pytest.raises(errors.UserError, match=rf"{path}: no such file"):
        models.restore("digits", "ebgan", 7, settings)
    path.write_bytes(b"\x10")
    with pytest.raises(errors.UserError, match=rf"{path}: not its weights; remove it"):
        models.restore("digits", "ebgan", 7, settings)
    save_file({"G.0.weight": torch.zeros(2)}, path)
    with pytest.raises(errors.UserError, match=rf"{path}: not its weights; .*: Error"):
        models.restore("digits", "ebgan", 7, settings)


@pytest.mark.slow
def test_a_normalised_discriminator_is_scored_with_statistics_of_real_images(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    """In a training's folder nothing changes; a protocol says what was done."""
    import torch

    from ebmrepro.config import params
    from ebmrepro.runs import models

    small_budget(project, 0.02)
    text, plain = (project / "params.yaml").read_text(), "batch_norm: false}\n    ebgan:"
    (project / "params.yaml").write_text(text.replace(plain, plain.replace("false", "true"), 1))
    run_stage(project, "train", "digits", "dcgan", "2")
    monkeypatch.chdir(project)
    before, settings = outputs(project / "models/digits/dcgan/2"), params.load()
    model, protocol = models.scoring("digits", "dcgan", 2, settings)
    stored = models.restore("digits", "dcgan", 2, settings).state_dict()
    found = model.state_dict()
    changed = {key for key in found if not torch.equal(found[key], stored[key])}
    assert changed and not [key for key in changed if not re.search(r"^D.*\.(running|num_)", key)]
    assert protocol == {
        "batch normalisation": "of the energy: mean statistics of 1,408 training images in batches "
        "of 64"
    }
    assert outputs(project / "models/digits/dcgan/2") == before
    small_budget(project, 0.02)
    run_stage(project, "train", "digits", "dcgan", "2")
    assert models.scoring("digits", "dcgan", 2, params.load())[1] == {}


@pytest.mark.parametrize(("name", "told"), [("dcgan", False), ("ebgan_pt", True)])
def test_what_was_done_to_score_is_told_where_something_was(
    name: str, told: bool, monkeypatch: pytest.MonkeyPatch
):
    """The small DCGAN has batch normalisation in G alone."""
    import small
    import torch

    from ebmrepro.runs import models

    model = small.build(name, small.NORMED).eval()
    if told:
        model.D.encoder.append(torch.nn.BatchNorm1d(5))
    monkeypatch.setattr(models, "restore", lambda *_: model)
    monkeypatch.setattr(models.data, "read", lambda *_: small.pictures(200))
    settings = shipped()
    assert bool(models.scoring("digits", name, 0, settings)[1]) == told


def test_a_split_is_on_the_device_a_batch_at_a_time(project: Path, monkeypatch: pytest.MonkeyPatch):
    import numpy as np
    import torch

    from ebmrepro.networks.images import to_uint8
    from ebmrepro.runs import models

    monkeypatch.chdir(project)
    monkeypatch.setattr(models, "PASS", 100 * 64)
    split = models.Split("digits", "train")
    batches, again = list(split), list(split)  # as often as it is asked for
    assert len(again) == len(batches)
    assert {len(x) for x, _ in batches[:-1]} == {100} and len(batches[-1].x) <= 100
    images = np.load(project / "data/digits/train.npy")
    assert np.array_equal(np.concatenate([to_uint8(x) for x, _ in batches]), images)
    labels = np.load(project / "data/digits/train_labels.npy")
    assert np.array_equal(torch.cat([y for _, y in batches]).numpy(), labels)


def test_fewer_images_pass_together_where_they_are_large(monkeypatch: pytest.MonkeyPatch):
    import numpy as np

    from ebmrepro.runs import models
    from ebmrepro.runs.models import at_a_time

    assert [at_a_time(shape) for shape in ((1, 28, 28), (3, 64, 64))] == [1000, 1000]
    assert [at_a_time((3, side, side)) for side in (128, 256, 4096)] == [250, 62, 1]
    monkeypatch.setattr(models, "PASS", 3 * 4 * 4 * 10)
    sizes, pictures = [], np.zeros((25, 3, 4, 4), np.uint8)
    models.in_batches(lambda x: sizes.append(len(x)) or x.mean((1, 2, 3)), pictures)
    assert sizes == [10, 10, 5]
