"""Numbers of GANs that are typed into sentences of the documentation: those of the result files."""

from __future__ import annotations

import csv
import json
import math
import re

from typed_numbers import DOCS, ROOT, by_seed, carried


def test_what_is_said_of_began_on_faces_is_what_was_measured():
    text = " ".join((DOCS / "papers/began.md").read_text().split())
    for name, gamma in (("began__gamma_05", "0.5"), ("began", "0.7")):
        shares = [100 * share for share in by_seed(f"faces/{name}", "recall_dbn")]
        assert re.search(
            rf"at {gamma}( they reach)? {min(shares):.0f} to {max(shares):.0f} %", text
        )
    assert max(by_seed("faces/began__gamma_03", "recall_dbn")) == 0
    starved = zip(
        by_seed("faces/began__small_code", "fd_dbn"),
        by_seed("faces/began__small_z", "fd_dbn"),
        strict=True,
    )
    times = [math.log(a / b) for a, b in starved]
    assert f"are {math.exp(sum(times) / len(times)):.2f} times as far" in text
    by_heart = [
        sum(by_seed(f"faces/{name}", "energy_test")) / sum(by_seed(f"faces/{name}", "energy_train"))
        for name in ("began__small_code", "began", "began__small_z")
    ]
    small, middle, large = by_heart
    assert f"{small:.2f} times that on training images with a code of 16, {middle:.2f}" in text
    assert f"with 64, {large:.2f} with the 128" in text


def test_what_is_said_of_magan_is_what_was_measured():
    text = " ".join((DOCS / "papers/magan.md").read_text().split())
    measures = carried("digits/magan")[1].values()
    margins, distances = ([each[key] for each in measures] for key in ("first margin", "fd_dbn"))
    assert f", not {min(margins):.1f} to {max(margins):.1f}, and the margin" in text
    one, two, three = (f"{each['margin']:.1f}" for each in carried("mnist/magan")[1].values())
    assert f"the margin of three seeds fell to {one}, {two} and {three}, in" in text
    (he,) = carried("mnist/magan__he")[1].values()
    ends = f"$m_0$ = {he['first margin']:.1f}, which falls to {he['margin']:.1f}, `fd_dbn`"
    assert f"{ends} {he['fd_dbn']:.1f} and {he['classes_covered']:.0f} classes" in text
    mean = sum(distances) / len(distances)
    assert f" against {mean:.2f} ({min(distances):.2f} to {max(distances):.2f}), 7 or 8" in text


def test_the_factors_by_which_fakes_raise_energies_are_what_was_measured():
    text = " ".join((DOCS / "papers/ebgan.md").read_text().split())
    systems = ("ebgan", "ebgan__real_only")
    factors = []
    for images in ("test", "patches", "noise", "shuffled"):
        ours, alone = (sum(by_seed(f"digits/{each}", f"energy_{images}")) for each in systems)
        factors.append(f"{ours / alone:.1f}")
    test, patches, noise, shuffled = factors
    assert (
        test == "2.0" and f"images twofold, of photographs {patches}, of noise {noise}, of" in text
    )
    assert f"of shuffled images {shuffled} times" in text


def test_how_many_digits_began_draws_is_what_was_counted():
    low, *_, high = sorted(by_seed("mnist/began", "classes_covered"))
    text = " ".join((DOCS / "papers/began.md").read_text().split())
    assert f"five seeds draw {low:.0f} to {high:.0f} of MNIST's ten digits" in text


def test_how_near_began_came_to_gamma_on_faces_is_what_was_reached():
    text = " ".join((DOCS / "papers/began.md").read_text().split())
    told = {
        "began__small_z": "times $\\gamma$ with a starved G",
        "began__small_code": "with a starved D",
        "began": "at $\\gamma$ = 0.7",
        "began__gamma_05": "at 0.5",
        "began__gamma_03": "at 0.3",
        "began__refined": "with the refinements",
    }
    for system, where in told.items():
        reached = []
        for file in sorted((ROOT / "results/faces" / system).glob("*/curves.csv")):
            rows = list(csv.DictReader(file.read_text().splitlines()))
            last = rows[-len(rows) // 4 :]
            card = json.loads(file.with_name("training.json").read_text())
            fake, real = (sum(float(row[f"energy/{k}"]) for row in last) for k in ("fake", "real"))
            reached.append(fake / real / card["params"]["hparams"]["gamma"])
        assert f"{min(reached):.2f} to {max(reached):.2f} {where}" in text, system


def test_what_precision_says_of_faces_is_what_was_measured():
    text = " ".join((DOCS / "guide/images.md").read_text().split())
    noise = json.loads((ROOT / "results/faces/reference/reference.json").read_text())["rows"]
    assert f"has {noise['noise']['values']['precision_dbn']:.2f} of it" in text
    assert noise["noise"]["values"]["recall_dbn"] == 0
    ends = {
        name: sorted(each["precision_dbn"] for each in carried(f"faces/{name}")[1].values())
        for name in ("ebgan", "magan", "began")
    }
    low, *_, high = ends["ebgan"]
    assert f"EBGAN {low:.2f} to {high:.2f}" in text
    low, *_, high = sorted(ends["magan"] + ends["began"])
    assert f"MAGAN and BEGAN {low:.2f} to {high:.2f}" in text
    assert noise["mean"]["values"]["precision_dbn"] == 1 and "and the mean face 1." in text
    recall, distances = (
        {name: [each[key] for each in carried(f"faces/{name}")[1].values()] for name in ends}
        for key in ("recall_dbn", "fd_dbn")
    )
    assert f"EBGAN has {min(recall['ebgan']):.2f} to {max(recall['ebgan']):.2f}" in text
    others = recall["magan"] + recall["began"]
    assert f"the other two {min(others):.2f} to {max(others):.2f}; EBGAN is the nearest" in text
    assert max(distances["ebgan"]) < min(distances["magan"] + distances["began"])
