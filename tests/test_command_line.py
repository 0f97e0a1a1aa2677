"""A wrong command line or setting gets one line that says what was typed, and exit code 2."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from params_file import shipped

from ebmrepro import cli
from ebmrepro.config import environment, params
from ebmrepro.pipeline.commands import pictures
from ebmrepro.runs import results
from ebmrepro.system import ending
from ebmrepro.system.errors import UserError

ROOT = Path(__file__).parents[1]
SUITES = shipped().suites


def answer(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *arguments: str,
    folder: Path = ROOT,
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `ebmrepro ARGUMENTS`, in this process."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/ebmrepro", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    code = end.value.code or 0
    assert isinstance(code, int)
    out, err = capfd.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("chek", "ebmrepro chek: No such command 'chek'. Did you mean 'check'?"),
        ("data chek", "ebmrepro data chek: No such command 'chek'. Did you mean 'check'?"),
        ("track snyc", "No such command 'snyc'. Did you mean 'sync'?"),
        ("check digits", "'digits': should be KEY=VALUE"),
        ("check digits.methods.magan.hparams.margni=1", "margni: unknown key; allowed are"),
        ("check digts.budget=1", "no block 'digts'; there are run, campaign"),
        ("--verbose check", "ebmrepro --verbose check: No such option: --verbose"),
        ("sample", "ebmrepro sample: Missing argument 'suite'"),
        ("sample digits ebgan --numbr 3", "No such option: --numbr (Possible options: --number)"),
        ("sample digits ebgan -n 0", "ebmrepro sample digits ebgan -n 0: Invalid value for"),
        ("sample digits ebgan -n many", "ebgan -n many: Invalid value for '--number' / '-n'"),
        ("sample digits ebgan --draw -1", "--draw -1: Invalid value for '--draw'"),
        ("sample digits ebgan --out no/such/x.png", "--out: found 'no/such/x.png'; allowed is"),
        ("sample digits ebgan --out ebmrepro", "--out: found 'ebmrepro'; allowed is FILE.png"),
        ("sample digits ebgna", "no method 'ebgna'; there are dbn, dcgan, ebgan"),
        ("sample digit ebgan", "params.yaml: no suite 'digit'; there are digits, mnist"),
        ("data check digit", f"no suite 'digit'; there are {', '.join(SUITES)}; did you"),
        ("offload pakc", "ebmrepro offload pakc: No such command 'pakc'. Did you mean 'pack'?"),
        ("offload pack digits ebgna", "no method 'ebgna'; there are dbn, dcgan, ebgan"),
        ("offload pack digits --seeds 3,x", "--seeds: found '3,x'; allowed are numbers like 3,4"),
        ("offload pack digits --python 2", "--python: found '2'; allowed is 3.11, 3.12"),
        ("offload pack digits --size inf", "--size inf: Invalid value for '--size'"),
        ("interpolate digits ebgan --rate 0", "--rate 0: Invalid value for '--rate'"),
        ("interpolate digits ebgan --rate inf", "--rate inf: Invalid value for '--rate'"),
        ("offload take docs", "docs: found no such file; a sitting leaves home.000"),
        ("claims energy-ranks --suite digits", "shows the whole claim, and takes no option"),
        ("claims --undecided --verdict holds", "--undecided and --verdict ask for different ones"),
        ("ui --port http", "ebmrepro ui --port http: Invalid value for '--port'"),
        ("ui --port 99999", "ebmrepro ui --port 99999: Invalid value for '--port'"),
    ],
)
def test_a_wrong_argument_gets_one_line(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    message: str,
):
    code, out, err = answer(capfd, monkeypatch, *arguments.split())
    assert code == 2 and out == ""
    assert err.endswith("\n") and err.count("\n") == 1 and message in err


def commands(group: Any, *before: str) -> Iterator[list[str]]:
    """Every command of `ebmrepro`, with words for the arguments that it cannot do without."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *before, name)
        else:
            needed = [p.name for p in command.params if p.required]
            yield [*before, name, *(WORDS.get(name, "digits") for name in needed)]


WORDS = {"method": "ebgan", "name": "wide", "changes": "hparams.margin=8", "folder": "home"}
ANYWHERE = ["fetch", "inception"]  # needs no project
IN_PROJECT = [each for each in commands(typer.main.get_command(cli.app)) if each != ANYWHERE]


@pytest.mark.parametrize("words", IN_PROJECT, ids=" ".join)
@pytest.mark.parametrize("parent", ["project", "elsewhere"])
def test_outside_of_the_projects_folder_a_command_refuses_in_a_line_and_writes_nothing(
    words: list[str],
    parent: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    folder = tmp_path / "docs"
    folder.mkdir()
    if parent == "project":
        for name in ("params.yaml", "dvc.yaml"):
            (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    code, out, err = answer(capfd, monkeypatch, *words, folder=folder)
    assert (code, out) == (2, "")
    assert err.endswith("; run in the project's folder\n") and err.count("\n") == 1
    assert not list(folder.iterdir())


def test_a_line_break_in_an_argument_makes_no_second_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    code, _, err = answer(capfd, monkeypatch, "sample", "digits\nmnist", "ebgan")
    assert code == 2 and err.count("\n") == 1
    code, _, err = answer(capfd, monkeypatch, "sam\nple")
    assert code == 2 and err.count("\n") == 1


def test_help_and_a_bare_command_are_answered_in_full(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    code, out, _ = answer(capfd, monkeypatch, "sample", "--help")
    assert code == 0 and "--number" in out
    code, out, err = answer(capfd, monkeypatch)
    assert code == 2 and "check" in out + err and "sample" in out + err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("data.py digit", "params.yaml: no suite 'digit'; there are digits, mnist, fashion_mnist"),
        ("pretrain.py digits first", "pretrain.py digits first: Invalid value for 'seed'"),
        ("train.py digits ebgna 0", "params.yaml: digits.methods: no method 'ebgna'; there are"),
        ("reference.py digit", "params.yaml: no suite 'digit'; there are digits"),
        ("evaluate.py digits ebgna", "no method 'ebgna'; there are dbn, dcgan, ebgan"),
        ("report.py --fast", "report.py --fast: No such option: --fast"),
    ],
)
def test_a_wrong_argument_of_a_stage_gets_one_line(command: str, message: str):
    script, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, ROOT / "stages" / script, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and message in done.stderr


WRONG = [
    ("EBMREPRO_DEVICE", "cdua", "found 'cdua'; allowed is cpu, cuda, cuda:0, cuda:1, ...; did you"),
    ("EBMREPRO_DEVICE", "meta", "found 'meta'; allowed is cpu, cuda"),
    ("EBMREPRO_CHECKPOINT_SECONDS", "abc", "found 'abc'; allowed is a number from 0"),
    ("EBMREPRO_CHECKPOINT_SECONDS", "-1", "found '-1'; allowed is a number from 0"),
    ("EBMREPRO_CHECKPOINT_SECONDS", "nan", "found 'nan'; allowed is a number from 0"),
    ("EBMREPRO_TRACKING", "of", "found 'of'; allowed is on, off; did you mean 'off'?"),
    ("EBMREPRO_DATA_MIRROR", __file__, "allowed is a folder that is there"),
    ("EBMREPRO_DATA_MIRROR", "folder", "allowed is a folder that is there\n"),
    ("EBMREPRO_DATA_MIRROR", "/no/such\nfolder", "allowed is a folder that is there"),
    ("EBMREPRO_DATA_MIRROR", "x" * 5000, "allowed is a folder that is there"),
    ("EBMREPRO_INCEPTION_WEIGHTS", "/no/such/file", "allowed is a file that is there"),
    ("EBMREPRO_INCEPTION_WEIGHTS", "~nosuchuser/w", "allowed is a file that is there"),
    ("EBMREPRO_WORKERS", "9" * 5000, "allowed is a whole number from 1"),
    ("EBMREPRO_DEVCE", "cpu", "no such setting; there are EBMREPRO_CHECKPOINT_SECONDS"),
    ("WORLD_SIZE", "abc", "allowed is a whole number from 1 to 1000000; torchrun sets it"),
    ("WORLD_SIZE", "0", "allowed is a whole number from 1"),
    ("RANK", "1", "allowed is a whole number from 0 to 0; torchrun sets it"),
    ("RANK", "abc", "allowed is a whole number from 0 to 0"),
]


@pytest.mark.parametrize(("variable", "value", "message"), WRONG)
def test_a_wrong_setting_is_named_before_any_work(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    message: str,
):
    monkeypatch.setenv(variable, value)
    code, out, err = answer(capfd, monkeypatch, "check")
    assert code == 2 and out == ""
    assert err.startswith(variable) and err.count("\n") == 1 and message in err


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (
            ["digits", "magan", "--seed", "3"],
            "magan/3/model.safetensors: no such file; `dvc repro`",
        ),
        (["digits", "magan", "--seed", "99"], "neither in `run` of params.yaml nor in `campaign`"),
        (["mnist", "magan", "--seed", "2"], "`ebmrepro campaign mnist/magan/2` trains it"),
        (["celeba", "magan", "--seed", "2"], "neither in `run` of params.yaml nor in `campaign`"),
    ],
)
def test_weights_that_are_not_there_are_told_with_what_trains_them(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    typed: list[str],
    told: str,
):
    (tmp_path / "params.yaml").symlink_to(ROOT / "params.yaml")
    code, _, err = answer(capfd, monkeypatch, "sample", *typed, folder=tmp_path)
    assert code == 2 and told in err and err.count("\n") == 1


def test_what_torchrun_tells_is_whole_or_the_part_that_is_wrong_is_named():
    told = {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "MASTER_ADDR": "here"}
    environment.check(told := told | {"MASTER_PORT": "29500"})
    for name, value in [("RANK", "2"), ("LOCAL_RANK", "x"), ("MASTER_PORT", "0")]:
        for wrong in (told | {name: value}, {k: v for k, v in told.items() if k != name}):
            with pytest.raises(UserError, match=f"^{name}: found .*torchrun sets it"):
                environment.check(wrong)
    with pytest.raises(UserError, match=r"^MASTER_ADDR: not set; torchrun sets it"):
        environment.check(told | {"MASTER_ADDR": ""})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("EBMREPRO_DEVICE", "cuda:3"),
        ("EBMREPRO_CHECKPOINT_SECONDS", "0.5"),
        ("EBMREPRO_CHECKPOINT_SECONDS", "inf"),
        ("EBMREPRO_DATA_MIRROR", str(ROOT)),
        ("EBMREPRO_DATA_MIRROR", ""),
    ],
)
def test_a_right_setting_passes(variable: str, value: str):
    environment.check({variable: value, "EDITOR": "vi"})


def test_every_setting_that_the_code_reads_is_checked():
    """A variable that is read and not listed would be refused as misspelt."""
    sources = [*(ROOT / "ebmrepro").rglob("*.py"), *(ROOT / "stages").glob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert set(re.findall(r"\bEBMREPRO_[A-Z_]+\b", text)) <= set(environment.ALLOWED)


def test_what_a_network_cannot_draw_or_a_machine_cannot_do_is_one_line(
    capsys: pytest.CaptureFixture[str],
):
    import torch

    from ebmrepro.networks import images

    diverged = torch.full((1, 1, 2, 2), torch.nan)
    with (
        pytest.raises(UserError, match="models/digits/began/3: images hold NaN"),
        pictures._finite(params.Training("digits", "began", 3)),
    ):
        images.to_uint8(diverged)
    for said, end in [("a.so: failed to map segment from a", SystemExit), ("a", ImportError)]:
        with pytest.raises(end), ending.told():
            raise ImportError(said)
    assert (
        capsys.readouterr().err == "a.so: failed to map segment from a; is there memory for it?\n"
    )
    with pytest.raises(SystemExit), ending.told():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")
    line = "CUDA out of memory. Tried to allocate 2 GiB; EBMREPRO_DEVICE=cpu leaves the GPU alone"
    assert capsys.readouterr().err == f"{line}\n"
    with pytest.raises(RuntimeError), ending.told():
        raise RuntimeError("a mistake of ours")


def test_a_device_that_is_not_here_is_named():
    import torch

    from ebmrepro.networks import device

    absent = f"cuda:{torch.cuda.device_count()}"
    os.environ["EBMREPRO_DEVICE"] = absent
    try:
        with pytest.raises(UserError, match=f"EBMREPRO_DEVICE: found '{absent}'; here are cpu"):
            device.device()
    finally:
        del os.environ["EBMREPRO_DEVICE"]


def test_check_imports_neither_torch_nor_numpy_and_takes_little_of_the_machine():
    code = (
        "import sys, time; from ebmrepro.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print(time.process_time(), {'torch', 'numpy', 'ruamel.yaml', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "check"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    seconds, _, heavy = done.stdout.splitlines()[-1].partition(" ")
    assert heavy == "set()"
    # Half a second on an idle machine; a loaded one shares its cores. Torch alone takes 5 s.
    assert float(seconds) < 2


def test_a_wrong_file_is_refused_as_fast_as_a_right_one(tmp_path: Path):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("budget:", "bugdet:", 1), encoding="utf-8")
    start = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "ebmrepro", "check"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    end = os.times()
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        "params.yaml: digits.bugdet: unknown key; allowed are budget, data, dbn, evaluate, "
        "tour, methods; optional: grid, classifiers, linear_codes; did you mean 'budget'?\n"
    )
    used = end.children_user + end.children_system - start.children_user - start.children_system
    assert used < 2


@pytest.mark.parametrize("command", ["sample", "interpolate"])
def test_a_trained_model_is_that_of_the_runs_first_seed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
):
    there = Path.exists
    monkeypatch.setattr(Path, "exists", lambda p: p.suffix != ".safetensors" and there(p))
    first = shipped().run.seeds[0]
    for seed, asked in ((first, ()), (9, ("--seed", "9"))):
        _, _, err = answer(capfd, monkeypatch, command, "digits", "ebgan", *asked)
        assert f"models/digits/ebgan/{seed}/model.safetensors: no such file" in err


def test_weights_without_their_checksum_are_said_to_be_unchecked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    settings = shipped()
    monkeypatch.setattr(pictures.layout, "folder", lambda *_: tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.touch()
    pictures._trained(settings, "digits", "ebgan", 9, tmp_path / "x.png")
    assert capfd.readouterr().err.startswith(f"{weights}: no {results.SUM} beside it")
    (tmp_path / results.SUM).touch()
    pictures._trained(settings, "digits", "ebgan", 9, tmp_path / "x.png")
    assert not capfd.readouterr().err


def test_the_version_is_said_without_a_command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from ebmrepro import __version__

    assert answer(capfd, monkeypatch, "--version") == (0, f"ebmrepro {__version__}\n", "")


@pytest.mark.parametrize("columns", [80, 70, 200])
def test_claims_fit_a_terminal_with_the_count_of_everything_first(
    columns: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, _ = answer(capfd, monkeypatch, "claims")
    lines = out.splitlines()
    assert code == 0 and len(lines) <= 100 and max(map(len, lines)) <= columns
    assert "claims on their suites" in lines[0] and "began-ratio-is-gamma" in out
    heads = next(line for line in lines if line.split()[-2:] == ["claim", "here"]).split()
    assert len({*heads}) == len(heads) and "fac" in heads and "mn" in heads


def test_a_picture_is_600_pixels_wide_with_its_labels_whatever_the_size_of_its_images():
    import numpy as np

    from ebmrepro.networks import images
    from ebmrepro.report import pictures

    for shape in ((20, 1, 8, 8), (3, 3, 64, 64), (1, 1, 8, 8)):
        grid = images.grid(np.zeros(shape, np.uint8), 10 if shape[0] > 9 else shape[0])
        shown = pictures.labelled(grid, "20 images")
        scale = -(-pictures.SMALLEST // grid.shape[1])
        assert shown.shape[1] >= pictures.SMALLEST and shown.shape[0] > scale * grid.shape[0]
        top = shown[: pictures.LINE]
        assert (top == 0).any() and (top == 255).any()  # black words on white
        inside = shown[-pictures.GAP - scale * grid.shape[0] : -pictures.GAP]
        inside = inside[::scale, pictures.GAP :: scale][:, : grid.shape[1]]
        assert (inside[..., 0] == (grid if grid.ndim == 2 else grid[..., 0])).all()
    paths = pictures.paths(images.grid(np.zeros((12, 1, 8, 8), np.uint8), 4), "x", 1, 2)
    assert paths.shape[1] > pictures.SMALLEST
