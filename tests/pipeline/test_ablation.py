"""An ablation in one command: by DVC, beside the system itself, and the folder stays as it was."""

import contextlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from hydra.core.override_parser.overrides_parser import OverridesParser
from params_file import part_of_text, shipped

from ebmrepro.config.documents import ParamsError, read_yaml
from ebmrepro.config.params import load
from ebmrepro.pipeline import ablation
from ebmrepro.pipeline.outlook import Outlook
from ebmrepro.system import git
from ebmrepro.system.errors import UserError

ROOT = Path(__file__).parents[2]
PYTHON = ["python", "-m", "ebmrepro"]
PARAMS = ROOT / "params.yaml"


def plan(*words: str) -> ablation.Ablation:
    suite, system, *changes = words
    return ablation.plan(suite, system, changes, PARAMS)


def overridden(planned: ablation.Ablation) -> dict[str, Any]:
    """Key -> value, as DVC's reader of -S takes them."""
    parsed = OverridesParser.create().parse_overrides(list(planned.overrides))
    return {each.key_or_group: each.value() for each in parsed}


def test_both_systems_are_targets_and_the_variant_is_the_block_with_one_other_value():
    planned = plan("digits", "magan", "hparams.margin_moves=false")
    assert planned.variant == "magan__margin_moves_false"
    assert planned.targets == [
        "evaluate@digits-magan",
        "evaluate_variant@digits-magan__margin_moves_false",
    ]
    tree = read_yaml(PARAMS)
    block = tree["digits"]["methods"]["magan"]
    block["hparams"]["margin_moves"] = False
    assert overridden(planned) == {
        "digits.methods.magan__margin_moves_false": block,
        "run.variants": [*tree["run"]["variants"], "magan__margin_moves_false"],
    }


def test_a_method_that_is_not_run_is_run_with_its_variant():
    planned = plan("digits", "ebgan_ln", "hparams.margin=0.001")
    tree = read_yaml(PARAMS)
    told = overridden(planned)
    assert told["run.methods"] == [*tree["run"]["methods"], "ebgan_ln"]
    assert told["run.variants"] == [*tree["run"]["variants"], "ebgan_ln__margin_0_001"]


def commands() -> list[list[str]]:
    """Every `ebmrepro ablate` that a reader is told to type."""
    root = PARAMS.parent
    pages = [root / "README.md", *root.glob("docs/**/*.md"), *root.glob("ebmrepro/**/*.yaml")]
    lines = [line for page in pages for line in page.read_text().splitlines()]
    typed = [line.split("ebmrepro ablate ")[1] for line in lines if "ebmrepro ablate " in line]
    asked = [re.split(r"[`#]", words)[0].split() for words in typed]
    return [words for words in asked if len(words) > 2 and words[0].islower()]


@pytest.mark.parametrize("asked", commands(), ids=" ".join)
def test_what_readers_are_told_to_ablate_can_be(asked: list[str]):
    suite, system, *changes = (word.strip("'") for word in asked)
    assert plan(suite, system, *(c for c in changes if not c.startswith("--"))).targets


def test_a_variant_that_the_file_has_is_used_by_its_name():
    planned = plan("digits", "ebgan", "hparams.objective=no_hinge")
    assert planned.variant == "ebgan__no_hinge" and not planned.overrides


def test_a_file_without_a_campaign_will_do(tmp_path: Path):
    tree = read_yaml(PARAMS)
    del tree["campaign"]
    (tmp_path / "params.yaml").write_text(json.dumps(tree))
    planned = ablation.plan("mnist", "dbn", ["hparams.cd_steps=2"], tmp_path / "params.yaml")
    assert planned.overrides == plan("mnist", "dbn", "hparams.cd_steps=2").overrides


def test_a_suite_that_is_not_run_is_run_with_these_two_alone():
    planned = plan("mnist", "ebgan__no_hinge", "optim.G.lr=0.002")
    assert planned.variant == "ebgan__no_hinge_g_lr_0_002"
    told = overridden(planned)
    assert told["run.suites"] == ["mnist"] and told["run.methods"] == ["ebgan"]
    assert told["run.variants"] == ["ebgan__no_hinge", planned.variant]
    assert plan("mnist", "dbn", "hparams.cd_steps=2").targets[0] == "evaluate_dbn@mnist"


@pytest.mark.parametrize(("suite", "method"), [("digits", "magan"), ("mnist", "magan")])
def test_dvc_makes_of_the_file_what_was_planned(suite: str, method: str, tmp_path: Path):
    path = tmp_path / "params.yaml"
    path.write_text(part_of_text(suite), encoding="utf-8")
    planned = plan(suite, method, "hparams.margin_moves=false")
    apply_overrides(str(path), list(planned.overrides))
    after = load(path)
    block = after.suites[suite].methods[planned.variant].model_dump()
    assert planned.variant in after.run.variants and suite in after.run.suites
    own = shipped().suites[suite].methods[method].model_dump()
    assert block == own | {"hparams": own["hparams"] | {"margin_moves": False}}


def test_names_are_short_and_of_letters_whatever_is_changed():
    for changes in (
        ["hparams.G.hidden=[256, 256, 256, 256, 256, 256, 256, 256, 256]"],
        ["optim.G.lr=1e-05", "optim.D.lr=1e-05", "batch_size=32"],
        ["hparams.margin=3"],
    ):
        name = plan("digits", "ebgan", *changes).variant
        assert name.isidentifier() and name.islower() and len(name) < 60


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("digits mgan x=1", "digits.methods: no method 'mgan'; .* did you mean 'magan'"),
        ("digit magan x=1", "no suite 'digit'; .* did you mean 'digits'"),
        ("digits__seeds magan x=1", "no suite 'digits__seeds'; there are digits"),
        (
            "digits magan hparams.margin_movse=false",
            "digits.methods.magan.hparams.margin_movse: unknown key; .*'margin_moves'",
        ),
        ("digits dbn hparams.cd_setps=2", "digits.dbn.hparams.cd_setps: unknown .*'cd_steps'"),
        ("digits magan hparams.margin_moves=5", "magan.hparams.margin_moves: found 5; it should"),
        (
            "digits magan hparams.margin_moves=true",
            "digits.methods.magan: has these values already",
        ),
        ("digits magan margin", "'margin': should be KEY=VALUE"),
    ],
)
def test_a_wrong_key_gets_our_message_before_dvc_is_asked(words: str, message: str):
    with pytest.raises(ParamsError, match=message) as told:
        plan(*words.split())
    assert "append" not in str(told.value) and "\n" not in str(told.value)


def test_what_no_machine_can_hold_is_refused():
    with pytest.raises(ParamsError, match=r"digits\.methods\.ebgan__[^:]*: takes at least"):
        plan("digits", "ebgan", "hparams.G.hidden=[1000000000]")


def test_a_folder_without_a_commit_is_refused(tmp_path: Path):
    planned = plan("digits", "magan", "hparams.margin_moves=false")
    with pytest.raises(UserError, match=r"no dvc\.yaml here"):
        ablation.run(planned, tmp_path)
    (tmp_path / "dvc.yaml").touch()
    with pytest.raises(UserError, match="DVC needs a git repository here"):
        ablation.run(planned, tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    with pytest.raises(UserError, match="need a commit of git"):
        ablation.run(planned, tmp_path)


def committed(
    root: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> tuple[ablation.Ablation, str]:
    """An ablation, and the commit that it stands on, of which DVC ends with a status at once."""
    monkeypatch.setattr(ablation, "attended", lambda *_: status)
    monkeypatch.setattr(ablation, "warm", lambda *_: contextlib.nullcontext({}))
    (root / "dvc.yaml").touch()
    whose = ["-c", "user.name=x", "-c", "user.email=x"]
    for words in (["init", "-q"], [*whose, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-C", root, *words], check=True)
    return plan("digits", "magan", "hparams.margin_moves=false"), git.commit(root, "HEAD")


@pytest.mark.parametrize("status", [0, 130])
def test_an_ablation_that_fails_gives_back_the_last_one_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
):
    planned, head = committed(tmp_path, monkeypatch, status)
    place = git.experiment(head, planned.name)
    git.ask(tmp_path, "update-ref", place, head)
    with pytest.raises(UserError, match="nothing changed") if status else contextlib.nullcontext():
        ablation.run(planned, tmp_path)
    assert git.commit(tmp_path, place) == (head if status else "")
    assert git.experiments(tmp_path) == ({planned.name: [head]} if status else {})


def test_an_ablation_that_is_killed_leaves_the_last_one_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    planned, head = committed(tmp_path, monkeypatch, 0)
    git.ask(tmp_path, "update-ref", git.experiment(head, planned.name), head)

    def killed(*_: object) -> int:
        assert not git.commit(tmp_path, git.experiment(head, planned.name))  # DVC wants it free
        raise SystemExit(137)

    monkeypatch.setattr(ablation, "attended", killed)
    for _ in range(2):
        with pytest.raises(SystemExit):
            ablation.run(planned, tmp_path)
        assert git.experiments(tmp_path) == {planned.name: [head]}


def test_the_price_is_of_the_ruler_the_system_and_its_variant(tmp_path: Path):
    magan, dbn = plan("digits", "magan", "batch_size=7"), plan("digits", "dbn", "batch_size=7")
    outlook = Outlook(tmp_path)
    outlook.known = {"pretrain@digits-3": 60.0, "train@digits-magan-3": 60.0}
    assert len(magan.seeds) == 5
    assert ablation.price(magan, outlook, 1) == 15 * 60
    assert ablation.price(magan, outlook, 5) == 3 * 60
    assert ablation.price(dbn, outlook, 1) == 10 * 60
    assert ablation.price(plan("mnist", "magan", "batch_size=7"), outlook, 1) is None


@pytest.mark.slow
def test_an_ablation_runs_compares_and_leaves_the_folder_as_it_was(tmp_path: Path):
    """Twice: the second time nothing is trained."""
    from test_pipeline import Project

    subprocess.run(["git", "clone", "-q", ROOT, tmp_path / "project"], check=True)
    project = Project(tmp_path / "project")
    project.environment["EBMREPRO_TRACKING"] = "off"  # which takes as long as all the rest
    # DVC reads it once for every stage, and all that is in it.
    (project.folder / "params.yaml").write_text(part_of_text())
    project.edit(
        ("seeds: [^\n]*", "seeds: [0, 1]"),
        (r"methods: \[[^]]*\]", "methods: [magan]"),
        (r"variants: \[[^]]*\]", "variants: []"),
        ("budget: 1.0", "budget: 0.02"),
        ("generated: 2000", "generated: 200"),
    )
    (project.folder / "dvc.lock").unlink()  # which is of other seeds
    project.run("git", "commit", "-q", "-a", "-m", "small")
    path = project.folder / "params.yaml"
    path.write_text(f"{path.read_text()}# a note\n")  # what is not committed stays, too
    before = project.run("git", "status", "--porcelain"), project.run("git", "diff")
    command = [*PYTHON, "ablate", "digits", "magan", "hparams.margin_moves=false", "--jobs", "1"]
    said = project.run(*command)
    trained = [line for line in said.splitlines() if line.startswith("> python stages/train.py")]
    assert len(trained) == 4
    assert re.search(r"hparams.margin_moves +true +false", said) and "Paired by seed: 0, 1" in said
    page = project.folder / "reports/comparisons/digits-magan__margin_moves_false.html"
    assert "margin_moves" in page.read_text()
    assert (project.run("git", "status", "--porcelain"), project.run("git", "diff")) == before
    assert not (project.folder / "models").exists()
    again = project.run(*command)
    assert "> python stages/train.py" not in again and "Paired by seed: 0, 1" in again


def test_a_variant_of_this_name_with_other_numbers_is_not_taken_for_it(tmp_path: Path):
    tree = read_yaml(PARAMS)
    other = tree["digits"]["methods"]["magan"] | {"batch_size": 7}
    tree["digits"]["methods"]["magan__margin_moves_false"] = other
    (tmp_path / "params.yaml").write_text(json.dumps(tree))
    change = ["hparams.margin_moves=false"]
    planned = ablation.plan("digits", "magan", change, tmp_path / "params.yaml")
    assert planned.variant not in tree["digits"]["methods"] and planned.overrides
