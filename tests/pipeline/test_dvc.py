"""dvc.yaml names what its stages read: code that can move a result is a dependency of its stage."""

import re
from pathlib import Path

import grimp
import pytest
from ruamel.yaml import YAML

from ebmrepro.config import declarations

ROOT = Path(__file__).parents[2]
STAGES = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"]
GRAPH = grimp.build_graph("ebmrepro", cache_dir=None)

# What a stage imports and no result depends on, with the reason.
WITHOUT_EFFECT = {
    "ebmrepro": "holds the version",
    "ebmrepro.runs.checkpoints": "a resumed training ends with the bytes of a whole one",
    "ebmrepro.training.finite": "stops a training and changes nothing in it",
    "ebmrepro.system.locks": "refuses a second writer",
    "ebmrepro.system.progress": "what a person sees meanwhile",
    "ebmrepro.system.signals": "a training that was stopped goes on to the same bytes",
    "ebmrepro.methods": "an empty package",
    "ebmrepro.system.redact": "what a message hides",
    "ebmrepro.system.atomic": "a file appears whole, with the bytes that its writer has",
    # `data` writes verified bytes that are themselves a dependency; the rest only reads them.
    **{
        f"ebmrepro.data{m}": "reads data"
        for m in (
            "",
            ".crops",
            ".decoding",
            ".downloads",
            ".encoded",
            ".files",
            ".folders",
            ".splits",
        )
    },
}
ENTRY = {
    "data": ["ebmrepro.data"],
    "pretrain": ["ebmrepro.runs.run", "ebmrepro.methods.dbn"],
    "train": ["ebmrepro.runs.run"],
    "train_variant": ["ebmrepro.runs.run", "ebmrepro.methods.began"],
    "reference": ["ebmrepro.evaluation.evaluate", "ebmrepro.methods.dbn"],
    "evaluate": ["ebmrepro.evaluation.evaluate", "ebmrepro.methods.dbn"],
    "evaluate_variant": ["ebmrepro.evaluation.evaluate", "ebmrepro.methods.began"],
    "evaluate_dbn": ["ebmrepro.evaluation.evaluate", "ebmrepro.methods.dbn"],
    "grid": ["ebmrepro.studies.grid.results"],
    "fundamentals": ["ebmrepro.studies.plane.measure", "ebmrepro.report.film"],
    "tour": ["ebmrepro.studies.tour", "ebmrepro.methods.dbn_updown"],
    "report": ["ebmrepro.report", "ebmrepro.claims.judgements", "ebmrepro.claims.reading"],
}
# Imported by `evaluation` and `tour` through `runs`, which trains nothing there.
TRAINING = {
    f"ebmrepro.{m}"
    for m in (
        "averages",
        "batch_norm",
        "curves",
        "data.batches",
        "draws",
        "optimisers",
        "ranks",
        "train",
    )
}
PROBES = "ebmrepro.data.ood_images"


def is_named(module: str, deps: list[str]) -> bool:
    path = module.replace(".", "/")
    return any(f"{path}.py" == dep or f"{path}/".startswith(f"{dep}/") for dep in deps)


def test_every_stage_is_looked_at():
    assert set(ENTRY) == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_code_that_a_stage_runs_is_a_dependency(stage: str):
    deps = [dep for dep in STAGES[stage]["deps"] if dep.startswith("ebmrepro")]
    needed = {m for entry in ENTRY[stage] for m in {entry, *GRAPH.find_upstream_modules(entry)}}
    needed -= set(WITHOUT_EFFECT)
    if {"ebmrepro.evaluation.evaluate", "ebmrepro.studies.tour"} & needed:
        needed -= TRAINING
    if stage == "reference":
        needed.discard(PROBES)  # energies are measured by `evaluate`
    if stage in ("data", "report"):  # the file is checked; its values are parameters
        needed -= {
            "ebmrepro.config.documents",
            "ebmrepro.config.params",
        }
    missing = sorted(module for module in needed if not is_named(module, deps))
    assert not missing


def test_a_dependency_on_code_exists():
    for stage in STAGES.values():
        for dep in stage["deps"]:
            if dep.startswith("ebmrepro"):
                names = declarations.available_methods() if "${" in dep else [""]
                for name in names:
                    assert (ROOT / re.sub(r"\$\{.*?\}", name, dep)).exists(), dep
