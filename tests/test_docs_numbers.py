"""Numbers that are typed into sentences of the documentation: those of the result files."""

from __future__ import annotations

import json
import re
import statistics

import pytest
from typed_numbers import DOCS, NATS, PERCENT, ROOT, as_committed, by_seed, carried, rows

RIVALS = ("support_vectors", "backprop_two", "backprop_one")


@pytest.mark.parametrize(
    ("page", "place", "measure", "unit"),
    [
        ("docs/papers/rbm.md", "mnist/rbm__cd1", "log_likelihood", NATS),
        ("docs/papers/rbm.md", "mnist/rbm__cd3", "log_likelihood", NATS),
        ("docs/papers/rbm.md", "mnist/rbm", "log_likelihood", NATS),
        ("docs/papers/rbm.md", "mnist/rbm__exact", "log_likelihood_exact", NATS),
        ("docs/papers/rbm.md", "mnist/rbm__stack", "log_likelihood_bound", NATS),
        ("CHANGELOG.md", "mnist/rbm__stack", "log_likelihood_bound", NATS),
        ("docs/papers/rbm.md", "mnist/rbm__paper", "log_likelihood", NATS),
        ("CHANGELOG.md", "mnist/rbm__paper", "log_likelihood", NATS),
        *(
            (page, "mnist/linear_codes", "logistic_pca_sum_sq", (1, 2))
            for page in ("docs/papers/autoencoder.md", "CHANGELOG.md")
        ),
        *(
            (page, "mnist/dbn_updown", f"error_{way}", PERCENT)
            for page in ("docs/papers/dbn_updown.md", "CHANGELOG.md")
            for way in ("updown", "greedy")
        ),
        ("docs/papers/dbn_updown.md", "mnist/classifiers", "error_backprop_two", PERCENT),
        ("docs/papers/dbn_updown.md", "mnist/classifiers", "error_backprop_one", PERCENT),
        *(
            (
                "docs/papers/autoencoder.md",
                "mnist/autoencoder",
                f"reconstruction_sum_sq{start}",
                (1, 2),
            )
            for start in ("", "_random", "_small")
        ),
        *(
            (page, "patches/autoencoder_gaussian", "reconstruction_sum_sq", (1, 2))
            for page in ("docs/papers/autoencoder_gaussian.md", "CHANGELOG.md")
        ),
        ("CHANGELOG.md", "mnist/dbn", "error_pretrained", PERCENT),
        ("CHANGELOG.md", "mnist/dbn", "error_random", PERCENT),
        ("CHANGELOG.md", "mnist/rbm__exact", "log_likelihood_exact", NATS),
        ("CHANGELOG.md", "mnist/classifiers", "error_backprop_two", PERCENT),
    ],
)
def test_a_mean_and_the_seeds_in_brackets_are_those_of_the_results(
    page: str, place: str, measure: str, unit: tuple[float, int]
):
    times, digits = unit
    found = [times * value for value in by_seed(place, measure)]
    mean, *seeds = (f"{n:.{digits}f}".replace("-", "−") for n in (sum(found) / len(found), *found))
    text = " ".join((ROOT / page).read_text().split())
    between = r"( nats| nats on test images| %| % errors pretrained| % from random weights)?"
    assert re.search(rf"{mean}{between} \({', '.join(seeds)}[;)]", text)


def test_trials_of_ais_within_and_the_gap_of_log_z_are_those_of_the_results():
    text = " ".join((DOCS / "papers/rbm.md").read_text().split())
    shares, trials = (by_seed("mnist/rbm__exact", name) for name in ("ais_within", "ais_trials"))
    within = sum(share * count for share, count in zip(shares, trials, strict=True))
    assert f"in {within:.0f} of {sum(trials):.0f} trials" in text
    gaps = [
        gap for name in ("", "__cd1", "__cd3") for gap in by_seed(f"mnist/rbm{name}", "log_z_gap")
    ]
    assert len(gaps) == 9 and max(gaps) < 0.15
    mixed = sorted(by_seed("mnist/rbm", "r_hat"))
    assert f"(`r_hat` {mixed[0]:.2f} to {mixed[-1]:.2f})" in text


def test_how_far_estimates_of_log_z_can_be_trusted_is_what_was_measured():
    text = " ".join((DOCS / "papers/rbm.md").read_text().split())
    effective, gaps = (by_seed("mnist/rbm__paper", n) for n in ("ais_effective", "log_z_gap"))
    assert f"carry the whole weight (`ais_effective` {effective[1]:.1f})" in text
    assert round(effective[2], 1) == round(effective[1], 1)
    assert f"from below lies {-gaps[1]:.1f} and {-gaps[2]:.1f} nats above" in text
    found = json.loads((DOCS / "papers/stack_recipe.json").read_text())["values"]

    def of(rest: str) -> float:
        return found[rest]["0"]

    ours, ten = (f"lr 0.05, cd_steps {n}, rate falling" for n in (3, 10))
    nearer = of(f"{ten}: log_likelihood_bound") - of(f"{ours}: log_likelihood_bound")
    assert f"CD-10 comes {nearer:.1f} nats nearer" in text
    assert f"two sides are {of(f'{ten}: log_z_gap'):.1f} nats apart" in text
    assert f"rests on {of(f'{ours}: ais_effective'):.1f} effective chains" in text
    apart = [
        of(f"lr {lr}, cd_steps 3, rate {rate}: log_z_gap")
        for lr, rate in ((0.02, "falling"), (0.1, "falling"), (0.05, "constant"))
    ]
    assert "its two sides are {:.0f}, {:.0f} and {:.0f} nats apart".format(*apart) in text


def test_what_is_said_of_the_dbn_by_depth_is_what_was_measured():
    text = " ".join((DOCS / "papers/dbn.md").read_text().split())
    names = [f"mnist/dbn__depth_{layers}" for layers in (1, 2, 3)]
    for name, layers in zip(names, ("one layer of 500 pretrained", "two", "three"), strict=True):
        errors = [100 * error for error in by_seed(name, "error_pretrained")]
        each = ", ".join(f"{error:.2f}" for error in errors)
        assert f"with {layers} {statistics.mean(errors):.2f} % ({each})" in text
    one, two, three = (100 * statistics.mean(by_seed(name, "error_random")) for name in names)
    assert f"stands out, {one:.2f}, {two:.2f} and {three:.2f} %" in text
    one, two, three = (100 * statistics.mean(by_seed(name, "error_small")) for name in names)
    (four,) = (100 * error for error in by_seed("mnist/dbn__depth_4", "error_small"))
    assert f"({one:.2f}, {two:.2f} and {three:.2f} % with one to three layers of 500, " in text
    assert f"four seeds; {four:.2f} % with four, one seed)" in text


@pytest.mark.parametrize(
    ("page", "said", "claim", "suite"),
    [
        *(
            ("docs/papers/ebgan.md", said, claim, "mnist")
            for said, claim in (
                ("comes to {0:.2f} times the margin", "ebgan-loss-is-margin"),
                ("images to {0:.2f} and {1:.2f} times it", "ebgan-energies-within-margin"),
                ("under* test images, by {0},", "ebgan-valley"),
                ("Noise lies {1:.0f} above test images", "ebgan-valley"),
                ("digits with an AUROC of {2:.3f}", "energy-detects"),
            )
        ),
        ("docs/lecture.md", "MAGAN's end at {0} times EBGAN's", "magan-below-ebgan", "digits"),
        (
            "docs/papers/magan.md",
            "at {0:.2f} and {1:.2f} times EBGAN's",
            "magan-below-ebgan",
            "digits",
        ),
    ],
)
def test_what_is_said_of_a_claim_is_its_estimate(page: str, said: str, claim: str, suite: str):
    told = json.loads(as_committed("reports/claims.json").read_text())["claims"]
    (judged,) = (
        j for c in told if c["id"] == claim for j in c["judgements"] if j["suite"] == suite
    )
    means = [part["mean"] for part in judged["parts"]]
    words = [part["estimate_in_words"].partition(", n")[0] for part in judged["parts"]]
    text = " ".join((ROOT / page).read_text().split())
    assert said.format(*(means if ":" in said else words)) in text


def test_what_is_left_of_training_curves_is_what_was_left_in_the_last_epoch():
    text = (DOCS / "papers/autoencoder.md").read_text()
    ends = [
        each["last sum_sq/pretrained"] for each in carried("drawn_curves/autoencoder")[1].values()
    ]
    assert f"of which {sum(ends) / len(ends):.1f} are left in the last epoch" in text


def test_the_table_of_what_moved_cd1_is_what_was_measured():
    found = json.loads((DOCS / "papers/rbm_recipe.json").read_text())["values"]
    rows = dict(
        re.findall(r"^\| (\w[^|]*) \| (−\d+\.\d) \|$", (DOCS / "papers/rbm.md").read_text(), re.M)
    )
    ours = {"rate": "falling", "binarised": "each_step", "visible_bias": "log_odds"}
    theirs = {"rate": "constant", "binarised": "once", "visible_bias": "zero"}
    changed = {
        "nothing: our CD-1": [],
        "biases from 0": ["visible_bias"],
        "data binarised once": ["binarised"],
        "a constant rate": ["rate"],
        "binarised once, biases from 0": ["binarised", "visible_bias"],
        "a constant rate, biases from 0": ["rate", "visible_bias"],
        "a constant rate, binarised once": ["rate", "binarised"],
        "all three: the paper's recipe": [*theirs],
    }
    for row, keys in changed.items():
        chosen = {key: (theirs if key in keys else ours)[key] for key in ours}
        name = ", ".join(f"{key} {value}" for key, value in chosen.items())
        told = f"{found[f'{name}: log_likelihood']['0']:.1f}".replace("-", "−")
        assert rows[row] == told, row


def test_the_table_of_what_moved_the_stack_is_what_was_measured():
    found = json.loads((DOCS / "papers/stack_recipe.json").read_text())["values"]
    text = (DOCS / "papers/rbm.md").read_text()
    ours = {"lr": 0.05, "cd_steps": 3, "rate": "falling"}
    for row, way in {
        "ours: CD-3, a rate of 0.05 that falls to 0": {},
        "CD-10": {"cd_steps": 10},
        "a rate of 0.02": {"lr": 0.02},
        "a rate of 0.1": {"lr": 0.1},
        "a constant rate": {"rate": "constant"},
    }.items():
        name = ", ".join(f"{key} {value}" for key, value in (ours | way).items())
        bound, mixed = (found[f"{name}: {m}"]["0"] for m in ("log_likelihood_bound", "r_hat"))
        assert f"| {row} | −{-bound:.1f} | {mixed:.2f} |" in text, row


def test_the_table_of_what_moved_the_greedy_phase_is_what_was_measured():
    found = json.loads((DOCS / "papers/updown_recipe.json").read_text())["values"]
    text = (DOCS / "papers/dbn_updown.md").read_text().split("### The greedy phase")[1]
    rows = dict(re.findall(r"^\| (\S[^|]*) \| \*{0,2}(\d\.\d\d) %\*{0,2} \|$", text, re.M))
    changed = {
        "ours: CD-1 on probabilities": {},
        "a rate of 0.03": {"lr": 0.03},
        "a rate of 0.01": {"lr": 0.01},
        "a weight cost of 0.002": {"weight_decay": 0.002},
        "a rate that falls to 0": {"rate": "falling"},
        "a rate that falls, in the layers below too": {"rate": "falling", "below": "falling"},
        "a rate of 0.03 that falls": {"rate": "falling", "lr": 0.03},
        "weights from N(0, 0.01²)": {"init_std": 0.01},
        "CD-3": {"cd_steps": 3},
        "CD-3, a rate that falls": {"rate": "falling", "cd_steps": 3},
        "samples, not probabilities": {"states": "samples"},
        "samples, a rate that falls": {"rate": "falling", "states": "samples"},
        "samples, CD-3": {"states": "samples", "cd_steps": 3},
        "samples, weights from N(0, 0.01²)": {"states": "samples", "init_std": 0.01},
    }
    ours = {"lr": 0.1, "rate": "constant", "cd_steps": 1, "weight_decay": 0.0002}
    ours |= {"init_std": 0.1, "states": "probabilities", "below": "constant"}
    assert len(rows) == len(changed) == len(found)
    for row, (told, way) in zip(rows, changed.items(), strict=True):
        assert row.startswith(told)
        name = ", ".join(f"{key} {value}" for key, value in (ours | way).items())
        assert rows[row] == f"{100 * found[f'{name}: label_error']['0']:.2f}", row


def test_the_table_of_fine_tuning_the_deep_auto_encoder_is_what_was_measured():
    found = json.loads((DOCS / "papers/autoencoder_recipe.json").read_text())["values"]
    epochs = ("5", "10", "20", "50", "100", "200")
    told = {row.pop("fine-tuning"): row for row in rows("papers/autoencoder.md", "fine-tuning")}
    ways = {
        "ours: Adam, a constant rate of 0.002": "adam, lr 0.002, rate constant, weight_decay 0",
        "a rate that falls to 0 in 50 epochs": "adam, lr 0.002, rate falling, weight_decay 0",
        "conjugate gradients, three line searches on each batch of 1,000": "conjugate gradients",
    }
    lengths = (200, 50, 10)
    ways = {
        name: f"by {way}, epochs {length}"
        for (name, way), length in zip(ways.items(), lengths, strict=True)
    }
    for name, way in ways.items():
        cells = told.pop(name)
        for epoch in epochs:
            both = [found.get(f"{way}: {part}, epoch {epoch}") for part in ("held out", "learnt")]
            wanted = " / ".join(f"{value['0']:.2f}" for value in both if value)
            assert cells[epoch].replace("*", "") == wanted, (name, epoch)
    assert not told and all(key.partition(": ")[0] in ways.values() for key in found)


@pytest.mark.parametrize(
    ("page", "place", "lengths", "kind", "columns"),
    [
        (
            "papers/dbn.md",
            "mnist/dbn",
            {
                "epochs of each RBM": "rbm_epochs",
                "of fine-tuning, of these softmax layer only": "finetune_epochs",
            },
            "",
            {
                "pretrained": ("error_pretrained", PERCENT),
                "random start": ("error_random", PERCENT),
            },
        ),
        (
            "papers/began.md",
            "fashion_mnist/began",
            {"epochs": "epochs"},
            "",
            {
                "`fd_dbn`": ("fd_dbn", (1, 1)),
                "classes covered": ("classes_covered", (1, 0)),
                r"$M_{\text{global}}$, seed 0": ("M_global", (1, 3)),
            },
        ),
        (
            "papers/magan.md",
            "mnist/magan",
            {"epochs": "epochs"},
            "(`unit_mlp`)",
            {
                "$m_0$": ("first margin", (1, 1)),
                "energy of fakes, last epoch": ("last energy/fake", (1, 1)),
                "hinge active, last epoch": ("last hinge/active", (1, 2)),
                "classes covered": ("classes_covered", (1, 0)),
                "`fd_dbn`": ("fd_dbn", (1, 1)),
            },
        ),
    ],
)
def test_the_row_as_long_as_the_results_has_their_numbers_from_the_first_seed_on(
    page: str,
    place: str,
    lengths: dict[str, str],
    kind: str,
    columns: dict[str, tuple[str, tuple[float, int]]],
):
    counts, measures = carried(place)
    as_long = [
        row
        for row in rows(page, *lengths, *columns)
        if all(re.match(rf"{counts[key]}\b", row[column]) for column, key in lengths.items())
        and any(kind in cell for cell in row.values())
    ]
    assert len(as_long) == 1, f"{page}: rows of results/{place}, trained for {counts}"
    for column, (measure, (times, digits)) in columns.items():
        told = as_long[0][column].removesuffix(" %").split(", ")
        found = [f"{times * each[measure]:.{digits}f}" for each in measures.values()]
        assert told == found[: len(told)], column
    assert as_long[0].get("seeds") in (None, ", ".join(measures))


def test_what_is_said_of_classifiers_on_mnist_is_what_was_measured():
    text = " ".join((DOCS / "papers/dbn.md").read_text().split())
    measures = carried("mnist/dbn")[1].values()
    random = 100 * sum(each["error_random"] for each in measures) / len(measures)
    assert f"From random weights our mean is the published {random:.1f} %" in text
    apart = {}
    for start in ("pretrained", "random"):
        layers = [[each[f"grad_norm_{start}_{i}"] for i in (1, 2, 3, 4)] for each in measures]
        apart[start] = sum(max(norms) / min(norms) for norms in layers) / len(layers)
    told = f"{apart['pretrained']:.1f} times apart from RBMs and {apart['random']:.1f} times from"
    assert told in text


def test_the_starts_of_the_dbns_of_faces_are_what_was_measured():
    text = " ".join((DOCS / "papers/dbn.md").read_text().split())
    for suite, size in (("faces", "32 × 32"), ("olivetti", "64 × 64")):
        ours, random = (
            100 * by_seed(f"{suite}/dbn", f"error_{start}")[0] for start in ("pretrained", "random")
        )
        assert re.search(
            rf"{ours:.1f} against {random:.1f} %( test errors on faces)? at {size}", text
        )


def test_the_rates_of_carried_trainings_are_those_of_their_provenance():
    text = (DOCS / "guide/scale.md").read_text().split("images/s, measured")[1]
    entries = json.loads((ROOT / "results/mnist/provenance.json").read_text())["trainings"]
    rows = re.findall(r"^\| `(\w+)` \| [\d,]+ \| ([\d.]+) \| ([\d,]+) \| (\d+) \|$", text, re.M)
    assert len(rows) == 6
    for name, gflop, rate, reached in rows:
        measured = entries[name]["0"]["images_per_second"]
        assert rate == f"{measured:,.0f}" and reached == f"{measured * float(gflop):.0f}", name


def test_what_is_said_of_up_down_on_mnist_is_what_was_measured():
    page = (DOCS / "papers/dbn_updown.md").read_text()
    text = " ".join(page.split())
    ways = ("updown", "updown_sampled", "updown_averaged", "updown_gibbs")
    own, sampled, averaged, gibbs = (
        sum(100 * error for error in by_seed("mnist/dbn_updown", f"error_{way}")) / 3
        for way in ways
    )
    assert f"A sampled pass errs {sampled - own:.2f} points more often" in text
    assert f"of the label {gibbs - own:.1f} points more" in text
    assert abs(averaged - own) < 0.05
    low, *_, high = sorted(by_seed("mnist/dbn_updown", "classes_covered"))
    assert f"in turn, and {low:.0f} or {high:.0f} digits are recognised" in text
    low, *_, high = sorted(by_seed("mnist/dbn_updown", "r_hat_samples"))
    assert f"(`r_hat_samples` {low:.1f} to {high:.1f})" in text
    errors = by_seed("mnist/dbn_updown", "error_updown")
    others = {name: by_seed("mnist/classifiers", f"error_{name}") for name in RIVALS}
    assert all(a > b for a, b in zip(errors, others["support_vectors"], strict=True))
    for rival in ("backprop_two", "backprop_one"):
        assert all(a < b for a, b in zip(errors, others[rival], strict=True))
    (card,) = (ROOT / "results/mnist/classifiers/0").glob("metrics.json")
    chosen, after = (
        100 * json.loads(card.read_text())["values"][f"error_selected{name}"]
        for name in ("", "_all")
    )
    assert f"the network errs on {chosen:.2f} % of the test" in text
    assert f"on all 60,000 on {after:.2f} % (1.25)" in text
    found = json.loads((DOCS / "papers/settling.json").read_text())["values"]
    (steps,) = re.findall(r"^\| label by \| (.*) \|$", page, re.M)
    for row, by in (("the last step's probabilities", "last"), ("their mean over all", "mean")):
        (cells,) = re.findall(rf"^\| {row}[^|]*\| (.*) \|$", page, re.M)
        for n, cell in zip(steps.split(" | "), cells.split(" | "), strict=True):
            errors = found[f"{n} steps, {by}: error"].values()
            assert cell == f"{100 * sum(errors) / len(errors):.2f} %", (n, by)
