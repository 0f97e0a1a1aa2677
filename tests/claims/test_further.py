"""Further seeds of a suite that is run: which count beside the run's, and in what."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import made_up
import pytest
from made_up_claims import ABOVE, claim, measure, test_of

from ebmrepro.claims import judgements
from ebmrepro.claims.judgements import Judgement
from ebmrepro.config import params
from ebmrepro.config.campaign import FURTHER
from ebmrepro.config.documents import ParamsError
from ebmrepro.config.params import Params
from ebmrepro.runs import carried, fingerprints, layout

ROOT = Path(__file__).parents[2]
SHIPPED = params.read_yaml(ROOT / "params.yaml")
AGAIN = f"digits{FURTHER}"
IS = {"kind": "measure", "of": "began", "measure": "is_dbn"}
THEIRS = {**IS, "of": "magan"}
MORE = {"kind": "difference", "a": IS, "b": THEIRS}
SPLITS = {"train": {"sha256": "a"}, "test": {"sha256": "b"}}


def settings(batch_size: int = 64) -> Params:
    digits = json.loads(json.dumps(SHIPPED["digits"]))
    digits["methods"]["began"]["batch_size"] = batch_size
    run = {**SHIPPED["run"], "seeds": [0, 1, 2]}
    campaign = {AGAIN: {"seeds": [7, 8, 9], "systems": {"dbn": 1, "began": 3, "magan": 2}}}
    tree = {**SHIPPED, "run": run, "digits": digits, "campaign": campaign}
    return params.check(tree, Path("params.yaml"))


SETTINGS = settings()


def put(root: Path, suite: str, name: str, seed: int, value: float, identity: str = "f") -> None:
    folder = root / layout.results(suite, name, seed)
    folder.mkdir(parents=True)
    whose = {"suite": suite, "method": name, "seed": seed, "fingerprint": identity, "step": 1}
    (folder / "metrics.json").write_text(json.dumps({**whose, "values": {"is_dbn": value}}))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Three seeds of the run, 2 apart; three further ones of one system and two of another."""
    made_up.reference(tmp_path, "digits")
    told = tmp_path / "results/digits/reference/reference.json"
    card = json.loads(told.read_text())
    card["dataset"]["splits"] = {
        k: {**v, **SPLITS[k]} for k, v in card["dataset"]["splits"].items()
    }
    told.write_text(json.dumps(card))
    shutil.copytree(told.parent, tmp_path / f"results/{AGAIN}/reference")
    splits = card["dataset"]["splits"]
    measure(tmp_path, "began", [3.0, 3.1, 3.2])
    measure(tmp_path, "magan", [1.0, 1.2, 1.4])
    for name, seed, value in [(n, k, 5.0 + k) for n, k in [*SEVENS, ("began", 9)]]:
        identity = fingerprints.of(AGAIN, name, seed, SETTINGS, splits)
        put(tmp_path, AGAIN, name, seed, value, identity)
    return tmp_path


SEVENS = [("began", 7), ("began", 8), ("magan", 7), ("magan", 8)]


def judged(root: Path, statistic: Any, settings: Params = SETTINGS) -> Judgement:
    asked = claim(test_of(statistic, ABOVE))
    return judgements.judge([asked], settings, root)[asked.id][0]


def seeds(root: Path, statistic: Any, settings: Params = SETTINGS) -> Sequence[str]:
    return list(judged(root, statistic, settings).parts[0].values)


def test_they_count_where_all_systems_of_a_statistic_have_them(project: Path):
    part = judged(project, MORE).parts[0]
    assert dict(part.values) == pytest.approx({"0": 2, "1": 1.9, "2": 1.8, "7": 0, "8": 0})
    (told,) = [line for line in part.protocol if "seeds 7 to 8, 2 of them, are carried" in line]
    assert told.endswith("; in features of the DBN of the first of them.")
    alone = judged(project, IS).parts[0]
    assert list(alone.values) == ["0", "1", "2", "7", "8", "9"] and alone.values["9"] == 14
    paths = judged(project, IS).files
    assert f"results/{AGAIN}/began/9/metrics.json" in paths


def test_a_correlation_over_trainings_takes_as_many_of_each_system(project: Path):
    across = {"kind": "correlation across runs", "of": ["began", "magan"], "x": "is_dbn"}
    asked = {**across, "y": "is_dbn"}
    wanted = [f"{name}-{seed}" for name in across["of"] for seed in (0, 1, 2, 7, 8)]
    assert seeds(project, asked) == wanted


def test_what_a_stage_measured_has_the_seeds_of_the_run(project: Path):
    place = project / "results/digits/tour"
    place.mkdir(parents=True)
    values = {"share@began": {str(seed): 1.0 + seed for seed in range(3)}}
    (place / "metrics.json").write_text(
        json.dumps({"values": values, "reasons": {}, "protocol": {}})
    )
    statistic = {"kind": "document", "stage": "tour", "value": "share@began"}
    assert seeds(project, {"kind": "difference", "a": statistic, "b": IS}) == ["0", "1", "2"]


def _data(project: Path, monkeypatch: pytest.MonkeyPatch, tmp: Path) -> Params:
    path = project / "results/digits/reference/reference.json"
    path.write_text(path.read_text().replace('"sha256": "a"', '"sha256": "c"'))
    return SETTINGS


def _code(project: Path, monkeypatch: pytest.MonkeyPatch, tmp: Path) -> Params:
    package = shutil.copytree(fingerprints.PACKAGE, tmp / "ebmrepro")
    for file in ("began", "magan"):
        path = package / "methods" / f"{file}.py"
        path.write_text(path.read_text() + "# changed\n")
    monkeypatch.setattr(fingerprints, "PACKAGE", package)
    return SETTINGS


def _numbers(project: Path, monkeypatch: pytest.MonkeyPatch, tmp: Path) -> Params:
    return settings(batch_size=32)


def _not_asked_for(project: Path, monkeypatch: pytest.MonkeyPatch, tmp: Path) -> Params:
    return SETTINGS.model_copy(update={"campaign": {}})


@pytest.mark.parametrize("change", [_data, _code, _numbers, _not_asked_for])
def test_one_of_other_data_code_or_numbers_does_not_count(
    change: Callable[[Path, pytest.MonkeyPatch, Path], Params],
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
):
    now = change(project, monkeypatch, tmp_path_factory.mktemp("t"))
    assert seeds(project, MORE, now) == ["0", "1", "2"]
    if change is not _numbers:  # which changes one system alone
        assert seeds(project, THEIRS, now) == ["0", "1", "2"]


def test_a_seed_of_the_run_is_the_run_s(project: Path):
    run = SETTINGS.run.model_copy(update={"seeds": [0, 1, 2, 7]})
    now = SETTINGS.model_copy(update={"run": run})
    put(project, "digits", "began", 7, -1.0)
    put(project, "digits", "magan", 7, -2.0)
    part = judged(project, MORE, now).parts[0]
    assert part.values["7"] == 1 and list(part.values) == ["0", "1", "2", "7", "8"]


def test_they_are_no_suite_of_their_own(project: Path):
    assert SETTINGS.suites[AGAIN] is SETTINGS.suites["digits"]
    assert AGAIN not in carried.suites(project, SETTINGS)


def test_further_seeds_are_of_a_suite_that_exists():
    asked = {f"digit{FURTHER}": {"seeds": [8], "systems": {"dbn": 1}}}
    with pytest.raises(ParamsError, match=r"campaign.digit__seeds: no suite 'digit'"):
        params.check({**SHIPPED, "campaign": asked}, Path("params.yaml"))


def test_seeds_that_were_measured_otherwise_do_not_count(project: Path):
    assert seeds(project, MORE) == ["0", "1", "2", "7", "8"]
    path = project / f"results/{AGAIN}/reference/reference.json"
    card = json.loads(path.read_text())
    card["evaluate"] = {**(card.get("evaluate") or {}), "neighbours": 99}
    path.write_text(json.dumps(card))
    assert seeds(project, MORE) == ["0", "1", "2"]
