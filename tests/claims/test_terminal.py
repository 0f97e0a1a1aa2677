"""Claims in a terminal of 80 columns: a made-up document and every line that it becomes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from rich.console import Console

from ebmrepro.claims import terminal
from ebmrepro.claims.verdict import OPEN


def judgement(suite: str, verdict: str, said: str = "", **more: Any) -> dict[str, Any]:
    part = {
        **{
            "statistic": "FID",
            "rule": "below 10",
            "estimate_in_words": said,
            "effect_in_words": "",
        },
        **{"verdict": verdict, "values": {"0": 9.0, "1": None}, "protocol": ["Of 10.", "Once."]},
    }
    told = {
        **{"suite": suite, "verdict": verdict, "reason": "", "carried": "", "price": None},
        **{"price_in_words": "", "to_run": "", "files": [], "runs": [], "parts": [part]},
        "command": "" if verdict == "not run here" else "make repro",
    }
    return {**told, **more}


def claim(name: str, paper: str, *judgements: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = {
        **{"id": name, "paper": paper, "paper_title": f"{paper.upper()}: a title"},
        **{"claim": f"It is so, says {name}.", "published_in_words": "8.5", "source": "Table 1"},
        **{"certainty_in_words": "printed", "note": "", "least_in_words": "", "changed": None},
        **{"check": False, "judgements": [*judgements]},
    }
    return {**told, **more}


COUNT = {
    **{"claims": 4, "judgements": 5, "findings": {"holds": 2, "fails": 1}, "checks": {}},
    **{"tested": 3, "alone": 2, "holm": 0, "benjamini_hochberg": 1},
}
FIRST = claim(
    "first",
    "began",
    judgement("digits", "holds", "9 [8, 10]"),
    judgement("mnist", "undecided", "12 [5, 20]", price={"seeds": 10, "more": 7, "hours": 3.456}),
)
SECOND = claim(
    "second",
    "ebgan",
    judgement("digits", "not run here"),
    judgement("mnist", "fails", "30", reason="so", carried="from elsewhere"),
)
THIRD = claim(
    *("third", "began"),
    judgement("digits", "not yet", price={"seeds": 3, "more": 3, "hours": 0.5}),
)
FOURTH = claim(
    "fourth", "dbn", judgement("mnist", "not run here"), judgement("faces", "not run here")
)
DOCUMENT = {"count": COUNT, "claims": [FIRST, SECOND, THIRD, FOURTH]}


def shown(show: Callable[[Any, Console], None], what: Any) -> str:
    out = io.StringIO()
    show(what, Console(file=out, width=80, no_color=True))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_the_overview_has_a_mark_for_each_suite_and_one_line_a_claim():
    assert (
        shown(terminal.overview, DOCUMENT)
        == """\
4 claims on their suites: 5 judgements. Findings: 2 holds, 1 fails. Checks,
which cannot fail without a bug: none. Of 3 tested 2 are decided alone, 0 after
Holm, 1 by Benjamini-Hochberg.
di mn claim                          here
      began
✓  ?  first                          9 [8, 10]
…     third
      ebgan
   ✗  second                         30
✓ holds, ✗ fails, ≈ no material effect, = at ceiling, ? undecided, … not yet.
Here: on the first suite, of digits, mnist.
1 more: --verdict 'not run here'. Whole: ebmrepro claims ID, --suite, --paper."""
    )


def test_checks_that_hold_are_counted_and_not_listed():
    held = claim("held", "dbn", judgement("digits", "holds", "1"), check=True)
    broken = claim("broken", "dbn", judgement("digits", "fails", "2"), check=True)
    told = shown(terminal.overview, {"count": COUNT, "claims": [FIRST, held, broken]})
    assert "✗     broken " in told and "held" not in told and "1 checks that hold: --v" in told


def test_the_table_has_each_claim_under_its_paper_on_its_suites():
    assert (
        shown(terminal.table, terminal.rows(DOCUMENT, None, None))
        == """\
BEGAN: a title

                                                             Here, 95 %
                                                             interval over
  Verdict       Claim                Suite    Paper          seeds
 ──────────────────────────────────────────────────────────────────────────────
  ✓ holds       first It is so,      digits   8.5            9 [8, 10] (below
                says first.                                  10)
  ? undecided   first It is so,      mnist    8.5            12 [5, 20] (below
                says first.                                  10)
  … not yet     third It is so,      digits   8.5
                says third.

EBGAN: a title

                                                           Here, 95 % interval
  Verdict   Claim                  Suite   Paper           over seeds
 ──────────────────────────────────────────────────────────────────────────────
  ✗ fails   second It is so,       mnist   8.5             30 (below 10)
            says second.                                   so
                                                           from elsewhere

DBN: a title

                                                              Here, 95 %
                                                              interval over
  Verdict          Claim                Suite   Paper         seeds
 ──────────────────────────────────────────────────────────────────────────────
  – not run here   fourth It is so,     mnist   8.5
                   says fourth.

Shown: 1 holds, 1 fails, 1 undecided, 1 not yet, 1 not run here."""
    )


def test_rows_are_those_asked_for():
    def names(*asked: Any) -> list[tuple[str, str]]:
        return [(c["id"], j["suite"]) for c, j in terminal.rows(DOCUMENT, *asked)]

    # What nobody runs is shown of claims that nothing decides, and of these once.
    whole = [*((("first", s)) for s in ("digits", "mnist")), ("second", "mnist")]
    assert names(None, None) == [*whole, ("third", "digits"), ("fourth", "mnist")]
    assert names("digits", None) == [("first", "digits"), ("second", "digits"), ("third", "digits")]
    assert names(None, "began") == [*whole[:2], ("third", "digits")]
    assert names("mnist", None, ("fails",)) == [("second", "mnist")]


def test_the_cheapest_to_decide_comes_first_and_what_has_no_price_last():
    asked = terminal.rows(DOCUMENT, None, None, ("fails", *OPEN))
    assert (
        shown(terminal.undecided, asked)
        == """\

    Hours  Seeds    Claim   Suite
 ──────────────────────────────────
 …   0.50  3 of 3   third   digits
 ?    3.5  7 of 10  first   mnist
 ✗      –  –        second  mnist

? undecided, … not yet: trained for less of the budget than the claim asks for.
Seeds: more of all, for an interval that decides four times in five at the mean
and spread seen. Hours: of one thread for all of them, as carried results record
it."""
    )


def test_one_claim_is_shown_with_all_that_leads_to_it():
    changed = {"on": "2026-01-02", "why": "w", "before": "b"}
    digits = {**FIRST["judgements"][0], "runs": ["began-0", "began-1"], "files": ["a", "b"]}
    asked = {**FIRST, "changed": changed, "judgements": [digits]}
    assert (
        shown(terminal.whole, asked)
        == """\
╭─ first ──────────────────────────────────────────────────────────────────────╮
│ It is so, says first.                                                        │
╰──────────────────────────────────────────────────────────────────────────────╯
Paper      BEGAN: a title
Source     Table 1 (printed)
Published  8.5
Changed    rule changed after a result was seen, 2026-01-02: w Before: b
╭─ digits ─────────────────────────────────────────────────────────────────────╮
│ ✓ holds                                                                      │
│ Statistic  FID                                                               │
│ Rule       below 10                                                          │
│ Here       9 [8, 10]                                                         │
│ Verdict    holds                                                             │
│ By seed    0: 9, 1: none                                                     │
│ Protocol   Of 10. Once.                                                      │
│ Files    a, b                                                                │
│ Command  make repro                                                          │
│ MLflow   experiment ebmrepro/digits: began-0, began-1                        │
╰──────────────────────────────────────────────────────────────────────────────╯"""
    )
