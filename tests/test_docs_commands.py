"""Commands that the documentation tells to type: what they ask of params.yaml can be asked."""

import re
import shlex
from pathlib import Path

import pytest

from ebmrepro.config import variant

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = {
    f"{page.relative_to(ROOT)}: {line[:90]}": line
    for page in PAGES
    for line in page.read_text().replace("\\\n", "").splitlines()
    if line.startswith("dvc exp run ")
}


@pytest.mark.parametrize("name", COMMANDS)
def test_params_yaml_takes_the_changes_of_a_documented_experiment(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(ROOT)
    words = shlex.split(COMMANDS[name], comments=True)
    changes = [words[i + 1] for i, word in enumerate(words) if word == "-S"]
    if "--queue" in words:  # a value of several is an experiment each
        changes = [re.sub(r"=(?!\[)([^,]*),.*", r"=\1", change) for change in changes]
    assert changes and all(re.match(r"\w[\w.]*=", change) for change in changes)
    run = variant.tried(changes).run
    if not any("@" in word for word in words):  # the whole pipeline, which makes these data alone
        assert {*run.classifiers, *run.linear_codes, *run.grids} <= {*run.suites}
