"""What strangers' machines are like: a table of what commands make of each. All end in success or
in one line, none in a traceback. `make hostile` prints the table.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ebmrepro.tracking import store

pytestmark = [pytest.mark.slow, pytest.mark.hostile]

ROOT = Path(__file__).parents[1]
PIPELINE = "stages: {one: {cmd: python -c 'print(1)' > one, deps: [params.yaml], outs: [one]}}\n"
UNKNOWN = """
import pwd

def unknown(who):
    raise KeyError(f"getpwuid(): uid not found: {who}")

pwd.getpwuid = pwd.getpwnam = unknown
"""
NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")  # those that getpass asks for
PLAIN = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LOOKED_AT = ("check", "claims", "tour", "checkpoints ls")
WORKS = ("check", "track sync", "repro", "repro --jobs 2")
WINDOWS = "import sys; sys.platform = 'win32'; sys.modules['fcntl'] = None; import ebmrepro.cli"

# what the machine is like: settings (None: not set), commands, and the line that they end with
MACHINES: dict[str, tuple[dict[str, str | None], tuple[str, ...], str]] = {
    "signs: ascii": ({"PYTHONIOENCODING": "ascii"}, LOOKED_AT, ""),
    "signs: latin-1": ({"PYTHONIOENCODING": "latin-1"}, LOOKED_AT, ""),
    "locale: C": ({"LC_ALL": "C", "LANG": "C", **PLAIN}, LOOKED_AT, ""),
    "user: unknown": ({"PYTHONPATH": "UNKNOWN", **dict.fromkeys(NAMES)}, WORKS, ""),
    "user: unknown, without a home": (
        {"PYTHONPATH": "UNKNOWN", "HOME": None, **dict.fromkeys(NAMES)},
        WORKS,
        "",
    ),
    "home: none": ({"HOME": None}, WORKS, ""),
    "home: not there": ({"HOME": "/dev/null/home"}, WORKS, ""),
    "home: not to be written to": ({"HOME": "/proc"}, WORKS, ""),
    "TMPDIR: of 150 letters": ({"TMPDIR": "DEEP"}, ("repro", "repro --jobs 2"), ""),
    "checkout: another user's": (
        {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1", "LANG": "de_DE.UTF-8"},
        ("repro",),
        "git config --global --add safe.directory ",
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with our parameters, our results, and a pipeline of one quick stage."""
    folder = tmp_path_factory.mktemp("machines") / "project"
    folder.mkdir()
    shutil.copy(ROOT / "params.yaml", folder)
    for name in ("results", "reports"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text((ROOT / ".dvc/config").read_text())
    (folder / "unknown").mkdir()
    (folder / "unknown/sitecustomize.py").write_text(UNKNOWN)
    (folder / ("d" * 150)).mkdir()
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


def ran(folder: Path, command: str, **settings: str | None) -> tuple[int, str]:
    """Exit code, and all that was said."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "EBMREPRO_TRACKING": "off"}
    for name, value in settings.items():
        environment.pop(name, None)
        if name == "PYTHONPATH":
            environment[name] = f"{folder / 'unknown'}{os.pathsep}{ROOT}"
        elif value is not None:
            environment[name] = str(folder / ("d" * 150)) if value == "DEEP" else value
    done = subprocess.run(
        [sys.executable, "-m", "ebmrepro", *command.split()],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace")


def test_no_machine_ends_a_command_in_a_traceback(
    project: Path, capsys: pytest.CaptureFixture[str]
):
    table, wrong = [], []
    for machine, (settings, commands, line) in MACHINES.items():
        for command in commands:
            shutil.rmtree(project / ".ebmrepro/home", ignore_errors=True)
            (project / "one").unlink(missing_ok=True)
            code, said = ran(project, command, **settings)
            lines = said.strip().splitlines()
            if "Traceback" in said or "unexpected error" in said:
                end = "TRACEBACK"
            elif line:
                end = "one line" if code == 2 and len(lines) == 1 and line in said else "?"
            else:
                end = "success" if code == 0 else "?"
            if command.startswith("repro") and not line and not (project / "one").exists():
                end = "nothing done"
            if end not in ("success", "one line"):
                wrong.append(f"{machine}: {command}: {code}: {said[-2000:]}")
            table.append((machine, command, end))
    with capsys.disabled():
        print()
        for machine, command, end in table:
            print(f"{machine:<32}{command:<18}{end}")
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.filterwarnings("ignore")  # of MLflow's libraries
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("it's", ""),
        ('"so"', ""),
        ("100% #1; ü \\", ""),
        ('it\'s "so"', "quotes of both kinds"),
        ("what?", "holds a ?"),
        ("/".join(10 * ["y" * 100]), "over 500 bytes"),
    ],
)
def test_a_checkout_lies_anywhere_or_it_is_said_that_mlflow_keeps_nothing_there(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / name
    (folder / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(folder)
    if said:
        with (
            pytest.raises(store.TrackingError, match=re.escape(said)) as error,
            store.as_tracking_error(Path()),
        ):
            store.Store(Path())
        assert "\n" not in str(error.value) and len(str(error.value)) < 250
        return
    kept = store.Store(Path())
    run = kept.client.create_run(kept.experiment("digits"))
    Path("note").write_text("kept")
    kept.client.log_artifact(run.info.run_id, "note")
    assert [each.path for each in kept.client.list_artifacts(run.info.run_id)] == ["note"]
    assert {"mlflow.db", "mlartifacts"} <= {path.name for path in folder.iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == {name}


def test_a_system_that_is_none_of_ours_is_refused_in_one_line():
    done = subprocess.run(
        [sys.executable, "-c", WINDOWS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        "ebmrepro runs on Linux and macOS, and on Windows inside WSL; this is win32\n"
    )


def test_no_tracked_text_ends_its_lines_in_another_systems_way():
    """Whatever git on the machine is set to: checksums of code and results are those of bytes."""
    told = subprocess.run(["git", "ls-files", "--eol"], cwd=ROOT, capture_output=True, text=True)
    rows = told.stdout.splitlines()
    assert rows
    assert not [row for row in rows if row.startswith(("i/crlf", "i/mixed"))]
    assert not [row for row in rows if "attr/-text" not in row and "eol=lf" not in row]
