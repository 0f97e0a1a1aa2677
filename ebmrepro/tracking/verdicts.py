"""The claims in MLflow: a table of a suite's verdicts, and notes that say them in words."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ebmrepro.config import forms
from ebmrepro.system.reading import known
from ebmrepro.tracking.store import Store, logged

NOTE = "mlflow.note.content"
LONGEST_NOTE = 4900  # characters; older servers refuse longer tags
HEAD, LINE = "Claims judged here: ", "- **"  # how notes of ours begin


def sync_claims(store: Store, suite: str) -> None:
    """Bring notes, and the table of verdicts in the suite's run `report` if any claim concerns the
    suite, up to reports/claims.json, where that is there."""
    document = known(forms.Claims.read, store.root / "reports" / "claims.json")
    if document is None:
        return
    _note(store, suite, document)
    shown = table(document, suite)
    if not shown["data"]:
        return
    content = hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16]
    with store.lock(f"report-{suite}"):
        # `log_table` would add rows to a report before; this tag makes a file a table.
        tables = json.dumps([{"path": "claims.json", "type": "table"}])
        tags = {"suite": suite, "ebm.kind": "report", "mlflow.loggedArtifacts": tables}
        run = store.find(suite, "ebm.kind", "report") or store.client.create_run(
            store.experiment(suite), run_name="report", tags=tags
        )
        if logged(run).get("claims.json") != content:
            store.client.log_dict(run.info.run_id, shown, "claims.json")
            noted = json.dumps({"claims.json": content})
            store.client.set_tag(run.info.run_id, "ebm.logged", noted)
            store.client.set_terminated(run.info.run_id)


def table(document: Mapping[str, Any], suite: str) -> dict[str, list[Any]]:
    """The claims that the suite decides, or that no suite does, as MLflow keeps a table."""
    columns = ["id", "verdict", "claim", "paper", "published", "here", "effect", "rule", "reason"]
    rows = [
        [
            claim["id"],
            judgement["verdict"],
            claim["claim"],
            claim["paper_title"],
            claim["published_in_words"],
            "; ".join(part["estimate_in_words"] for part in judgement["parts"]),
            "; ".join(part["effect_in_words"] for part in judgement["parts"]),
            "; ".join(f"{part['statistic']}: {part['rule']}" for part in judgement["parts"]),
            judgement["reason"],
        ]
        for claim in document.get("claims", ())
        for judgement in claim["judgements"]
        if judgement["suite"] in (suite, "fundamentals")
    ]
    return {"columns": columns, "data": rows}


def _note(store: Store, suite: str, document: Mapping[str, Any]) -> None:
    """Say on the experiment how many claims hold and which fail, and on each run what became of the
    claims that its system is part of."""
    told = list(_judged(document, suite))
    count = Counter(verdict for _, verdict, _ in told)
    head = HEAD + ", ".join(f"{n} {word}" for word, n in count.most_common())
    failing = [line for _, verdict, line in told if verdict == "fails"]
    experiment = store.experiment(suite)
    note = _joined([f"{head}.", *failing]) if told else ""
    if _is_new(note, store.client.get_experiment(experiment).tags.get(NOTE, "")):
        store.client.set_experiment_tag(experiment, NOTE, note)
    for run in store.runs(suite):
        system = run.data.tags.get("method", "")
        note = _joined([line for systems, _, line in told if system in systems])
        if _is_new(note, run.data.tags.get(NOTE, "")):
            store.client.set_tag(run.info.run_id, NOTE, note)


def _is_new(note: str, old: str) -> bool:
    """Whether it is to be written; an empty one over no words but our own."""
    return note != old and (bool(note) or old.startswith((HEAD, LINE)))


def _judged(document: Mapping[str, Any], suite: str) -> Iterator[tuple[set[str], str, str]]:
    """Systems, verdict and a line of Markdown, of what the suite decides."""
    for claim in document["claims"]:
        for judgement in claim["judgements"]:
            if judgement["suite"] == suite:
                here = "; ".join(part["estimate_in_words"] for part in judgement["parts"])
                verdict, why = judgement["verdict"], here or judgement["reason"]
                # Of the form results/<suite>/<system>/<seed>/<file>.
                systems = {file.split("/")[2] for file in judgement["files"] if file.count("/") > 3}
                yield systems, verdict, f"{LINE}{verdict}**: {claim['claim']} *{why}*"


def _joined(lines: list[str]) -> str:
    """As many whole lines as a note takes."""
    text = "\n".join(lines)
    return text if len(text) <= LONGEST_NOTE else text[:LONGEST_NOTE].rpartition("\n")[0]
