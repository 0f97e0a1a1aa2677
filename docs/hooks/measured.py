"""Committed results in the pages, so that a page is true of the results it is built beside."""

from __future__ import annotations

import json
import posixpath
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from source import ROOT, MarkerError, escape

from ebmrepro.claims.form import NOT_RUN
from ebmrepro.claims.verdict import VERDICTS
from ebmrepro.config import params
from ebmrepro.metrics import catalogue
from ebmrepro.metrics.catalogue import Scale
from ebmrepro.metrics.interval import interval
from ebmrepro.metrics.measurement import Measurement
from ebmrepro.report import numbers, words
from ebmrepro.report.blocks import Column
from ebmrepro.report.gather import together
from ebmrepro.runs import carried

PICTURES = "assets/results"  # where the site has the pictures of results
SETTINGS = ROOT / "params.yaml"  # of this checkout, whatever results are looked at


def result(suite: str, names: Sequence[str], measures: Sequence[str]) -> str:
    """Measures down, systems across: mean over the committed seeds, its 95 % interval and n.

    Raises:
        MarkerError: a measure has no name in the catalogue.
    """
    runs = {name: _runs(suite, name) for name in names}
    if not any(runs.values()):
        return f"*{words.suite(suite)}: {NOT_RUN}.*"
    table = [
        f"| {words.suite(suite)} | {' | '.join(words.system(name) for name in names)} |",
        f"| :-- |{' --: |' * len(names)}",
    ]
    for measure in measures:
        try:
            told = catalogue.describe(measure)
        except KeyError as error:
            raise MarkerError(f"result: {error.args[0]}") from None
        cells = [_cell(runs[name], measure, told.digits) for name in names]
        better = f", {told.better} is better" if told.better else ""
        table.append(f"| {escape(told.label)}{better} | {' | '.join(cells)} |")
    note = "Mean over training seeds, 95 % interval in brackets, number of seeds behind it."
    how = _carried(suite, names)
    return "\n".join([*table, "", f"<small>{note} From `results/{suite}/`{how}.</small>"])


def trained(suite: str) -> str:
    """Of each trained system the part of its epochs, the seeds, and the DBN that measured them."""
    table = ["| system | part of its epochs | seeds, by DBN |", "| :-- | --: | :-- |"]
    for folder in sorted((ROOT / "results" / suite).glob("*")):
        by_dbn: dict[tuple[float, str], list[str]] = {}
        for run in (run for run in _runs(suite, folder.name) if run.get("budget")):
            key = run["budget"]["epoch_fraction"], run["protocol"]["extractor_sha256"][:8]
            by_dbn.setdefault(key, []).append(str(run["seed"]))
        for (part, dbn), seeds in by_dbn.items():
            cells = f"{words.system(folder.name)} | {part:g} | {', '.join(seeds)} by `{dbn}`"
            table.append(f"| {cells} |")
    if len(table) == 2:
        return f"*{words.suite(suite)}: {NOT_RUN}.*"
    return "\n".join([*table, "", f"<small>From `results/{suite}/`.</small>"])


def samples(suite: str, name: str, page: Any) -> str:
    """What a system draws after training, from its first committed seed."""
    found = _folders(suite, name)
    if not found:
        return f"*{words.system(name)} on {words.suite(suite)}: {NOT_RUN}.*"
    link = posixpath.relpath(
        f"{PICTURES}/{suite}-{name}.png", posixpath.dirname(page.file.src_uri) or "."
    )
    alt = f"Generated images of {words.system(name)}, {words.suite(suite)}"
    caption = f"{words.system(name)}, {words.suite(suite)}, seed {found[0].name}; not selected"
    caption += _carried(suite, [name])
    return (
        f'<figure markdown="span">\n![{alt}]({link}){{ .samples }}\n'
        f"<figcaption>{caption}</figcaption>\n</figure>"
    )


def verdicts(*papers: str) -> str:
    """What was found of the claims of these papers, from reports/claims.json.

    Raises:
        MarkerError: the file has no claim of one of them.
    """
    if not (claims := _told("paper", papers)):
        return f"*Verdicts: {NOT_RUN}.*"
    table = ["| claim | published | ours | verdict |", "| :-- | :-- | :-- | :-- |"]
    return "\n".join([*table, *(row for claim in claims for row in _rows(claim))])


def topic(name: str) -> str:
    """What was found of all claims that a part of the lecture is about, whoever makes them.

    Raises:
        MarkerError: the file has no claim of that part.
    """
    if not (claims := _told("topic", (name,))):
        return f"*Verdicts: {NOT_RUN}.*"
    table, counts = ["| claim | verdict |", "| :-- | :-- |"], Counter[str]()
    for claim in claims:
        judged = [j for j in claim["judgements"] if j["verdict"] != NOT_RUN]
        said = [f"**{j['verdict']}** on {escape(j['suite'])}" for j in judged] or [NOT_RUN]
        table.append(f"| {escape(claim['claim'])} | {', '.join(said)} |")
        counts.update([j["verdict"] for j in judged] or [NOT_RUN])
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    return _folded(f"Claims and verdicts: {told}", table)


def _folded(title: str, lines: Sequence[str]) -> str:
    """What opens under a title."""
    return f'??? abstract "{title}"\n\n{textwrap.indent(chr(10).join(lines), "    ")}'


def document(path: str, names: Sequence[str]) -> str:
    """Values of a stage's document of measurements, each with how it was taken.

    Raises:
        MarkerError: the document is there and has no such value.
    """
    file = ROOT / path
    if not file.is_file():
        return f"*`{path}`: {NOT_RUN}.*"
    found = json.loads(file.read_text(encoding="utf-8"))
    table = ["| what was measured | ours |", "| :-- | --: |"]
    for name in names:
        if name not in found["values"]:
            raise MarkerError(f"document: {path} has no value {name!r}")
        values = [value for value in found["values"][name].values() if value is not None]
        told = escape(found["protocol"].get(name, ""))
        ours = _mean(values) if values else escape(found["reasons"].get(name, "not measured"))
        table.append(f"| `{name}`<br><small>{told}</small> | {ours} |")
    note = f"Mean over training seeds, 95 % interval in brackets. From `{path}`."
    title = "Numbers, and how each was measured"
    return _folded(title, [*table, "", f"<small>{note}</small>"])


def value(place: str, name: str) -> str:
    """A measured number in a sentence, with its 95 % interval over seeds.

    `place` is a folder of results/: of a system (`digits/ebgan`), or of a stage with one document.

    Raises:
        MarkerError: a measure of a system is not in the catalogue.
    """
    by_seed = _by_seed(place, name)
    if not by_seed:
        return f"*{NOT_RUN}*"
    found = interval([*by_seed.values()], _scale(name))
    parts = [found.mean, found.low, found.high]
    mean, *ends = ("" if p is None else _brief(p) for p in parts)
    spread = f" \\[{ends[0]}, {ends[1]}\\]" if all(ends) and ends[0] != ends[1] else ""
    return f"{mean}{spread}"


def _scale(name: str) -> Scale:
    """That on which the report has it: by the catalogue, or by the units of the tour's columns."""
    if name in catalogue.MEASURES:
        return catalogue.scale(name)
    key = name.partition("@")[0]
    if key.startswith("auroc_"):  # columns that the tour makes itself
        return catalogue.SCALES["AUROC"]
    fitting: list[Scale] = [column.scale for column in _columns() if column.measure == key]
    return fitting[0] if fitting else "linear"


@cache
def _columns() -> Sequence[Column]:
    """Those of the tour's tables."""
    tour = words.Words("tour")
    tables = [
        entry for part in tour if isinstance(entry := tour[part], dict) and "columns" in entry
    ]
    return [Column(**column) for entry in tables for column in entry["columns"]]


def beside(place: str, name: str, other: str, measure: str) -> str:
    """`lower than`, `higher than`, or `not told apart from`: by the paired difference over seeds.

    Raises:
        MarkerError: a measure of a system is not in the catalogue.
    """
    one, two = _by_seed(place, name), _by_seed(other, measure)
    differences = [one[seed] - two[seed] for seed in one if seed in two]
    if not differences:
        return f"*{NOT_RUN}* beside"
    found = interval(differences)
    if found.low is None or found.high is None or found.low <= 0 <= found.high:
        return "not told apart from"
    return "higher than" if found.low > 0 else "lower than"


def _by_seed(place: str, name: str) -> dict[str, float]:
    """What was measured, seed by seed; nothing where it was not."""
    if place.count("/") > 1:
        raise MarkerError(f"results/{place}: found more than SUITE/SYSTEM")
    folder, runs = ROOT / "results" / place, _folders(*place.split("/")) if "/" in place else []
    if runs:
        if name not in catalogue.MEASURES:
            raise MarkerError(f"no measure {name!r} in the catalogue")
        texts = {run.name: json.loads((run / "metrics.json").read_text("utf-8")) for run in runs}
        return together(name, {seed: Measurement.read(text) for seed, text in texts.items()})
    file = folder / "metrics.json"
    found = json.loads(file.read_text("utf-8"))["values"] if file.is_file() else {name: {}}
    if name not in found:
        raise MarkerError(f"results/{place} has no value {name!r}")
    return {seed: number for seed, number in found[name].items() if number is not None}


def _brief(number: float) -> str:
    """Three significant digits, without an exponent, with a real minus sign."""
    text = f"{number:.3g}"
    text = f"{number:,.0f}" if "e+" in text else text
    return text.replace("-", "−")


def pictures() -> Iterator[tuple[str, Path]]:
    """(address in the site, file) of every picture of results that a page may show."""
    yield f"{PICTURES}/overview.png", ROOT / "reports" / "overview.png"
    for folder in sorted((ROOT / "results").glob("*/*")):
        suite, name = folder.parts[-2:]
        drawn = [path for seed in _folders(suite, name) if (path := seed / "samples.png").exists()]
        if drawn:  # EBGAN's grid has pictures of its own
            yield f"{PICTURES}/{suite}-{name}.png", drawn[0]


def measures() -> str:
    """Every measure of the catalogue."""
    table = ["| measure, name in files | unit | how it is measured |", "| :-- | :-- | :-- |"]
    for name, told in catalogue.MEASURES.items():
        better = f"{told.better} is better" if told.better else ""
        unit = "<br>".join(filter(None, (escape(told.unit), better)))
        label = f"{escape(told.label)}<br>`{name}`"
        table.append(f"| {label} | {unit} | {escape(told.protocol)} |")
    return "\n".join(table)


def _carried(suite: str, names: Sequence[str]) -> str:
    """What is to be said of results that `make repro` does not make; nothing of others."""
    if suite in _asked():
        return ""
    known = carried.provenance(ROOT, suite)
    return f"; {escape(carried.in_words([e for (name, _), e in known.items() if name in names]))}"


@cache  # to read the file takes longer than all else of a marker
def _asked() -> Sequence[str]:
    """Suites that `make repro` makes the results of."""
    return params.load(SETTINGS).run.suites


def _folders(suite: str, name: str) -> Sequence[Path]:
    found = (ROOT / "results" / suite / name).glob("*/metrics.json")
    return sorted((path.parent for path in found), key=lambda folder: int(folder.name))


def _runs(suite: str, name: str) -> Sequence[dict[str, Any]]:
    texts = (f / "metrics.json" for f in _folders(suite, name))
    return [json.loads(path.read_text(encoding="utf-8")) for path in texts]


def _told(key: str, wanted: Sequence[str]) -> Sequence[dict[str, Any]]:
    """The claims of these papers or parts of the lecture; none where none was judged."""
    path = ROOT / "reports" / "claims.json"
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))["claims"]
    known = sorted({claim[key] for claim in found if claim[key]})
    for name in wanted:
        if name not in known:
            raise MarkerError(f"no claim of {key} {name!r}; there are {', '.join(known)}")
    return [claim for claim in found if claim[key] in wanted]


def _rows(claim: dict[str, Any]) -> Iterator[str]:
    """A row for each suite that was run, one that says so where none was."""
    said = f"{claim['published_in_words']}<br><small>{escape(claim['certainty_in_words'])}</small>"
    head = f"| {escape(claim['claim'])}<br><small>{escape(claim['source'])}</small> | {said}"
    judged = [j for j in claim["judgements"] if j["verdict"] != NOT_RUN]
    if not judged:
        suites = ", ".join(j["suite"] for j in claim["judgements"])
        yield f"{head} | – | {NOT_RUN}<br><small>decided on {escape(suites)}</small> |"
    for judgement in judged:
        parts = "<br>".join(_part(part) for part in judgement["parts"])
        why = f": {escape(judgement['reason'])}" if judgement["reason"] else ""
        where = escape(", ".join(filter(None, (judgement["suite"], judgement.get("carried")))))
        yield f"{head} | {parts} | **{judgement['verdict']}**<br><small>{where}{why}</small> |"


def _part(part: dict[str, Any]) -> str:
    told = f"<small>{escape(part['statistic'])}; to hold: {escape(part['rule'])}</small>"
    if part["mean"] is None:
        return f"{NOT_RUN} {told}"
    bounds = "" if part["low"] is None else f" [{part['low']:.3g}, {part['high']:.3g}]"
    ours = f"{part['mean']:.3g}{bounds}, n = {part['n']}"
    return f"{escape(ours)} {told}"


def _mean(values: Sequence[float]) -> str:
    found = interval(values)
    bounds = "" if found.low is None else f"[{found.low:.3g}, {found.high:.3g}] "
    return f"{found.mean:.3g}<br><small>{escape(f'{bounds}n = {found.n}')}</small>"


def _cell(runs: Sequence[dict[str, Any]], measure: str, digits: int) -> str:
    if not runs:
        return NOT_RUN
    measured = {seed: Measurement.read(run) for seed, run in enumerate(runs)}
    values = [*together(measure, measured).values()]
    if not values:
        return "not measured" if any(measure in run["values"] for run in runs) else "–"
    found = interval(values, catalogue.scale(measure))
    digits = numbers.decimals(found, digits)
    bounds = numbers.bounds(found, digits)
    small = escape(f"{bounds} n = {found.n}".strip())
    return f"{numbers.number(found.mean, digits)}<br><small>{small}</small>"
