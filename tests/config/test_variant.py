"""`ebmrepro variant` writes a variant's block, or refuses in one line and writes nothing."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.serialize import modify_yaml
from params_file import part_of_text

from ebmrepro.config import documents, params, variant

TEXT = part_of_text()  # a suite that is written to is all that matters of the file
TREE = documents.parse(TEXT, "params.yaml")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(TEXT, encoding="utf-8")
    return tmp_path / "params.yaml"


def added(before: str, after: str) -> list[str]:
    """The lines that were put in one place; all others are as they were, but for run.variants."""
    old, new = before.splitlines(), after.splitlines()
    head = old.index(
        "# The plane: energies of two numbers, which can be seen, and whose Z can be computed."
    )
    start = next(i for i, line in enumerate(old[head:], head) if line != new[i])
    count = len(new) - len(old)
    assert old[start:] == new[start + count :] and old[head:start] == new[head:start]
    return new[start : start + count]


def test_a_variant_is_its_methods_block_with_another_number_right_behind_it(path: Path):
    told = variant.write("digits", "ebgan", "large", ["hparams.margin=8.0"], path)
    assert told.endswith("digits.methods.ebgan__large is written, and listed under run.variants")
    expected: dict[str, Any] = copy.deepcopy(TREE)
    expected["run"]["variants"].append("ebgan__large")
    block = copy.deepcopy(TREE["digits"]["methods"]["ebgan"])
    block["hparams"]["margin"] = 8.0
    expected["digits"]["methods"]["ebgan__large"] = block
    tree = documents.read_yaml(path)
    assert tree == expected
    names = list(tree["digits"]["methods"])
    assert names.index("ebgan__large") == names.index("ebgan") + 1
    params.load(path)


def test_all_other_lines_and_comments_stay_as_they_were(path: Path):
    variant.write("digits", "began", "x", ["hparams.gamma=0.5"], path)
    lines = added(TEXT, path.read_text(encoding="utf-8"))
    assert lines[0] == "    began__x:" and len(lines) == 19


@pytest.mark.parametrize(
    ("suite", "method", "changes", "block"),
    [
        ("digits", "ebgan", ["batch_size=32", "hparams.z=8"], {"batch_size": 32}),
        ("digits", "ebgan", ["precision=bf16"], {"precision": "bf16"}),
        ("digits", "ebgan", ["ema.G=0.99", "ema.D=0.9"], {"ema": {"G": 0.99, "D": 0.9}}),
        ("digits", "dbn", ["hparams.layers=[64, 64]"], {"grids": 4}),
        ("digits", "dbn", ["hparams.layers=[64, 64]", "optim.rbms.momentum.final=0.8"], {}),
        ("digits", "began", ["hparams.stall={epochs: 3, factor: 0.5, floor: 0.1}"], {}),
        ("digits", "dbn_updown", ["hparams.top=64", "hparams.gibbs_steps=[1,2,3]"], {}),
        ("mnist", "rbm", ["hparams.likelihood.ais.chains=50", "hparams.cd_steps=[2]"], {}),
        ("mnist", "rbm", ["hparams.likelihood.ais.temperatures=[{up_to: 1.0, step: 0.1}]"], {}),
        ("celeba", "ebgan", ["hparams.G={kind: conv3x3, n: 32, scales: 4, repeats: 2, "
                             "residual_steps: 0, skips: false}"], {}),
    ],
)  # fmt: skip
def test_any_key_of_a_block_can_differ(
    path: Path, suite: str, method: str, changes: list[str], block: dict[str, Any]
):
    path.write_text(part_of_text(suite), encoding="utf-8")
    variant.write(suite, method, "x", changes, path)
    written = documents.read_yaml(path)[suite]["methods"][f"{method}__x"]
    for key, value in block.items():
        assert written[key] == value
    flat = params.flatten(written)
    for change in changes:
        key, _, value = change.partition("=")
        value = documents.parse(f"value: {value}", "test")["value"]
        assert flat.items() >= params.flatten({key: value}).items()
    params.load(path)


def test_a_variant_of_a_suite_that_is_not_run_is_not_listed(path: Path):
    """run.variants holds what every suite of run.suites has."""
    path.write_text(part_of_text("mnist"), encoding="utf-8")
    told = variant.write("mnist", "ebgan", "large", ["hparams.margin=20"], path)
    assert told.endswith("-S 'run.suites=[mnist]' -S 'run.variants=[ebgan__large]'")
    assert documents.read_yaml(path)["run"] == TREE["run"]


def test_the_list_of_variants_may_be_empty_long_or_a_block(path: Path):
    start = TEXT.index("[", TEXT.index("\n  variants:"))
    listed = TEXT[start : TEXT.index("]", start) + 1]
    lists = ["[]", listed, "\n    - ebgan__no_hinge  # first\n    - began__gamma_low  # last"]
    for text in lists:
        path.write_text(TEXT.replace(listed, text, 1), encoding="utf-8")
        before = documents.read_yaml(path)["run"]["variants"]
        for name in ("a", "a_name_that_is_long", "another_name_that_is_long"):
            variant.write("digits", "ebgan", name, ["hparams.margin=9"], path)
            before.append(f"ebgan__{name}")
        assert documents.read_yaml(path)["run"]["variants"] == before
        head = path.read_text(encoding="utf-8").partition("\n  seeds")[0]
        assert all(len(line) < 110 for line in head.splitlines())


def test_a_file_that_dvc_rewrote_is_written_to_as_well(path: Path):
    path.write_text(part_of_text("olivetti"), encoding="utf-8")
    with modify_yaml(str(path)) as tree:
        tree["digits"]["budget"] = 0.5
    variant.write("digits", "magan", "frozen", ["hparams.margin_moves=false"], path)
    variant.write("olivetti", "magan", "frozen", ["hparams.G.activation=elu"], path)
    tree = documents.read_yaml(path)
    assert tree["digits"]["methods"]["magan__frozen"]["hparams"]["margin_moves"] is False
    assert tree["olivetti"]["methods"]["magan__frozen"]["hparams"]["G"]["activation"] == "elu"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("digit ebgan x hparams.margin=5", "no suite 'digit'; there are digits; did"),
        ("digits ebgam x hparams.margin=5", "digits.methods: no method 'ebgam'; there are dbn, "),
        ("digits ebgan__no_hinge x hparams.margin=5", "no method 'ebgan__no_hinge'"),
        ("digits ebgan x hparams.margn=5",
         "digits.methods.ebgan__x.hparams.margn: unknown key; allowed are epochs, z, "),
        ("digits ebgan x hparams.margn=5", "did you mean 'margin'?"),
        ("digits ebgan x hprams.margin=5", "digits.methods.ebgan__x.hprams: unknown key; allowed"),
        ("digits ebgan x batch_size.of=5", "ebgan__x.batch_size: found a block of keys; it should"),
        ("digits ebgan x hparams.G.hidden.first=5", "hparams.G.hidden: found a block of keys; it"),
        ("digits ebgan x hparams.margin=-5", "ebgan__x.hparams.margin: found -5; it should be"),
        ("digits ebgan x hparams.margin=wide", "ebgan__x.hparams.margin: found 'wide'; it should"),
        ("digits ebgan x hparams.margin=0x1F", "hparams.margin=0x1F: line 1: value: found 0x1F"),
        ("digits ebgan x hparams.margin=[5", "hparams.margin=[5: line 2: this is not YAML"),
        ("digits ebgan x hparams.margin=&a_5", "found an anchor &a_5"),
        ("digits ebgan x hparams.margin", "'hparams.margin': should be KEY=VALUE"),
        ("digits ebgan x hparams.margin=", "'hparams.margin=': should be KEY=VALUE"),
        ("digits ebgan x hparams..margin=5", "should be KEY=VALUE"),
        ("digits ebgan x hparams.margin=5\n\n", "'hparams.margin=5\\n\\n': should be KEY=VALUE"),
        ("digits ebgan x hparams.margin=2.0", "digits.methods.ebgan: has these values already"),
        (
            "digits ebgan x hparams.margin=1 optim.G.lr=1 hparams.margin=2",
            "digits.methods.ebgan.hparams.margin: given more than once",
        ),
        ("digits ebgan no_hinge hparams.margin=5", "digits.methods.ebgan__no_hinge: a block of"),
        ("digits ebgan No-Hinge hparams.margin=5", "'No-Hinge': found no name of a variant; a na"),
        ("digits ebgan x optim.E.lr=1.0", "optim.E.name: this key is missing; allowed are adam"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_one_line_and_nothing_is_written(
    path: Path, words: str, message: str
):
    suite, method, name, *changes = words.split(" ")
    with pytest.raises(documents.ParamsError) as refused:
        variant.write(suite, method, name, changes, path)
    assert message in str(refused.value) and str(refused.value).isprintable()
    assert path.read_text(encoding="utf-8") == TEXT
    assert [each.name for each in path.parent.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("method", ["dbn", "ebgan", "dbn_updown"])
def test_a_layout_that_cannot_be_edited_is_refused(path: Path, indent: int | None, method: str):
    path.write_text(json.dumps(TREE, indent=indent), encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(documents.ParamsError) as refused:
        variant.write("digits", method, "x", ["batch_size=16"], path)
    assert "\n" not in str(refused.value) and path.read_bytes() == before


@pytest.mark.slow
def test_the_command_writes_the_file_or_exits_with_2(path: Path):
    command = [sys.executable, "-m", "ebmrepro", "variant", "digits", "ebgan", "x"]

    def run(change: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, change], cwd=path.parent, capture_output=True, text=True, check=False
        )

    wrong = run("hparams.margn=5")
    assert wrong.returncode == 2 and wrong.stdout == "" and wrong.stderr.count("\n") == 1
    right = run("hparams.margin=5")
    assert right.returncode == 0 and "ebgan__x is written" in right.stdout
    assert "ebgan__x" in params.load(path).run.variants


def test_a_linked_file_stays_linked_and_a_list_may_end_in_a_comma(path: Path):
    text = path.read_text()
    lists = text[: text.index("\n  seeds: ")]
    assert lists.endswith("]")
    path.write_text(f"{lists[:-1]},]{text.removeprefix(lists)}")
    (link := path.with_name("linked.yaml")).symlink_to(path)
    variant.write("digits", "ebgan", "wide", ["hparams.margin=8"], link)
    assert link.is_symlink() and "ebgan__wide" in params.load(path).run.variants
