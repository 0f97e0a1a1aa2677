"""The lecture, part by part: what each says, its claims with their verdicts, where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ebmrepro.report import claims
from ebmrepro.report.blocks import Block, Link, Links, Section, Text, slug


class Part(NamedTuple):
    topic: str  # as claims name it
    title: str
    text: str
    figures: Sequence[tuple[str, str]]  # (what it shows, part of a suite's section or a section)


INTRODUCTION = (
    "The lecture that this report follows, in its order. Each part says what to take from it, "
    "which of its sentences were measured here and how that came out, and which figures show "
    "it."
)
PARTS = (
    Part(
        "why-not-probabilities",
        "Why not probabilities",
        "A probability must sum to one over everything that could have been seen, and for "
        "images that sum, the partition function Z, has more terms than can ever be computed: a "
        "grid of k points per axis has k to the power of the dimension. An energy E(x) drops "
        "the demand. It says only which of two things fits better, and can be any function that "
        "a network computes.",
        (("what Z costs on a grid, dimension by dimension", "plane"),),
    ),
    Part(
        "ratio",
        "The ratio",
        "With p(x) = exp(−E(x)) / Z, the ratio p(x) / p(x') is exp(E(x') − E(x)): Z is in both "
        "and cancels. Whatever only compares, be it ranking, deciding, detecting or moving "
        "downhill, needs no Z at all.",
        (("densities whose Z can be computed", "plane"),),
    ),
    Part(
        "five-questions",
        "Five questions one energy answers",
        "Which label? Which of the two is more like the data? Is this one of them at all? How "
        "probable is each label, given the image? What would another one look like? The same "
        "energy is minimised, compared, put against a threshold, normalised over a few labels, "
        "or descended and sampled. The fourth answer needs care: energies are uncalibrated "
        "until a temperature is fitted.",
        (
            ("all five, put to each trained system", "tour"),
            ("energies of every kind of image", "histograms"),
        ),
    ),
    Part(
        "decision-making",
        "Decision making with small and with large label sets",
        "With ten labels, compute the energy of each and take the lowest. With ten labels at "
        "each of T places there are ten to the power of T answers, and looking at all is "
        "hopeless. But an energy that is a sum over places and neighbours is minimised exactly "
        "by dynamic programming (Viterbi, min-sum), at a cost proportional to T.",
        (("decisions, one label and whole sequences", "tour-decision"),),
    ),
    Part(
        "training-intuition",
        "Training, the intuition",
        "Training shapes the surface: push the energy down where data are, and pull it up "
        "elsewhere. Pushing alone is not enough, as a flat surface would do; what is pulled up "
        "(samples of the model, a generator's images) is where methods differ.",
        (
            ("the surface while it is trained", "plane"),
            ("energies over training", "energies"),
            ("where each kind of image ends", "histograms"),
        ),
    ),
    Part(
        "inference-intuition",
        "Inference, the intuition",
        "To infer is to go downhill: hold what is known, move what is not to where the energy "
        "is low. Gradient descent ends in the nearest valley; with the right amount of noise "
        "(Langevin) the points visit valleys as often as their probability says.",
        (
            ("samples sliding into the valleys", "plane"),
            ("descending from noise", "tour-generation"),
        ),
    ),
    Part(
        "dbn",
        "Deep belief network",
        "Gradients through many layers may be too large or too small, so start near a good "
        "optimum: train one restricted Boltzmann machine after the other, each on the hidden "
        "units of the one below, and only then back-propagate. The same stack generates, by "
        "Gibbs sampling in its top two layers.",
        (("filters, fine-tuning and gradients by layer", "dbn"),),
    ),
    Part(
        "ebgan",
        "EBGAN",
        "The discriminator is an energy, the reconstruction error of an auto-encoder. It pushes "
        "real images down, and generated ones up as far as a margin m; the generator brings its "
        "images down again. The hinge keeps the game bounded, and the fakes keep the auto- "
        "encoder from learning the identity.",
        (
            ("energies over training, with the margin", "energies"),
            ("energies of every kind of image, ablations among them", "histograms"),
            ("without the hinge, and on real images alone", "variants"),
        ),
    ),
    Part(
        "ebgan-pt",
        "EBGAN-PT",
        "A generator may find one good image and repeat it. The pulling-away term adds to its "
        "loss the squared cosine between the codes of every two images of a batch, which is "
        "least where they point in different directions.",
        (("quality and variety", "quality"), ("generated images", "samples")),
    ),
    Part(
        "began",
        "BEGAN",
        "Neither player should win. A controller k weighs the generated images in the "
        "discriminator's loss: it starts at 0, rises while γ L(x) exceeds L(G(z)), falls "
        "otherwise, and so holds the ratio of the two energies at γ. A low γ asks for quality, "
        "a high one for variety, and M_global says how far training has come.",
        (("k, the ratio and M_global over training", "control"), ("γ varied", "variants")),
    ),
    Part(
        "magan",
        "MAGAN",
        "A margin that is right at the start is too wide at the end. MAGAN takes the mean "
        "energy of real images for its margin, and lowers it only when the generator has "
        "stopped gaining, real images lie below the margin, and real lie below generated ones; "
        "so both energies fall together.",
        (
            ("the margin over training", "control"),
            ("energies over training, beside EBGAN's", "energies"),
        ),
    ),
)


def section(
    judged: Sequence[claims.Told],
    suites: Sequence[str],
    there: Mapping[str, str],
    carried: Sequence[str] = (),
) -> Section:
    """`suites` are those of the run, `carried` those that are not; `there` are the titles on the
    page by address; a figure that is not there is not linked.
    """
    parts = [
        Section(f"lecture-{part.topic}", part.title, _part(part, judged, suites, there, carried))
        for part in PARTS
    ]
    return Section("lecture", "The lecture, part by part", [Text(INTRODUCTION)], parts)


def _part(
    part: Part,
    judged: Sequence[claims.Told],
    suites: Sequence[str],
    there: Mapping[str, str],
    carried: Sequence[str],
) -> Sequence[Block]:
    items = [
        (judgement["verdict"], Link(text, f"#{claims.anchor(claim, i, judgement)}"))
        for claim in judged
        if claim["topic"] == part.topic
        for i, judgement in enumerate(claims.shown(claim, suites))
        for where in [", ".join(filter(None, (judgement["suite"], judgement["carried"])))]
        for text in [f"{claim['claim']} ({where})"]
    ]
    everywhere = [slug(suite) for suite in (*suites, *carried)]
    places = [
        ("", Link(f"{words} ({there[address]})", f"#{address}"))
        for words, where in part.figures
        for address in dict.fromkeys([where, *(f"{at}-{where}" for at in everywhere)])
        if address in there
    ]
    blocks: list[Block] = [Text(part.text)]
    if items:
        blocks.append(Links("Claims", items))
    if places:
        blocks.append(Links("Where to look", places))
    return blocks
