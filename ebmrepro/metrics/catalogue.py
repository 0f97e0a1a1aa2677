"""Every measure of metrics.json in words: its label, unit, direction and protocol, for tables."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from ebmrepro.metrics.kinds import KINDS, OTHERS


@dataclass(frozen=True)
class Measure:
    """What a number means to someone who sees it for the first time."""

    label: str
    unit: str  # "" for a pure number
    better: Literal["lower", "higher"] | None  # None: neither is, or it depends on the aim
    protocol: str  # one sentence; counts, seeds and hashes of a run are in its metrics.json
    digits: int  # decimals to print


KIND_IN_WORDS = {
    "train": "training images",
    "test": "test images",
    "generated": "generated images",
    "noise": "uniform noise",
    "shuffled": "test images with their pixels shuffled",
    "patches": "patches of natural photographs",
}

ENERGY_UNIT = "energy"  # differs between methods: a norm, a sum, a mean, nats

_DBN = "features in the last hidden layer of the suite's DBN classifier"
_DBN_LABEL = "class probabilities of the suite's DBN classifier on generated images"
_INCEPTION = "the features that FID is taken in"
_BINARISED = "each pixel drawn once from its grey level"

MEASURES: dict[str, Measure] = {
    "fid": Measure(
        "Fréchet Inception distance (FID)",
        "",
        "lower",
        "Squared Fréchet distance between Gaussians fitted to the 2,048 Inception features "
        "(network of 2015-12-05, pytorch-fid's weights) of generated and of real images; "
        "null where the weights are not at hand.",
        2,
    ),
    "fid_published": Measure(
        "FID against published statistics",
        "",
        "lower",
        "As FID, with the mean and covariance of real images from a file that others published; "
        "its name and hash are in the protocol.",
        2,
    ),
    "inception_score": Measure(
        "Inception Score (IS)",
        "",
        "higher",
        "exp of the mean KL divergence of p(y|x) from p(y), mean over contiguous splits of the "
        "generated images; p(y|x) is the softmax over all outputs of the Inception network of "
        "2015-12-05, their biases left out as in the score's first code.",
        2,
    ),
    "inception_score_sd": Measure(
        "Inception Score, spread over splits",
        "",
        None,
        "Standard deviation of the splits' scores (divisor: their number), which papers print "
        "after ±; it says nothing about training seeds.",
        2,
    ),
    "kid": Measure(
        "Kernel Inception distance (KID)",
        "",
        "lower",
        f"Unbiased squared MMD with a cubic polynomial kernel over all images at once, on "
        f"{_INCEPTION}, generated against real images; may be slightly negative.",
        4,
    ),
    "precision_inception": Measure(
        "Precision, Inception features",
        "share",
        "higher",
        "Share of generated images that lie within the k-nearest-neighbour balls of real images, "
        f"on {_INCEPTION}: how many look real.",
        3,
    ),
    "recall_inception": Measure(
        "Recall, Inception features",
        "share",
        "higher",
        "Share of real images that lie within the k-nearest-neighbour balls of generated images, "
        f"on {_INCEPTION}: how much of the data is reached.",
        3,
    ),
    "fd_dbn": Measure(
        "Fréchet distance, DBN features",
        "",
        "lower",
        f"Squared Fréchet distance between Gaussians fitted to {_DBN}, generated against test "
        "images; not comparable with FID.",
        3,
    ),
    "fd_dbn_untrained": Measure(
        "Fréchet distance of the untrained generator, DBN features",
        "",
        None,
        "As the Fréchet distance in DBN features, with images of the same generator before its "
        "first step: what no training at all scores.",
        3,
    ),
    "is_dbn": Measure(
        "Inception-type score, DBN classifier",
        "",
        "higher",
        f"exp of the mean KL divergence of p(y|x) from p(y), with {_DBN_LABEL}: 1 at worst, the "
        "number of classes at best.",
        2,
    ),
    "kd_dbn": Measure(
        "Kernel distance, DBN features",
        "",
        "lower",
        "Unbiased squared MMD with KID's cubic polynomial kernel over all images at once, on "
        f"{_DBN}, generated against test images; may be slightly negative.",
        4,
    ),
    "precision_dbn": Measure(
        "Precision, DBN features",
        "share",
        "higher",
        "Share of generated images that lie within the k-nearest-neighbour balls of the test "
        f"images, on {_DBN}: how many look real.",
        3,
    ),
    "recall_dbn": Measure(
        "Recall, DBN features",
        "share",
        "higher",
        "Share of test images that lie within the k-nearest-neighbour balls of the generated "
        f"images, on {_DBN}: how much of the data is reached.",
        3,
    ),
    "cos2_dbn": Measure(
        "Similarity of generated images, DBN features",
        "mean squared cosine",
        "lower",
        f"Mean squared cosine over all pairs of generated images, on {_DBN} centred on the real "
        "mean: 0 if all differ, 1 if all are the same; read it beside the value of real images.",
        3,
    ),
    "cos2_code": Measure(
        "Similarity of generated images, own codes",
        "mean squared cosine",
        "lower",
        "The pulling-away term as a measure: mean squared cosine over all pairs of the codes that "
        "the method's own encoder gives to generated images; not comparable between methods.",
        3,
    ),
    "classes_covered": Measure(
        "Classes covered",
        "classes",
        "higher",
        "Classes that get at least a minimal share of the images at a minimal confidence, by "
        f"{_DBN_LABEL}.",
        1,
    ),
    **{
        f"energy_{kind}": Measure(
            f"Mean energy, {KIND_IN_WORDS[kind]}",
            ENERGY_UNIT,
            None,
            f"Mean over images of the method's energy of {KIND_IN_WORDS[kind]}, in the method's "
            "own unit; not comparable between methods.",
            3,
        )
        for kind in KINDS
    },
    **{
        f"energy_sd_{kind}": Measure(
            f"Spread of energy, {KIND_IN_WORDS[kind]}",
            ENERGY_UNIT,
            None,
            f"Standard deviation over images of the method's energy of {KIND_IN_WORDS[kind]}.",
            3,
        )
        for kind in KINDS
    },
    **{
        f"gap_{kind}": Measure(
            f"Energy gap, {KIND_IN_WORDS[kind]}",
            ENERGY_UNIT,
            None if kind == "generated" else "higher",
            f"Mean energy of {KIND_IN_WORDS[kind]} minus mean energy of test images: above 0 where "
            "the method prefers real images.",
            3,
        )
        for kind in OTHERS
    },
    **{
        f"auroc_{kind}": Measure(
            f"Detection by energy (AUROC), {KIND_IN_WORDS[kind]}",
            "",
            None if kind == "generated" else "higher",
            f"Probability that a draw from {KIND_IN_WORDS[kind]} has a higher energy than a test "
            "image, ties counted half: 1 tells them apart, 0.5 cannot, under 0.5 prefers them.",
            3,
        )
        for kind in OTHERS
    },
    "ratio": Measure(
        "Energy ratio, generated to real",
        "",
        None,
        "Mean energy of generated images over mean energy of test images; BEGAN holds it at its "
        "diversity ratio gamma in training.",
        3,
    ),
    "hinge_active": Measure(
        "Hinge active",
        "share",
        None,
        "Share of generated images with energy under the margin, which the discriminator's loss "
        "still pushes up.",
        3,
    ),
    "k": Measure(
        "Control variable k at the end",
        "",
        None,
        "BEGAN's weight of the fake energy in the discriminator's loss, in [0, 1], after the last "
        "step.",
        3,
    ),
    "margin": Measure(
        "Margin at the end",
        ENERGY_UNIT,
        None,
        "Energy above which the discriminator leaves generated images alone, after the last step: "
        "fixed in EBGAN, adapted in MAGAN.",
        3,
    ),
    "updates": Measure(
        "Moves of the margin",
        "epochs",
        None,
        "Epochs at whose end MAGAN lowered its margin.",
        0,
    ),
    "chances": Measure(
        "Chances to move the margin",
        "epochs",
        None,
        "Epochs at whose end MAGAN's margin could have moved: all of the game but the first.",
        0,
    ),
    "stopped_by_generator": Measure(
        "Stopped by the generator",
        "epochs",
        None,
        "Epochs in which the fakes' mean energy fell, so that MAGAN's first condition held the "
        "margin. In an epoch several conditions can hold it.",
        0,
    ),
    "stopped_by_margin": Measure(
        "Stopped by the margin",
        "epochs",
        None,
        "Epochs in which the data's mean energy was not below the margin, so that MAGAN's second "
        "condition held it.",
        0,
    ),
    "stopped_by_fakes": Measure(
        "Stopped by the fakes",
        "epochs",
        None,
        "Epochs in which the data's mean energy was not below the fakes', so that MAGAN's third "
        "condition held the margin.",
        0,
    ),
    "M_global": Measure(
        "Convergence measure M_global",
        ENERGY_UNIT,
        "lower",
        "BEGAN's real energy plus the absolute deviation of the fake energy from gamma times the "
        "real, at the end of training.",
        3,
    ),
    "reconstruction": Measure(
        "Reconstruction error",
        "pixel value in [-1, 1]",
        "lower",
        "Root mean squared error per pixel of the discriminator's auto-encoder on test images.",
        3,
    ),
    "reconstruction_sum_sq": Measure(
        "Squared reconstruction error",
        "squared error per image",
        "lower",
        "Squared error of the deep auto-encoder's reconstruction, summed over pixels in [0, 1], "
        "mean over test images; fine-tuned from the RBMs' weights.",
        2,
    ),
    "reconstruction_sum_sq_random": Measure(
        "Squared reconstruction error, random start",
        "squared error per image",
        "lower",
        "The same of the same network after as many epochs of back-propagation from random "
        "weights.",
        2,
    ),
    "pca_sum_sq": Measure(
        "Squared reconstruction error, PCA",
        "squared error per image",
        "lower",
        "The same of as many principal components of the training images as the code has numbers; "
        "nothing is drawn, so it is the same for every seed.",
        2,
    ),
    "mean_image_sum_sq": Measure(
        "Squared reconstruction error, mean image",
        "squared error per image",
        None,
        "The same where every test image is answered with the mean training image: what a network "
        "scores that has learnt nothing else.",
        2,
    ),
    "neighbour_error_code": Measure(
        "Neighbours of another class, code",
        "share",
        "lower",
        "Share of test images whose class is not the one of most of their k nearest training "
        "images in the code's two numbers (k as for precision; Euclidean): how far classes lie "
        "apart.",
        3,
    ),
    "neighbour_error_pca": Measure(
        "Neighbours of another class, two principal components",
        "share",
        "lower",
        "The same in the first two principal components of the training images.",
        3,
    ),
    "error_pretrained": Measure(
        "Test error, pretrained",
        "share",
        "lower",
        "Share of test images that the classifier gets wrong which was fine-tuned by "
        "back-propagation from the DBN's weights.",
        4,
    ),
    "error_random": Measure(
        "Test error, random start",
        "share",
        "lower",
        "Share of test images that the same network gets wrong after as many epochs of "
        "back-propagation from random weights.",
        4,
    ),
    "error_greedy": Measure(
        "Label error after greedy training",
        "share",
        "lower",
        "Share of test images whose label of lowest free energy in the top RBM is wrong, by the "
        "weights that greedy training left, with the probabilities of a pass up.",
        4,
    ),
    "error_updown": Measure(
        "Label error after up-down",
        "share",
        "lower",
        "Share of test images whose label of lowest free energy in the top RBM is wrong, with the "
        "probabilities of a pass up.",
        4,
    ),
    "error_updown_averaged": Measure(
        "Label error after up-down, 20 sampled passes",
        "share",
        "lower",
        "The same with log p(label | features) averaged over 20 sampled passes up.",
        4,
    ),
    "error_updown_sampled": Measure(
        "Label error after up-down, one sampled pass",
        "share",
        "lower",
        "The same with one sampled pass up instead of its probabilities.",
        4,
    ),
    "free_energy_train": Measure(
        "Mean free energy, training images",
        "nats",
        None,
        "Mean free energy of training images under the DBN's first RBM; known up to its constant "
        "log Z, so only differences mean something.",
        2,
    ),
    "free_energy_test": Measure(
        "Mean free energy, test images",
        "nats",
        None,
        "Mean free energy of test images under the DBN's first RBM; known up to its constant "
        "log Z, so only differences mean something.",
        2,
    ),
    "free_energy_gap": Measure(
        "Overfitting gap in free energy",
        "nats",
        "lower",
        "Mean free energy of test images minus that of training images, under the DBN's first "
        "RBM: 0 without overfitting.",
        2,
    ),
    "pseudo_likelihood_test": Measure(
        "Log pseudo-likelihood",
        "nats per image",
        "higher",
        "Mean over test images, their pixels rounded to 0 or 1, of the sum over pixels of "
        "log p(pixel | all other pixels), under the DBN's first RBM; at most 0.",
        2,
    ),
    "log_likelihood": Measure(
        "Test log-likelihood",
        "nats per image",
        "higher",
        f"Mean over test images of log p(v) = - F(v) - log Z, {_BINARISED}; log Z by annealed "
        "importance sampling, which errs low, so that this errs high.",
        2,
    ),
    "log_likelihood_low": Measure(
        "Test log-likelihood, low end",
        "nats per image",
        "higher",
        "The same with log Z at the high end of its interval.",
        2,
    ),
    "log_likelihood_high": Measure(
        "Test log-likelihood, high end",
        "nats per image",
        "higher",
        "The same with log Z at the low end of its interval.",
        2,
    ),
    "log_likelihood_train": Measure(
        "Training log-likelihood",
        "nats per image",
        "higher",
        f"The same of the first training images, {_BINARISED}.",
        2,
    ),
    "log_likelihood_exact": Measure(
        "Test log-likelihood, exact",
        "nats per image",
        "higher",
        "The same with log Z from all states of the hidden units.",
        2,
    ),
    "log_likelihood_bound": Measure(
        "Lower bound of the test log-likelihood",
        "nats per image",
        "higher",
        f"Mean over test images, {_BINARISED}, of the variational bound E_q[log p(v | h) + "
        "log p*(h)] - log Z + entropy of q, q from samples of a pass up; log Z of the top RBM by "
        "annealed importance sampling.",
        2,
    ),
    "log_likelihood_bound_low": Measure(
        "Lower bound, low end",
        "nats per image",
        "higher",
        "The same with the top RBM's log Z at the high end of its interval.",
        2,
    ),
    "log_likelihood_bound_high": Measure(
        "Lower bound, high end",
        "nats per image",
        "higher",
        "The same with the top RBM's log Z at the low end of its interval.",
        2,
    ),
    "log_likelihood_bound_train": Measure(
        "Lower bound of the training log-likelihood",
        "nats per image",
        "higher",
        f"The same of the first training images, {_BINARISED}.",
        2,
    ),
    "log_likelihood_bound_exact": Measure(
        "Lower bound of the test log-likelihood, exact log Z",
        "nats per image",
        "higher",
        "The same with log Z from all states of the top RBM's hidden units.",
        2,
    ),
    "log_z": Measure(
        "log Z",
        "nats",
        None,
        "Of the (top) RBM, log of the mean weight of independent annealed chains that start from "
        "an RBM without weights, whose biases are the base rates of the training images; not "
        "comparable between two trained models.",
        2,
    ),
    "log_z_low": Measure(
        "log Z, low end",
        "nats",
        None,
        "log(mean weight - 3 standard errors); null where that is not positive.",
        2,
    ),
    "log_z_high": Measure(
        "log Z, high end",
        "nats",
        None,
        "log(mean weight + 3 standard errors).",
        2,
    ),
    "log_z_exact": Measure(
        "log Z, exact",
        "nats",
        None,
        "From all states of at most 20 hidden units, visible units summed out, in 64-bit floats.",
        2,
    ),
    "ais_effective": Measure(
        "AIS, effective sample size",
        "chains",
        "higher",
        "(sum of weights)^2 / sum of squared weights of the chains that gave log Z: near 1, a "
        "single chain decides and no interval can be trusted.",
        1,
    ),
    "ais_chains": Measure(
        "AIS, chains",
        "chains",
        None,
        "Independent annealed chains that gave log Z.",
        0,
    ),
    "ais_temperatures": Measure(
        "AIS, temperatures",
        "",
        None,
        "Distributions that each chain passed through, both ends included.",
        0,
    ),
    "ais_trials": Measure(
        "AIS, trials",
        "",
        None,
        "Independent repetitions of AIS, with as many chains and temperatures each, where log Z is "
        "known exactly.",
        0,
    ),
    "ais_within": Measure(
        "AIS, intervals that hold the exact log Z",
        "share",
        "higher",
        "Share of trials whose own interval, 3 standard errors of the mean weight to either side, "
        "holds the exact log Z; of a normal mean it would be 0.997.",
        3,
    ),
    "ais_error": Measure(
        "AIS, mean error of log Z",
        "nats",
        None,
        "Mean over trials of the estimated minus the exact log Z; below 0 where AIS errs low.",
        3,
    ),
    "ais_error_worst": Measure(
        "AIS, largest error of log Z",
        "nats",
        "lower",
        "Largest distance over trials of the estimated from the exact log Z.",
        3,
    ),
    "grid_auroc": Measure(
        "EBGAN above GAN over the grid",
        "probability",
        "higher",
        "Probability that a drawn EBGAN scores a higher I' than a drawn GAN, ties counted half, "
        "over the drawn configurations of the grid; 0.5 if neither trains more reliably.",
        3,
    ),
    "grid_auroc_pt": Measure(
        "EBGAN-PT above EBGAN over the grid",
        "probability",
        None,
        "Probability that a drawn EBGAN-PT scores a higher I' than a drawn EBGAN, ties counted "
        "half, over configurations that were trained as both.",
        3,
    ),
    **{
        f"grid_{what}_{kind}": Measure(
            f"{words} I' of the grid's {title}",
            "I'",
            "higher",
            f"{words} over the drawn configurations of I', the mean over images of KL(p(y) || "
            "p(y|x)) squared, by a classifier of ours; not comparable with the paper's.",
            2,
        )
        for what, words in (("median", "Median"), ("best", "Highest"))
        for kind, title in (("ebgan", "EBGANs"), ("gan", "GANs"), ("ebgan_pt", "EBGAN-PTs"))
    },
}

# One measure per weight layer: how many there are is in params.yaml.
_GRAD_NORM = re.compile(r"grad_norm_(pretrained|random)_([1-9]\d*)")
_START = {"pretrained": "pretrained weights", "random": "random weights"}


def describe(name: str) -> Measure:
    """The measure of a name in metrics.json; KeyError with the nearest names if there is none."""
    if name in MEASURES:
        return MEASURES[name]
    if match := _GRAD_NORM.fullmatch(name):
        start, layer = _START[match[1]], match[2]
        return Measure(
            f"Gradient norm, layer {layer}, from {start}",
            "loss per unit of weight",
            None,
            f"L2 norm of the loss gradient in the weights of layer {layer} (1 is next to the "
            f"pixels), mean over the first epoch of fine-tuning from {start}.",
            4,
        )
    families = ["grad_norm_pretrained_1", "grad_norm_random_1"]
    near = get_close_matches(name, [*MEASURES, *families], n=3)
    raise KeyError(f"no measure {name!r}" + (f": did you mean {', '.join(near)}?" if near else ""))
