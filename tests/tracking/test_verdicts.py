"""What became of the claims, in MLflow: a table, and notes beside the runs."""

from __future__ import annotations

from typing import Any

from tracked_runs import RUN, dump, mlflow_runs, pytestmark, write_card, write_run

from ebmrepro.config.params import Training
from ebmrepro.tracking import projection, verdicts
from ebmrepro.tracking.store import Store

__all__ = ["pytestmark"]


def claims(verdict: str) -> dict[str, Any]:
    part = {"statistic": "ratio", "rule": "1 ± 0.05", "estimate_in_words": "1.01, n = 3"}
    part |= {"effect_in_words": "20 % of tolerance"}
    judgements = [
        {
            "suite": suite,
            "verdict": verdict,
            "reason": "",
            "carried": "",
            "to_run": "",
            "files": [f"results/{suite}/{RUN.name}/0/metrics.json", "reports/claims.yaml"],
            "parts": [part],
        }
        for suite in ("digits", "mnist")
    ]
    claim = {"id": "began-ratio", "claim": "It settles.", "paper": "a_2017", "paper_title": "A"}
    claim |= {"published_in_words": "shape only", "judgements": judgements}
    return {"schema": 2, "level": 0.95, "count": {}, "claims": [claim]}


def test_verdicts_are_one_table_of_one_run_and_follow_their_file(root):
    dump(root / "reports" / "claims.json", claims("holds"))
    write_card(root)
    for verdict in ("holds", "holds", "fails"):
        dump(root / "reports" / "claims.json", claims(verdict))
        projection.sync_all(root, [RUN])
    client = Store(root).client
    found = client.get_experiment_by_name("ebmrepro/digits")
    assert found is not None
    experiment = found.experiment_id
    (run,) = client.search_runs([experiment], "tags.`ebm.kind` = 'report'")
    assert run.info.status == "FINISHED"
    rows = client.load_table(experiment, "claims.json", [run.info.run_id])
    assert rows[["id", "verdict", "here"]].values.tolist() == [
        ["began-ratio", "fails", "1.01, n = 3"]
    ]


def test_a_note_says_what_became_of_the_claims_that_a_runs_system_is_part_of(root):
    other = Training("digits", "magan", 1)
    write_run(root)
    write_run(root, other, "beef")
    dump(root / "reports" / "claims.json", claims("fails"))
    projection.sync_all(root, [RUN, other])
    store, line = Store(root), "- **fails**: It settles. *1.01, n = 3*"
    notes = {run.info.run_name: run.data.tags.get(verdicts.NOTE) for run in mlflow_runs(root)}
    assert notes == {f"{RUN.name}-0": line, "magan-1": None, "report": None}
    tags = store.client.get_experiment(store.experiment("digits")).tags
    assert tags[verdicts.NOTE] == f"Claims judged here: 1 fails.\n{line}"
    (without,) = (run for run in mlflow_runs(root) if run.info.run_name == "magan-1")
    store.client.set_tag(without.info.run_id, verdicts.NOTE, "A person's words")
    dump(root / "reports" / "claims.json", claims("fails") | {"claims": []})
    projection.sync_all(root, [RUN, other])
    notes = {run.info.run_name: run.data.tags.get(verdicts.NOTE) for run in mlflow_runs(root)}
    assert notes == {f"{RUN.name}-0": "", "magan-1": "A person's words", "report": None}
    assert store.client.get_experiment(store.experiment("digits")).tags[verdicts.NOTE] == ""
