"""What a statistic is taken from: energies, curves, documents; numbers by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_claims import ABOVE, NEAR, claim, curves, judged, test_of

from ebmrepro.claims import measurements
from ebmrepro.claims.form import Claim


def test_a_norm_is_squared_image_by_image_to_be_a_sum_of_squares(tmp_path: Path):
    for seed in range(3):
        folder = tmp_path / "results" / "digits" / "ebgan" / str(seed)
        folder.mkdir(parents=True)
        np.savez(folder / "energies.npz", allow_pickle=False, test=np.array([1.0, 3.0]))
    statistic = {"kind": "energies", "of": "ebgan", "images": "test", "power": 2}
    found = judged(
        tmp_path, claim(test_of(statistic, {"kind": "near", "value": 5, "tolerance": 0.1}))
    )
    assert (found.verdict, found.parts[0].mean) == ("holds", 5.0)


def test_a_rank_correlation_over_epochs_sees_order_alone(tmp_path: Path):
    curves(tmp_path, "began", {"epoch": [1, 2, 3, 4], "began/M_global": [9, 3, 2.9, 0.1]})
    statistic = {
        "kind": "correlation",
        "of": "began",
        "x": "epoch",
        "y": "began/M_global",
        "over": "all",
    }
    found = judged(tmp_path, claim(test_of(statistic, {"kind": "below", "threshold": 0.0})))
    assert (found.verdict, found.parts[0].mean) == ("holds", pytest.approx(-1))


def test_ties_share_their_rank():
    """Ranks 1, 2.5, 2.5, 4 against 1, 3, 2, 4: covariance 4.5, variances 4.5 and 5."""
    x, y = np.array([1.0, 2.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0, 4.0])
    assert measurements.spearman(x, y) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    for n in range(3, 101):  # of 45 points numpy's is 0.9999999999999999, whose z is no bound
        assert measurements.spearman(order := np.arange(float(n)), order) == 1
        assert measurements.spearman(order, -order) == -1
    assert measurements._ranks(x).tolist() == [1, 2.5, 2.5, 4]


def document(root: Path, values: Mapping[str, Mapping[str, float | None]]) -> None:
    folder = root / "results" / "fundamentals"
    folder.mkdir(parents=True)
    text = json.dumps({"schema": 1, "values": values, "reasons": {}, "protocol": {"kl": "by grid"}})
    (folder / "metrics.json").write_text(text)


def on_the_plane(value: str, rule: Mapping[str, Any], **more: Any) -> Claim:
    statistic = {"kind": "document", "stage": "fundamentals", "value": value}
    return claim(test_of(statistic, rule, **more), seeds=1 if more else 3, suites=["fundamentals"])


def test_a_document_brings_its_own_seeds_and_protocol(tmp_path: Path):
    document(tmp_path, {"kl": {"7": 0.1, "8": 0.11, "9": 0.12}, "z": {"7": 1.0}})
    found = judged(tmp_path, on_the_plane("kl", ABOVE), suite="fundamentals")
    assert found.verdict == "holds"
    assert "by grid" in found.parts[0].protocol
    exact = judged(tmp_path, on_the_plane("z", NEAR, deterministic=True), suite="fundamentals")
    assert exact.verdict == "holds"


def test_a_value_that_a_document_lacks_is_told_with_the_nearest(tmp_path: Path):
    document(tmp_path, {"kl_ring@ml": {"0": 0.1}})
    found = judged(tmp_path, on_the_plane("kl_rng@ml", ABOVE), suite="fundamentals")
    assert found.verdict == "not run here"
    assert found.reason.endswith("did you mean 'kl_ring@ml'?")
