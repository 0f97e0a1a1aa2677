"""What `ebmrepro compare` is given: systems here, of revisions and of experiments, out of git."""

import json
import shutil
import subprocess
from pathlib import Path

import made_up
import pytest

from ebmrepro.pipeline import sides
from ebmrepro.system import git
from ebmrepro.system.errors import UserError

SYSTEMS = ["ebgan", "magan"]


def run(root: Path, *words: str) -> str:
    names = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", *names, *words], cwd=root, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def measured(root: Path, system: str, value: float) -> None:
    path = root / f"results/digits/{system}/0/metrics.json"
    document = json.loads(path.read_text())
    document["values"]["fd_dbn"] = value
    path.write_text(json.dumps(document))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with results, and an experiment on it that has changed MAGAN's."""
    folder = tmp_path / "project"
    folder.mkdir()
    made_up.results(folder, made_up.params(methods=SYSTEMS, variants=[], seeds=(0, 1)))
    run(folder, "init", "-q")
    run(folder, "add", "results")
    run(folder, "commit", "-q", "-m", "one")
    base = run(folder, "rev-parse", "HEAD")
    measured(folder, "magan", 7.0)
    run(folder, "commit", "-q", "-a", "-m", "experiment")
    run(folder, "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/frozen", "HEAD")
    run(folder, "update-ref", "refs/exps/exec/EXEC_HEAD", "HEAD")  # DVC's own, both
    run(folder, "update-ref", "refs/exps/stash", "HEAD")
    run(folder, "reset", "-q", "--hard", base)
    return folder


def value(side: sides.Side, seed: int = 0) -> float:
    path = side.root / f"results/{side.suite}/{side.system}/{seed}/metrics.json"
    return json.loads(path.read_text())["values"]["fd_dbn"]


def test_a_system_is_that_of_this_folder_unless_a_revision_is_named(root: Path, tmp_path: Path):
    measured(root, "magan", 5.0)
    ((a, b),) = sides.pairs("digits/magan", "digits/magan@HEAD", root, tmp_path)
    assert value(a) == 5.0 and value(b) != 5.0 and (a.place, b.place) == ("", "HEAD")
    ((a, b),) = sides.pairs("digits/magan@frozen", "digits/ebgan", root, tmp_path)
    assert value(a) == 7.0 and b.system == "ebgan" and a[1:] == ("frozen", "digits", "magan")


def test_a_suite_that_has_results_in_an_experiment_alone_is_compared(root: Path, tmp_path: Path):
    base = git.commit(root, "HEAD")
    shutil.copytree(root / "results/digits", root / "results/patches")
    measured(root, "ebgan", 3.0)
    run(root, "add", "results")
    run(root, "commit", "-q", "-m", "of another suite")
    run(root, "update-ref", git.experiment(base, "further"), "HEAD")
    run(root, "branch", "patches/magan@mine")
    run(root, "reset", "-q", "--hard", base)
    sides_of = ("patches/magan@further", "patches/ebgan@further")
    (pair,) = sides.pairs(*sides_of, root, tmp_path)
    assert [(side.suite, side.place) for side in pair] == [("patches", "further")] * 2
    (pair, *_) = sides.pairs("HEAD", "patches/magan@mine", root, tmp_path)  # a branch of git
    assert pair[1].place == "patches/magan@mine"


def test_of_two_revisions_those_systems_are_compared_that_differ(root: Path, tmp_path: Path):
    (pair,) = sides.pairs("HEAD", "frozen", root, tmp_path)
    assert {side.system for side in pair} == {"magan"} and value(pair[1]) == 7.0
    measured(root, "ebgan", 3.0)
    (pair,) = sides.pairs("HEAD", "workspace", root, tmp_path)
    assert {side.system for side in pair} == {"ebgan"}
    (pair,) = sides.pairs("digits/ebgan", "frozen", root, tmp_path)
    assert {side.system for side in pair} == {"ebgan"}


def test_a_variant_that_only_the_second_has_is_held_to_its_method(root: Path, tmp_path: Path):
    (root / "results/digits/magan").rename(root / "results/digits/magan__frozen")
    run(root, "checkout", "-q", "results/digits/magan")
    ((a, b),) = sides.pairs("HEAD", "workspace", root, tmp_path)
    assert (a.system, b.system) == ("magan", "magan__frozen")


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("digits/magna", "HEAD", "results/digits: no results of 'magna'; there are .*'magan'"),
        ("digits/magan", "frosen", "'frosen': no such system .* are frozen; did you mean 'frozen'"),
        ("digit/magan", "HEAD", "'digit/magan': no such system .*; did you mean 'digits/magan'"),
        ("digits/magan", "digits/magan@nix", "'nix': no such system"),
        ("digits/magan", "--output=x", "'--output=x': no such system"),
        ("HEAD", "workspace", "every result that both have is the same"),
    ],
)
def test_what_names_nothing_gets_one_line(root: Path, tmp_path: Path, a: str, b: str, message: str):
    with pytest.raises(UserError, match=message) as told:
        sides.pairs(a, b, root, tmp_path)
    assert "\n" not in str(told.value)


def test_a_folder_without_results_has_nothing_to_compare(root: Path, tmp_path: Path):
    shutil.rmtree(root / "results")
    with pytest.raises(UserError, match="every result that both have is the same"):
        sides.pairs("HEAD", "workspace", root, tmp_path)


def test_two_suites_are_not_compared(root: Path, tmp_path: Path):
    (root / "results/mnist").symlink_to(root / "results/digits")
    with pytest.raises(UserError, match="found two suites"):
        sides.pairs("digits/magan", "mnist/magan", root, tmp_path)


def test_nothing_in_the_folder_changes(root: Path, tmp_path: Path):
    before = run(root, "status", "--porcelain"), git.commit(root, "HEAD")
    sides.pairs("HEAD", "frozen", root, tmp_path)
    assert (run(root, "status", "--porcelain"), git.commit(root, "HEAD")) == before


def test_of_experiments_of_one_name_that_on_head_comes_first(root: Path):
    base, first = git.commit(root, "HEAD"), git.experiments(root)["frozen"]
    run(root, "commit", "-q", "--allow-empty", "-m", "two")
    head = git.commit(root, "HEAD")
    assert git.experiments(root) == {"frozen": first}
    run(root, "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/frozen", base)
    run(root, "update-ref", git.experiment(head, "frozen", git.ASIDE), head)
    assert git.experiments(root)["frozen"] == [base, *first]
    run(root, "update-ref", "-d", git.experiment(head, "frozen"))  # the new one was killed
    assert git.experiments(root)["frozen"] == [head, *first]


def test_without_git_there_is_no_revision(tmp_path: Path):
    assert git.ask(tmp_path, "status") is None and git.commit(tmp_path, "HEAD") == ""
    assert git.experiments(tmp_path) == {}


def test_a_system_that_has_other_seeds_differs(root: Path, tmp_path: Path):
    shutil.rmtree(root / "results/digits/magan/1")
    (pair,) = sides.pairs("HEAD", "workspace", root, tmp_path)
    assert {side.system for side in pair} == {"magan"}
