"""The file of claims: what it may say, what is written of it and what is shown."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import made_up
import pytest
from made_up_claims import settings
from params_file import shipped

from ebmrepro.claims import claims_file, form, judgements, verdict, wording
from ebmrepro.config.documents import ParamsError
from ebmrepro.report import lecture, words

ROOT = Path(__file__).parents[2]
SETTINGS = shipped()
SHIPPED = ROOT / "reports" / "claims.yaml"
TEXT = SHIPPED.read_text(encoding="utf-8")


def test_the_shipped_claims_are_right_and_cover_every_paper_and_every_part_of_the_lecture():
    stated = claims_file.load(SETTINGS, SHIPPED)
    assert {one.paper for one in stated} == set(form.PAPERS)
    assert {one.topic for one in stated} - {None} == set(form.TOPICS)
    assert [part["topic"] for part in lecture.WORDS["parts"]] == list(form.TOPICS)


def test_every_statistic_and_rule_of_the_shipped_claims_has_its_words():
    for one in claims_file.load(SETTINGS, SHIPPED):
        for test in one.tests:
            assert wording.statistic(test.statistic)
            assert wording.rule(test.rule)


def test_a_number_below_zero_has_a_minus_sign_and_no_hyphen():
    told = [
        words
        for one in claims_file.load(SETTINGS, SHIPPED)
        for words in (one.claim, wording.published(one), *(wording.rule(t.rule) for t in one.tests))
    ]
    assert any("−" in words for words in told)
    assert not [words for words in told if re.search(r"(?<!\S)-\d", words)]


def test_a_system_is_called_in_claims_what_it_is_called_in_tables_and_not_shouted():
    claims = claims_file.load(SETTINGS, SHIPPED)
    told = " ".join(wording.statistic(test.statistic) for one in claims for test in one.tests)
    assert {*re.findall(r"[A-Z][A-Z-]{6,}", told)} <= {"EBGAN-PT", "EBGAN-LN"}
    for suite in SETTINGS.suites:
        for _, name, _ in SETTINGS.suite(suite).blocks:
            assert wording.title(name) == words.system(name)


def test_the_report_knows_every_verdict():
    assert tuple(form.MARKS) == verdict.VERDICTS


def refusal(tmp_path: Path, before: str, after: str) -> str:
    assert before in TEXT
    path = tmp_path / "claims.yaml"
    path.write_text(TEXT.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ParamsError) as refused:
        claims_file.load(SETTINGS, path)
    message = str(refused.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("  shown: dbn", "  show: dbn", "dbn-updown-error.show: unknown key; allowed are id, "),
        ("  least: {fraction: 1}\n", "", "dbn-updown-error.least: this key is missing; a claim "),
        ("{fraction: 1}", "{fraction: 2}", "least.fraction: found 2; it should be less than"),
        ("{digits: 5, ", "{", "seeds: found none for digits, which dbn-updown-helps names"),
        ("paper: ebgan\n", "paper: ebgn\n", "ebgan-grid.paper: found 'ebgn'; it should be "),
        (
            "suites: [mnist]",
            "suites: [mnst]",
            "dbn-updown-error.suites: no suite 'mnst'; there are ",
        ),
        (
            "measure: error_updown}",
            "measure: eror_updown}",
            "tests.0.statistic.measure: no measure ",
        ),
        ("of: dbn_updown,", "of: dbn_updwn,", "tests.0.statistic.of: no system 'dbn_updwn'; "),
        ("@dbn_updown}", "@dbn_updwn}", "tests.0.statistic.value: no system 'dbn_updwn'; "),
        (
            "column: loss/classifier",
            "column: los/classifier",
            "tests.0.statistic.a.column: no column",
        ),
        ("key: hparams.margin", "key: hparams.margn", "statistic.b.key: no number of digits.ebgan"),
        (
            "threshold: 0.0155",
            "threshold: .nan",
            "rule.threshold: found nan; it should be a finite",
        ),
        ("kind: below", "kind: belw", "rule.kind: found 'belw'; allowed are above, below"),
        ("{kind: curve, of", "{kind: curv, of", "a.kind: found 'curv'; allowed are measure, curve"),
        ("id: dbn-greedy-error", "id: dbn-updown-error", "dbn-updown-error.id: found 2 claims"),
        ("id: dbn-greedy-error", "id: DBN", "DBN.id: found 'DBN'; it should match"),
        ("  source: Table 1 and section 6.1\n", "", "dbn-updown-error.source: this key is missing"),
        ("{kind: below, threshold: 0.0155}", "{kind: rising}", "tests.0.rule: found 'rising'; a "),
        ("{digits: 5, ", "{digits: 1, ", "seeds.digits: found 1; it should be greater than or"),
        (
            "{kind: within, low: -0.002, high: 0.002}",
            "{kind: within, low: -0.002, high: 0.002}\n      smallest: 0.1",
            "smallest: found beside a rule 'within'; it belongs to above and below",
        ),
        (
            "{kind: below, threshold: 0.0155}",
            "{kind: below, threshold: 0.0155}\n      ceiling: 1",
            "ceiling: found for one number; it compares two, a and b",
        ),
        (
            "tolerance: 0.005}",
            "tolerance: 0}",
            "rule.tolerance: found 0; it should be greater than",
        ),
        ("low: -0.002", "low: 0.003", "tests.0.rule: found low 0.003 above high 0.002"),
        ("[fundamentals]", "[digits]", "suites: found ['digits']; values of the stage"),
        ("certainty: V-2nd", "certainty: sure", "dbn-updown-error.certainty: found 'sure'; it"),
        ("\nclaims:\n", "\nclaim:\n", "found seeds, claim; `seeds` and a list `claims` are all"),
        ("of: ebgan__no_hinge\n", "of: ebgan__no_hing\n", "no variant 'ebgan__no_hing'; there are"),
        (
            "{digits: 5, ",
            "{digit: 5, digits: 5, ",
            "seeds: no suite 'digit'; there are",
        ),
        (
            "  least: {fraction: 1}\n",
            "  least: {fraction: 1}\n  seeds: {mnits: 5}\n",
            "dbn-updown-error.seeds: no suite 'mnits'; there are mnist; did you mean 'mnist'?",
        ),
        ("    seen: {", "    seen: {digist: [0], ", "changed.seen: no suite 'digist'; there are"),
        ("published: shape only", "published: no", "published: found 'no'; it should be a list"),
        ("published: shape only", "published: [3]", "published.0: found 3; it should be a "),
        ("published: shape only", "published: [{vlue: 3}]", "published.0.vlue: unknown key; "),
    ],
)
def test_a_wrong_claim_is_named(tmp_path: Path, before: str, after: str, message: str):
    assert message in refusal(tmp_path, before, after)


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        ("  shown: dbn", "  show: dbn", "shown"),
        ("measure: error_updown}", "measure: eror_updown}", "error_updown"),
        ("of: dbn_updown,", "of: dbn_updwn,", "dbn_updown"),
        ("kind: below", "kind: belw", "below"),
        ("paper: ebgan\n", "paper: ebgn\n", "ebgan"),
    ],
)
def test_the_nearest_name_is_suggested(tmp_path: Path, before: str, after: str, name: str):
    assert refusal(tmp_path, before, after).endswith(f"did you mean {name!r}?")


# --- what is written and said ---------------------------------------------------------------------


def test_the_same_files_give_the_same_bytes(tmp_path: Path):
    claims = claims_file.load(SETTINGS, SHIPPED)
    for name in ("one", "two"):
        made_up.results(tmp_path / name, settings())
        judgements.write(claims, settings(), tmp_path / name, tmp_path / f"{name}.json")
    text = (tmp_path / "one.json").read_text()
    assert text == (tmp_path / "two.json").read_text()
    assert str(tmp_path) not in text
    found = {c["id"]: {j["suite"]: j for j in c["judgements"]} for c in json.loads(text)["claims"]}
    assert set(found) == {one.id for one in claims_file.load(SETTINGS, SHIPPED)}
    assert found["began-inception-score"]["cifar10"]["verdict"] == "not run here"
    digits = found["energy-detects"]["digits"]
    assert digits["files"] == [f"results/digits/ebgan/{seed}/metrics.json" for seed in (0, 1, 2)]
    assert digits["command"] == "dvc repro evaluate@digits-ebgan"
    assert digits["runs"] == ["ebgan-0", "ebgan-1", "ebgan-2"]


def command(*words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "ebmrepro", "claims", *words]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_line_shows_one_claim_whole():
    done = command("began-ratio-is-gamma")
    assert done.returncode == 0, done.stderr
    for word in ("Rule", "1 ± 0.05", "cifar10", "not run here", "Berthelot"):
        assert word in done.stdout


def test_the_command_line_refuses_an_unknown_name_in_one_line():
    done = command("began-ratio-is-gama")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "did you mean began-ratio-is-gamma, " in done.stderr and len(done.stderr) < 200
