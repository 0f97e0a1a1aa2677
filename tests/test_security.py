"""Nothing from outside is run, no secret is shown or kept, and a name stays a name."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import made_up
import numpy as np
import pytest
import torch

from ebmrepro import data, report
from ebmrepro.config.params import Params, Training
from ebmrepro.data import DataError
from ebmrepro.metrics import inception
from ebmrepro.report.gather import gather
from ebmrepro.runs import results
from ebmrepro.runs.checkpoints import Checkpoints
from ebmrepro.system import redact
from ebmrepro.system.errors import UserError
from ebmrepro.tracking import projection, server, store

ROOT = Path(__file__).parents[1]
CODE = sorted([*ROOT.glob("ebmrepro/**/*.py"), *ROOT.glob("stages/*.py")])


class Touch:
    """Its pickle makes a file when it is read by a reader that runs what it reads."""

    def __init__(self, proof: Path):
        self.proof = proof

    def __reduce__(self):
        return os.system, (f"touch '{self.proof}'",)


# --- nothing is unpickled ------------------------------------------------------------------------


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


# --- no secret is shown or kept ------------------------------------------------------------------

SECRETS = [
    "http://user:hunter2@host:5000/path",
    "postgresql://user:hunter2@host/db",
    "postgresql+psycopg2://us%40er:hun:ter2/hunter2@host/db?sslmode=require",
    "https://hunter2@host",
    "https://host/api?access_token=hunter2&x=1",
    "https://host/api?x=1&api_key=hunter2",
    "https://host/api?sig=hunter2",
    "https://host/api?X-Amz-Signature=hunter2&X-Amz-Credential=hunter2",
    "mysql://host/db?user=me&password=hunter2",
    "mssql://host/db;Password=hunter2;Encrypt=yes",
    "host=db user=me password=hunter2 dbname=x",
    "Authorization: Bearer hunter2hunter2",
    "Authorization: Basic hunter2hunter2==",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_masked_wherever_it_stands(text):
    for place in ("{}", "cannot reach {}, retrying", "'{}'", "({})\nagain {}"):
        shown = redact.redact(place.format(text, text))
        assert "hunter2" not in shown and redact.HIDDEN in shown


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/me/mlflow.db",
        "http://127.0.0.1:5000/#/experiments/1?a=b",
        "models/digits/began/0/run.json: Expecting value: line 1 column 1",
        "missing x.gz: put them in DIR/set/ and set EBMREPRO_DATA_MIRROR=DIR; the network gave 404",
        "params.yaml: began.key=3",
    ],
)
def test_what_is_no_secret_is_shown_as_it_is(text):
    assert redact.redact(text) == text


def test_what_mlflow_takes_from_the_environment_is_masked(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "correct horse")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "falsely")
    shown = redact.redact("falsely said: correct horse, wJalrXUtnFEMI")
    assert shown == "falsely said: ***, ***"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    "uri", ["http://user:hunter2@127.0.0.1:9", "postgresql://user:hunter2@127.0.0.1:9/db"]
)
def test_no_secret_of_the_stores_address_is_printed_or_written(tmp_path, monkeypatch, capfd, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    made_up.results(tmp_path, made_up.params(methods=["ebgan"], variants=[], seeds=(0,)))
    run = Training("digits", "ebgan", 0)
    for action in (
        lambda: projection.sync_all(tmp_path, [run]),
        lambda: projection.rebuild(tmp_path),
        lambda: server.serve(tmp_path, [run], 5999),
    ):
        with pytest.raises(store.TrackingError) as error:
            action()
        assert "hunter2" not in str(error.value) and "\n" not in str(error.value)
    assert "hunter2" not in "".join(capfd.readouterr())
    for path in tmp_path.rglob("*"):
        assert "hunter2" not in path.name
        assert not path.is_file() or b"hunter2" not in path.read_bytes()


def test_links_to_a_server_with_a_password_are_printed_without_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:hunter2@host")
    run = Training("digits", "ebgan", 0)
    monkeypatch.setattr(projection, "sync_all", lambda *_: [run])
    monkeypatch.setattr(store.Store, "__init__", lambda *_: None)
    monkeypatch.setattr(store.Store, "experiment", lambda *_: "7")
    monkeypatch.setattr(server.views, "prepare", lambda *_: {"k": "/#/experiments/7/runs?k"})
    assert server.serve(tmp_path, [run], 5999) == 0
    out = capsys.readouterr().out
    assert "hunter2" not in out and out.count("host/#/experiments/7") == 2


def test_the_servers_real_command_line_binds_to_this_machine_and_holds_no_secret(
    tmp_path, monkeypatch
):
    started = []

    class Server:
        def __init__(self, command, env):
            started.append((command, env))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def poll(self):
            return 0

        def wait(self):
            return 0

    uri = "postgresql://user:hunter2@host/db"
    for name in ("MLFLOW_HOST", "HOST", "UVICORN_HOST"):
        monkeypatch.setenv(name, "0.0.0.0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setattr(projection, "sync_all", lambda *_: [])
    monkeypatch.setattr(server, "answers", lambda _: False)
    monkeypatch.setattr(store.Store, "__init__", lambda *_: None)
    monkeypatch.setattr(server.signal, "signal", lambda *_: None)
    monkeypatch.setattr(server.subprocess, "Popen", Server)
    server.serve(tmp_path, [], 5999)
    ((command, environment),) = started
    assert command[command.index("--host") + 1] == "127.0.0.1" and command.count("--host") == 1
    assert not any(word.startswith("--host=") or "0.0.0.0" in word for word in command)
    assert "hunter2" not in " ".join(command)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == uri


# --- a name stays a name -------------------------------------------------------------------------

ATTACKS = [
    "<script>alert(1)<",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "a|b`c`|d",
    "new\nline\n\n# heading\n- [x](javascript:alert(1))",
    r"$\frac{$ \href{javascript:alert(1)}{x}",
    "{{ 7 * 7 }}{% for %}",
    "]]><!--&lt;script&gt;",
]


class Page(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


SHORT = "".join(ATTACKS[:4])  # a folder's name has at most 255 bytes


def attacked(root: Path) -> Params:
    """A project in which everything that has a name is called like the attacks."""
    settings = made_up.params(SHORT, ["ebgan"], [f"ebgan__{a}" for a in ATTACKS], seeds=(0,))
    made_up.results(root, settings)
    words = {"name": "".join(ATTACKS), "licence": "".join(ATTACKS), "classes": ATTACKS}
    card = root / "results" / SHORT / "reference/reference.json"
    told = json.loads(card.read_text())
    for split in told["dataset"]["splits"].values():
        split["per_class"] = [split["count"] // len(ATTACKS)] * len(ATTACKS)
    told |= {"dataset": told["dataset"] | words, "rows_protocol": "".join(ATTACKS)}
    card.write_text(json.dumps(told))
    for path in root.glob("results/*/*/0/metrics.json"):
        measured = json.loads(path.read_text())
        for kind in ("reasons", "flags"):
            measured[kind] = dict.fromkeys(measured[kind], "".join(ATTACKS))
        measured["protocol"] = {a: a for a in ATTACKS} | {"extractor": "".join(ATTACKS)}
        path.write_text(json.dumps(measured))
    return settings


def harmless(root: Path) -> Params:
    settings = made_up.params(methods=["ebgan"], variants=[], seeds=(0,))
    made_up.results(root, settings)
    return settings


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files of a report of names without harm, and of one of attacks."""
    both = []
    for named in (harmless, attacked):
        root = tmp_path_factory.mktemp("project")
        settings = named(root)
        report.write(settings, root, root / "reports")
        files = (path for path in (root / "reports").rglob("*") if path.is_file())
        both.append({str(p.relative_to(root / "reports")): p.read_bytes() for p in files})
    return both[0], both[1]


def test_no_name_becomes_a_part_of_the_page(reports):
    both = ([text for name, text in files.items() if name.endswith(".html")] for files in reports)
    plain, page = (b"".join(pages).decode() for pages in both)
    own = r"(\.\./)*((figures|pages|tables|site)/)?\w[\w-]*\.\w+(#[\w-]+)?"
    found = Page(page).found
    assert {tag for tag, _ in found} <= {tag for tag, _ in Page(plain).found} | {"ol"}
    for tag, attributes in found:
        assert not [key for key in attributes if key.startswith("on")], (tag, attributes)
        for key in ("src", "href"):
            link = attributes.get(key) or "#"
            safe = link.startswith(("#", "data:image/png;", "data:,"))
            assert safe or re.fullmatch(own, link, re.ASCII), link
    assert "&lt;script&gt;" in page and "{{ 7 * 7 }}" in page


def test_no_name_becomes_a_part_of_the_markdown(reports):
    plain, text = (files["results.md"].decode() for files in reports)

    def shape(text: str) -> set[str]:
        """Marks of headings, and the numbers of cells that rows have."""
        rows = [line for line in text.splitlines() if line.startswith(("|", "#"))]
        cells = (re.split(r"(?<!\\)\|", line) for line in rows if line[0] == "|")
        return {line.split()[0] for line in rows if line[0] == "#"} | {str(len(c)) for c in cells}

    assert shape(text) <= shape(plain) | {"5"}  # the table of what variants change
    assert set(re.findall(r"<[^>]*>", text)) <= {"<br>", "<sub>", "</sub>", "<sup>", "</sup>"}
    assert r"\[x\](javascript:alert(1))" in text and "[x](" not in text.replace(r"\]", "")
    assert r"a\|b\`c\`\|d" in text


def test_no_name_becomes_a_part_of_a_figure(reports):
    drawn = {name: text.decode() for name, text in reports[1].items() if name.endswith(".svg")}
    assert any("&lt;script&gt;" in text for text in drawn.values())
    for text in drawn.values():
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(text).iter()}
        assert not tags & {"script", "img", "a", "foreignObject"}


def test_no_name_leads_a_file_out_of_the_reports_folder(reports):
    for name in reports[1]:
        assert re.fullmatch(r"((figures|pages|plots|tables)/)?\w[\w-]*\.\w+", name, re.ASCII), name
    assert report.file_name("began__../../x") == "began__------x"


# --- known vulnerabilities -----------------------------------------------------------------------


def audited(tmp_path: Path, answers: dict[str, list[dict] | None]):
    """`.ci/audit` where pip-audit gives these answers, by service; None is no answer."""
    fake = tmp_path / "bin/pip-audit"
    fake.parent.mkdir()
    fake.write_text(
        f"#!{sys.executable}\n"
        f"import json, sys\nanswer = {answers!r}[sys.argv[2]]\n"
        "if answer is None: sys.exit('requests.ConnectionError: Name or service not known')\n"
        "open(sys.argv[-1], 'w').write(json.dumps({'dependencies': answer}))\n"
        "sys.exit(any(p.get('vulns') for p in answer))\n"
    )
    fake.chmod(0o755)
    path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, str(ROOT / ".ci/audit")],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )


GOOD = {"name": "torch", "version": "2.15.0", "vulns": []}
BAD = {
    "name": "mlflow",
    "version": "3.17.2",
    "vulns": [{"id": "GHSA-1", "fix_versions": ["3.17.3"], "aliases": [], "description": ""}],
}
SKIPPED = {"name": "numpy", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ({"pypi": [GOOD], "osv": None}, 0, "1 packages looked up, 0 vulnerable"),
        ({"pypi": [GOOD, BAD], "osv": None}, 1, "mlflow 3.17.2: GHSA-1; fixed in 3.17.3"),
        ({"pypi": None, "osv": [GOOD, BAD]}, 1, "mlflow 3.17.2: GHSA-1; fixed in 3.17.3"),
        ({"pypi": [GOOD, SKIPPED], "osv": None}, 3, "this is no all-clear"),
        ({"pypi": [SKIPPED], "osv": [GOOD, {**GOOD, "name": "numpy"}]}, 0, "2 packages looked up"),
        ({"pypi": None, "osv": None}, 3, "no answer from pypi: requests.ConnectionError: Name"),
    ],
    ids=["clean", "vulnerable", "second asked", "not all", "together all", "no network"],
)
def test_an_audit_that_could_look_up_nothing_is_no_all_clear(tmp_path, answers, code, said):
    done = audited(tmp_path, answers)
    assert (done.returncode, done.stderr) == (code, "")
    assert said in done.stdout


def test_a_zip_of_arrays_that_is_damaged_is_named(tmp_path):
    settings = made_up.params(methods=["ebgan"], variants=[], seeds=(0,))
    made_up.results(tmp_path, settings)
    path = tmp_path / "results/digits/ebgan/0/energies.npz"
    assert zipfile.is_zipfile(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"energies\.npz: not arrays of NumPy"):
        gather(tmp_path, settings)
