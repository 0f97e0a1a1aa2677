"""Nothing from outside is run."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made_up
import numpy as np
import pytest
import torch

from ebmrepro import data
from ebmrepro.data import DataError
from ebmrepro.metrics import inception
from ebmrepro.report.gather import gather
from ebmrepro.runs import results
from ebmrepro.runs.checkpoints import Checkpoints
from ebmrepro.system.errors import UserError

ROOT = Path(__file__).parents[1]
CODE = sorted([*ROOT.glob("ebmrepro/**/*.py"), *ROOT.glob("stages/*.py")])


class Touch:
    """Its pickle makes a file when it is read by a reader that runs what it reads."""

    def __init__(self, proof: Path):
        self.proof = proof

    def __reduce__(self):
        return os.system, (f"touch '{self.proof}'",)


def calls() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(file, dotted name, constant keyword arguments) of every call in the project."""
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                keywords = {k.arg: getattr(k.value, "value", None) for k in node.keywords if k.arg}
                yield path.name, ast.unparse(node.func), keywords


def test_every_reader_of_arrays_and_tensors_is_told_to_unpickle_nothing():
    found = {"np.load": 0, "torch.load": 0}
    for file, name, keywords in calls():
        if name in found:
            found[name] += 1
            safe = {"np.load": ("allow_pickle", False), "torch.load": ("weights_only", True)}[name]
            assert (safe[0], keywords.get(safe[0])) == safe, f"{file}: {name} without {safe}"
    assert all(found.values())


def test_no_module_imports_a_reader_that_runs_what_it_reads():
    runners = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml"}
    allowed = {
        ("unpickle.py", "pickle"),
        ("unpickle.py", "pickletools"),
        ("documents.py", "yaml"),
        ("executors.py", "cloudpickle"),  # says how a function goes to a cluster; reads nothing
    }
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                if [alias.name for alias in node.names] == ["UnpicklingError"]:
                    continue  # to say that a file is no good
                names = [node.module or ""]
            for name in names:
                taken = name.partition(".")[0]
                assert taken not in runners or (path.name, taken) in allowed, path


def test_yaml_is_read_by_the_safe_loader_alone():
    readers = {name for _, name, _ in calls() if re.match(r"yaml\.(\w*load|parse|\w*Loader)", name)}
    assert readers == {"yaml.CSafeLoader.__init__"}


def test_no_command_goes_through_a_shell():
    for file, name, keywords in calls():
        assert not keywords.get("shell"), f"{file}: {name}"
        assert name not in ("os.system", "os.popen", "eval"), file


@pytest.mark.parametrize("split", ["train", "train_labels"])
def test_an_array_of_objects_among_the_data_is_not_unpickled(tmp_path, split):
    proof, folder = tmp_path / "proof", tmp_path / "data/digits"
    folder.mkdir(parents=True)
    np.save(folder / "train.npy", np.zeros((160, 1, 8, 8), np.uint8))
    np.save(folder / "train_labels.npy", np.zeros(160, np.int64))
    x, y = (np.load(folder / f"{name}.npy") for name in ("train", "train_labels"))
    words = dict.fromkeys(("source", "name", "licence", "citation"), "")
    about = {**words, "classes": ["0"], "shape": [1, 8, 8]}
    about["splits"] = {"train": data.card(x, y, about)}
    (folder / "dataset.json").write_text(json.dumps(about))
    assert len(data.read(folder, "train")[0]) == 160
    np.save(folder / f"{split}.npy", np.array([Touch(proof)], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="not an array of NumPy"):
        data.read(folder, "train")
    assert not proof.exists()


@pytest.mark.parametrize("file", ["codes", "energies", "labels", "progress", "reconstructions"])
def test_an_array_of_objects_among_the_results_is_not_unpickled(tmp_path, file):
    settings = made_up.params(methods=["ebgan"], variants=[], seeds=(0,))
    made_up.results(tmp_path, settings)
    proof, bad = tmp_path / "proof", np.empty(1, dtype=object)
    bad[0] = Touch(proof)
    path = tmp_path / f"results/digits/ebgan/0/{file}.npz"
    np.savez(path, test=bad)
    with pytest.raises(UserError) as error:
        gather(tmp_path, settings)
    assert str(error.value).startswith(f"{path}: not a") and "\n" not in str(error.value)
    assert not proof.exists()


def torch_files(proof: Path) -> dict[str, bytes]:
    """What torch.save writes, and bare pickles that torch reads too, of something that runs."""
    import io

    made = {}
    for name, new in (("zip", True), ("legacy", False)):
        out = io.BytesIO()
        torch.save({"epoch": 9, "x": Touch(proof)}, out, _use_new_zipfile_serialization=new)
        made[name] = out.getvalue()
    return made


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_a_checkpoint_that_would_run_something_is_passed_over(tmp_path, form, capsys):
    proof = tmp_path / "proof"
    evil = torch_files(proof)[form]
    with Checkpoints(tmp_path, "f", "cpu", "a training") as checkpoints:
        checkpoints.save(1, {"epoch": 1})
        name = f"{9:012d}-{hashlib.sha256(evil).hexdigest()}.pt"  # as our own would be called
        (checkpoints.folder / name).write_bytes(evil)
        assert (checkpoints.latest() or {})["epoch"] == 1
    assert not proof.exists()
    assert "the checkpoint of step 9 is unreadable" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_inception_weights_that_would_run_something_are_refused(tmp_path, form):
    proof, path = tmp_path / "proof", tmp_path / inception.FILE_NAME
    path.write_bytes(torch_files(proof)[form])
    prefix = hashlib.sha256(path.read_bytes()).hexdigest()[:8]  # eight digits can be forged
    with pytest.raises(ValueError, match="holds more or less than tensors") as error:
        inception._network(path, "cpu", prefix)
    assert "\n" not in str(error.value) and not proof.exists()


def test_weights_are_a_format_without_code(tmp_path):
    """A model that is a pickle under the name of safetensors is not even looked into."""
    proof, path = tmp_path / "proof", tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Touch(proof)))
    with pytest.raises(UserError, match="not weights: Error while deserializing"):
        results.tensor(path, "W")
    assert not proof.exists()
    loads = {name for file, name, _ in calls() if file in ("models.py", "results.py")}
    assert "load" in loads and "torch.load" not in loads
