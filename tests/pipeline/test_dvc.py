"""dvc.yaml names what stages read: a room that can move a result is a dependency of its stage."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from params_file import part_of_text
from ruamel.yaml import YAML

from ebmrepro.config import declarations
from ebmrepro.runs import fingerprints
from ebmrepro.studies.grid import workers

ROOT = Path(__file__).parents[2]
STAGES = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"]
GRAPH = grimp.build_graph("ebmrepro", cache_dir=None)
TRAINS = {  # stage -> the method's file among its dependencies
    "pretrain": "methods/dbn.py",
    "train": "methods/${item.method}.py",
    "train_variant": "methods",
}
# What the modules that do a stage's work import and no result depends on, with the reason.
WITHOUT_EFFECT = {
    "": "holds the version",
    "system": "whole files, locks, signals, progress: moves no byte",
    "config": "checks params.yaml, whose values are parameters of the stages",
    "methods": "an empty package",
    "studies": "an empty package",
}
# What a method's file imports beside the rooms of its fingerprint: measures of `diagnose`; and
# `base_rates`, where an RBM's visible biases start, whose values test_partition_rbm.py holds.
BESIDES = {"rbm": {"metrics"}}
READS_DATA = {"data": "`data` writes verified bytes that are themselves a dependency"}
ENTRY = {
    "data": ["data"],
    "pretrain": ["runs.run", "methods.dbn"],
    "train": ["runs.run"],
    "train_variant": ["runs.run", "methods.began"],
    "reference": ["evaluation.evaluate", "methods.dbn"],
    "evaluate": ["evaluation.evaluate", "methods.dbn"],
    "evaluate_variant": ["evaluation.evaluate", "methods.began"],
    "evaluate_dbn": ["evaluation.evaluate", "methods.dbn"],
    "classifiers": ["studies.classifiers"],
    "linear_codes": ["studies.linear_codes"],
    "grid": ["studies.grid.results"],
    "fundamentals": ["studies.plane.measure", "studies.plane.film"],
    "tour": ["studies.tour", "methods.dbn_updown"],
    "report": ["report", "claims.judgements"],
}


def rooms(stage: str) -> set[str]:
    """Dependencies of a stage on code, below ebmrepro/."""
    deps = STAGES[stage]["deps"]
    return {dep.removeprefix("ebmrepro/") for dep in deps if dep.startswith("ebmrepro/")}


def is_in(module: str, places: set[str]) -> bool:
    path = module.replace(".", "/")
    return any(path == place or f"{path}/".startswith(f"{place}/") for place in places)


def test_every_stage_is_looked_at():
    assert set(ENTRY) == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_room_that_a_stage_runs_is_a_dependency(stage: str):
    modules = {f"ebmrepro.{entry}" for entry in ENTRY[stage]}
    for entry in list(modules):
        modules |= GRAPH.find_upstream_modules(entry)
    names = {module.removeprefix("ebmrepro").removeprefix(".") for module in modules}
    harmless = WITHOUT_EFFECT | (READS_DATA if stage in TRAINS else {})
    places = {room.removesuffix(".py") for room in rooms(stage)}
    exact = {"", "methods", "studies"}  # the packages themselves, not what is in them
    names = {n for n in names if n not in exact and not is_in(n, set(harmless) - exact)}
    assert sorted(name for name in names if not is_in(name, places)) == []


@pytest.mark.parametrize("name", declarations.available_methods())
def test_what_a_method_runs_is_in_its_fingerprint(name: str):
    modules = GRAPH.find_upstream_modules(f"ebmrepro.methods.{name}")
    names = {module.removeprefix("ebmrepro").removeprefix(".") for module in modules}
    places = {room.removesuffix(".py") for room in fingerprints.ROOMS} | {f"methods/{name}"}
    places |= {"config", "data", "system"} | BESIDES.get(name, set())
    assert sorted(n for n in names - {"", "methods"} if not is_in(n, places)) == []


def test_a_dependency_on_code_exists():
    for stage in STAGES.values():
        for dep in stage["deps"]:
            if dep.startswith("ebmrepro"):
                names = declarations.available_methods() if "${" in dep else [""]
                for name in names:
                    assert (ROOT / re.sub(r"\$\{.*?\}", name, dep)).exists(), dep


def test_dvc_yaml_names_rooms_in_few_lines():
    assert sum(len(rooms(stage)) for stage in STAGES) <= 85


@pytest.mark.parametrize("stage", TRAINS)
def test_the_fingerprint_of_a_training_and_its_stage_name_the_same_rooms(stage: str):
    own = TRAINS[stage]
    named = {own if room.startswith("methods/") else room for room in fingerprints.ROOMS}
    assert rooms(stage) == ({*fingerprints.ROOMS, own} if own != "methods" else named)


def test_the_fingerprint_of_the_grid_and_its_stage_name_the_same_rooms():
    """The stage names all methods for the three it plays: it takes what it has from its cache."""
    scoring = {"data", "metrics"}  # of what is trained already
    named = {"methods" if room.startswith("methods/") else room for room in workers.ROOMS}
    assert rooms("grid") == named | scoring


# One file of each room -> the stages of digits that an edit of it asks for again.
EVALUATES = {"evaluate", "evaluate_dbn", "evaluate_variant", "reference"}
EDITS = {
    "claims/verdict.py": {"report"},
    "cli.py": set(),
    "config/tour.py": set(),
    "data/ood_images.py": {"classifiers", "data", "tour"} | EVALUATES,
    "evaluation/evaluate.py": EVALUATES,
    "methods/magan.py": {"evaluate", "evaluate_variant", "tour", "train", "train_variant"},
    "metrics/fid.py": {"classifiers", "fundamentals", "report", "tour"} | EVALUATES,
    "networks/layers.py": set(ENTRY) - {"data", "grid", "linear_codes"},
    "pipeline/scheduler.py": set(),
    "report/page.py": {"report"},
    "runs/run.py": set(ENTRY) - {"data", "fundamentals", "grid", "linear_codes"},
    "studies/plane/train.py": {"fundamentals", "report"},
    "studies/tour/ranking.py": {"tour"},
    "system/progress.py": set(),
    "tracking/store.py": set(),
    "training/loop.py": {"classifiers", "fundamentals", "pretrain", "train", "train_variant"},
}


def modified(clone: Path) -> dict[str, set[str]]:
    """Dependency on code -> stages that `dvc status` wants because of it."""
    command = [sys.executable, "-W", "ignore", "-m", "dvc", "status", "--json"]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True)
    wanting: dict[str, set[str]] = {}
    for stage, kinds in json.loads(done.stdout.splitlines()[-1]).items():
        for kind in kinds:
            for dep, how in kind.get("changed deps", {}).items() if isinstance(kind, dict) else ():
                if how == "modified" and dep.startswith("ebmrepro/"):
                    room = dep.removeprefix("ebmrepro/").removesuffix(".py")
                    wanting.setdefault(room, set()).add(stage.partition("@")[0])
    return wanting


@pytest.mark.slow
def test_an_edit_reruns_the_stages_whose_room_it_is_in_and_no_others(tmp_path: Path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "ebmrepro", clone / "ebmrepro", dirs_exist_ok=True, ignore=ignored)
    shutil.copy(ROOT / "dvc.lock", clone)
    text = part_of_text()  # all that `run` names; DVC reads it once for every stage
    (clone / "params.yaml").write_text(text)
    assert modified(clone) == {}  # else dvc.lock is older than the code: `make repro`, commit it
    for name in EDITS:
        with (clone / "ebmrepro" / name).open("a") as file:
            file.write("# an edit\n")
    # Of one seed: the stages of another depend on the same code.
    of_one, found = re.subn(r"(?m)^  seeds: \[3, .*?\]", "  seeds: [3]", text, count=1)
    assert found
    (clone / "params.yaml").write_text(of_one)
    wanting = modified(clone)
    for name, stages in EDITS.items():
        module = name.removesuffix(".py").replace("/", ".")
        assert {s for room, by in wanting.items() if is_in(module, {room}) for s in by} == stages
