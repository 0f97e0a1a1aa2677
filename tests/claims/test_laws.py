"""Laws that every epoch of a training keeps, or breaks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from made_up_claims import claim, curves, judged, test_of

from ebmrepro.claims import form, laws


def magan(margin: Sequence[float]) -> dict[str, Sequence[float]]:
    """A pass that measures m_0, then fakes that fall, rise and fall again."""
    return {
        "energy/real": [3.0, 2.0, 1.5, 1.4],
        "energy/fake": [math.nan, 4.0, 5.0, 4.5],
        "magan/margin": margin,
    }


MARGIN = {
    "kind": "every epoch",
    "of": "magan",
    "law": {
        "law": "changes only when",
        "column": "magan/margin",
        "once": "energy/fake",
        "conditions": [
            {
                "left": {"column": "energy/fake", "epochs_before": 1},
                "relation": "<=",
                "right": {"column": "energy/fake", "epochs_before": 0},
            },
            {
                "left": {"column": "energy/real", "epochs_before": 0},
                "relation": "<",
                "right": {"column": "magan/margin", "epochs_before": 1},
            },
        ],
    },
}
ALWAYS = {"kind": "always"}


def test_a_rise_breaks_a_law_of_never_rising_and_a_fall_does_not():
    """5, 5, 6, 4, 3, told from the second epoch on: of four steps one goes up, two down."""
    law = form.NeverRises(law="never rises", column="margin", once="fake")
    told = {"margin": np.array([5.0, 5, 6, 4, 3]), "fake": np.array([math.nan, 1, 1, 1, 1])}
    assert laws.judge(law, told, lambda _: math.nan) == laws.Judged(broken=1, epochs=4)


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        ([3.0, 3.0, 1.5, 1.5], "holds"),
        ([3.0, 3.0, 3.0, 3.0], "holds"),  # it need not move
        ([3.0, 2.0, 1.5, 1.5], "fails"),  # in the first epoch there are no fakes to compare with
        ([3.0, 3.0, 1.5, 1.4], "fails"),  # while the fakes fall
    ],
)
def test_the_margin_moves_only_under_its_conditions(
    tmp_path: Path, margin: list[float], expected: str
):
    curves(tmp_path, "magan", magan(margin))
    assert judged(tmp_path, claim(test_of(MARGIN, ALWAYS))).verdict == expected


def test_one_epoch_refutes_a_law_and_one_run_does_not_prove_it(tmp_path: Path):
    curves(tmp_path, "magan", magan([3.0, 3.0, 1.5, 1.5]), seeds=1)
    assert judged(tmp_path, claim(test_of(MARGIN, ALWAYS)), [0]).verdict == "undecided"
    curves(tmp_path, "magan", magan([3.0, 2.0, 1.5, 1.5]), seeds=1)
    assert judged(tmp_path, claim(test_of(MARGIN, ALWAYS)), [0, 1, 2]).verdict == "fails"


def controller(
    k: Sequence[float], held: Sequence[float] | None = None, start: float = 0.0
) -> laws.Judged:
    """gain 0.1, target 0.5, one step an epoch, real 2: k rises by 0.1 * (0.5 * 2 - 0.4) = 0.06."""
    law = form.Controller(
        law="integral control", column="k", gain="gain", target="target", real="real",
        fake="fake", held="held", start=start, tolerance=1e-6,
    )  # fmt: skip
    n = len(k)
    columns = {
        "k": np.array(k),
        "step": np.arange(1, n + 1),
        "real": np.full(n, 2.0),
        "fake": np.full(n, 0.4),
        "held": np.array(held or [0.0] * n),
    }
    return laws.judge(law, columns, {"gain": 0.1, "target": 0.5}.__getitem__)


def test_a_controllers_law_is_exact_where_no_step_was_held():
    assert controller([0.06, 0.12, 0.18, 0.24]) == (0, 4)
    assert controller([0.06, 0.12, 0.20, 0.26]) == (1, 4)
    assert controller([0.06, 0.12, 0.06, 0.12]) == (1, 4)  # it fell where it should rise
    assert controller([0.06, 0.02, 0.0, 0.06], [0, 1, 1, 0]) == (0, 2)


def test_an_epoch_that_reached_a_bound_and_left_it_again_breaks_no_law():
    """By hand, two steps an epoch with gain 0.1, target 0.5: 0.3 of pull down to 0, where 0.2 are
    lost, then 0.25 up again. From its ends alone the epoch went up by 0.15 instead of down by 0.05.
    """
    law = form.Controller(
        law="integral control", column="k", gain="gain", target="target", real="real",
        fake="fake", held="held", start=0.0, tolerance=1e-6,
    )  # fmt: skip
    real = [[4.0, 2.0], [2.0, 9.0], [4.0, 2.0]]
    fake = [[1.0, 1.0], [4.0, 2.0], [3.0, 2.0]]
    k, rows, shares = 0.0, [], []
    for x, y in zip(real, fake, strict=True):
        moved = []
        for one, other in zip(x, y, strict=True):
            free = k + 0.1 * (0.5 * one - other)
            k = min(max(free, 0.0), 1.0)
            moved.append(k != free)
        rows.append(k)
        shares.append(sum(moved) / 2)
    assert rows == pytest.approx([0.1, 0.25, 0.05]) and shares == [0.0, 0.5, 0.0]
    columns = {"k": np.array(rows), "step": np.array([2, 4, 6]), "held": np.array(shares)}
    columns |= {"real": np.mean(real, axis=1), "fake": np.mean(fake, axis=1)}
    number = {"gain": 0.1, "target": 0.5}.__getitem__
    assert laws.judge(law, columns, number) == (0, 2)
    assert laws.judge(law, {**columns, "held": np.zeros(3)}, number) == (1, 3)


def test_a_controller_that_did_not_start_where_it_should_is_found_out():
    assert controller([0.5, 0.56]) == (1, 2)
    assert controller([0.5, 0.56], start=0.44) == (0, 2)


def test_a_law_that_no_epoch_tells_of_is_not_said_to_hold(tmp_path: Path):
    curves(
        tmp_path,
        "began",
        {
            **{"step": [1, 2], "energy/real": [1, 1], "energy/fake": [2, 2]},
            **{"began/k": [0, 0], "began/held": [1, 1]},
        },
    )
    law = {
        "law": "integral control", "column": "began/k", "gain": "batch_size", "target": "grids",
        "real": "energy/real", "fake": "energy/fake", "held": "began/held", "start": 0.0,
        "tolerance": 1e-4,
    }  # fmt: skip
    asked = claim(test_of({"kind": "every epoch", "of": "began", "law": law}, ALWAYS))
    found = judged(tmp_path, asked)
    assert found.verdict == "not run here" and found.reason.startswith("no epoch of began tells")
    old = {"step": [1], "energy/real": [1], "energy/fake": [2], "began/k": [0]}
    curves(tmp_path, "began", old)
    found = judged(tmp_path, asked)
    assert found.verdict == "not run here" and "holds no column began/held" in found.reason
