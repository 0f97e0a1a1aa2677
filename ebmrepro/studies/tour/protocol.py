"""How each number of the tour is measured: the sentences of protocol.yaml, for one suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ebmrepro.config.documents import read_yaml
from ebmrepro.studies.tour.material import Material
from ebmrepro.studies.tour.ranking import HALVES


def protocol(material: Material) -> dict[str, str]:
    """Measure, without a system -> its sentence."""
    told, asked = read_yaml(Path(__file__).with_suffix(".yaml")), material.asked
    looked_at = {
        "all": None,
        "ranking": asked.ranking.images,
        "detection": material.evaluate.energies,
        "generation": asked.generation.images,
    }
    longest = asked.decision.lengths[-1]
    facts: dict[str, Any] = {
        "asked": asked,
        "evaluate": material.evaluate,
        "split": material.split,
        "held_out": material.held_out_words,
        "count": {question: len(material.test[:n]) for question, n in looked_at.items()},
        "halves": min(HALVES, len(material.test[: asked.ranking.images]) - 1),
        "longest": longest,
        "twice": 2 * longest,
    }
    for name, phrase in told["phrases"].items():
        facts[name] = phrase.format(**facts)
    found = {measure: sentence.format(**facts) for measure, sentence in told["measures"].items()}
    for name, words in told["corruptions"].items():
        levels = ", ".join(f"{level:g}" for level in getattr(asked.ranking, name))
        ladder = told["ladder"].format(corruption=words.format(levels=levels), **facts)
        found |= {f"{m}_{name}": told[m].format(ladder=ladder) for m in ("tau", "ordered")}
    others = {suite: told["other"].format(suite=suite) for suite in asked.others}
    for name, kind in (told["kinds"] | others).items():
        found[f"auroc_{name}"] = told["auroc"].format(kind=kind, **facts)
    return found
