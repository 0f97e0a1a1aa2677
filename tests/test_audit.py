"""Known vulnerabilities: what `make audit` says when services answer, and when none does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


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
