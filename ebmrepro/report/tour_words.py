"""What the tour says: of each question, which energy, why it should work, and where it does not."""

from __future__ import annotations

from ebmrepro.report.blocks import Text

INTRODUCTION = (
    "A probability needs a partition function Z, an integral over all images that nobody can "
    "compute. An energy needs none, and five kinds of question can be answered by comparing "
    "energies: which label, which of two images, is it one of these at all, how sure, and what "
    "would one look like. Each question is put to every trained system that has the energy it "
    "needs; the numbers are means over training seeds with 95 % intervals, all on test images."
)
AGAIN = (
    "The same answers in the terminal, with the time that the search for a sequence takes on your "
    "machine:"
)
NO_LABELS = (
    "no system of this run models images together with labels, so this question cannot be put; "
    "a generative deep belief network with label units can answer it."
)

DECISION = [
    Text(
        "Given an image, which label? Given a sequence of images, which sequence of labels?",
        [
            "Energy: the joint free energy F(x, y) of a deep belief network whose top layer holds "
            "label units, exact for each of the ten labels. A small label set is searched whole: "
            "y* = argmin F(x, y).",
            "A sequence of T digits has 10^T labellings. Its energy is a chain, the sum of "
            "F(x_t, y_t) and of V(y_t, y_t+1) = −log P(y_t+1 | y_t). Viterbi's algorithm finds "
            "the least of it with about T · C² looks, because the best way on from position t "
            "depends on the past through y_t alone. Min-sum message passing does the same on any "
            "tree.",
            "Why it should work: neighbours tell what a doubtful image leaves open. The sequences "
            "count up with slips, drawn from P itself, so V is right by construction.",
            "Where it does not: in sequences of random order V is wrong and costs more than it "
            "brings. And F has no scale, so F + V mixes two units: F / T, with T fitted on noisy "
            "training images, is the fairer sum.",
        ],
    )
]
DECISION_TABLE = (
    "Share of wrong labels. The last two columns are sequences in which labels follow at random: "
    "what a wrong V costs."
)
SEQUENCE_TABLE = (
    "Share of sequences with at least one wrong label, and how often the two algorithms reach the "
    "least energy that a search over all labellings of the first positions finds."
)
DECISION_FIGURE = (
    "Cost: how many energy terms are looked at to find the least energy of a sequence of T images, "
    "both axes logarithmic. All labellings (C^T) are out of reach after a few images; Viterbi and "
    "min-sum grow in proportion to T. Sequences: the first ones, not picked, of the first seed. "
    "Under the noisy images stand the true labels, the label of least F at each position "
    "alone, and the labels of the least chain energy (F / T + V); wrong ones are bold and coloured."
)

TIMES = "The least energy of a random chain, found now on this machine; the fastest of five times."

RANKING = [
    Text(
        "Of two images, which is the likelier one?",
        [
            "Energy: E(x) of each system. p(x) / p(x') = exp(E(x') − E(x)): Z cancels.",
            "Why it should work: the energy was pushed down on data. Ground truth is made: the "
            "same test image, spoilt more and more, should rise in energy.",
            "Where it does not: an auto-encoder's energy is a reconstruction error, low wherever "
            "there is little to reconstruct, so that a blurred or a mostly black image can lie "
            "below a digit. A free energy counts strokes: taking ink away can lower it. A "
            "classifier of real and generated images (DCGAN) was never asked about images that no "
            "generator makes.",
        ],
    )
]
CORRUPTIONS = {
    "noise": ("Noise", "sd of the noise, pixel values in [−1, 1]"),
    "occlusion": ("Occlusion", "share of the area under a black square"),
    "blur": ("Blur", "sd of the blur in pixels"),
    "inversion": ("Inversion", "share of the way to the negative"),
}
RANKING_TABLE = (
    "Kendall's tau of amount and energy, mean over test images: 1 where energy rises with every "
    "step, 0 where order is by chance, −1 where it falls with every step."
)
RANKING_FIGURE = (
    "How far the mean energy lies above that of the clean images, in standard deviations of the "
    "energy over clean test images, against the amount of corruption; band from the lowest to the "
    "highest seed. The vertical axis is linear between −1 and 1 and logarithmic beyond. A curve "
    "that falls, or that falls back, ranks a spoilt image above a better one."
)
RANKING_PICTURE = (
    "The first test image at each amount: a row each for noise, occlusion, blur and inversion."
)

DETECTION = [
    Text(
        "Is this image one of these at all?",
        [
            "Energy: E(x) of each system as a score. AUROC is the probability that an image of "
            "another kind has the higher energy: 1 tells them apart, 0.5 cannot, under 0.5 has "
            "them the wrong way round.",
            "Why it should work: low energy was taught on data only. A DBN has its free energy, an "
            "auto-encoder its reconstruction error; the variant of EBGAN that never sees a "
            "generated image (real only), where it is run, is a plain auto-encoder, the baseline.",
            "Where it does not: DCGAN's discriminator only knows the difference between data and "
            "its generator's images. An average of two images is as easy to reconstruct as either, "
            "unless such images were pushed up. Near images are hard for all: a mirrored 0 or 8 is "
            "a digit. No letters or other symbols ship with the data, and a class held out would "
            "take another training; neither is measured.",
        ],
    )
]
KINDS = {
    "noise": "uniform noise",
    "shuffled": "shuffled pixels",
    "patches": "natural patches",
    "mirrored": "mirrored",
    "turned": "turned by 90°",
    "averaged": "average of two classes",
}
DETECTION_TABLE = (
    "Mean over seeds of the AUROC of energy, images of the other kind against test images."
)
DETECTION_FIGURE = (
    "A dot for each seed, the mean as a tick, its 95 % interval as a line. Dotted: chance."
)
KINDS_PICTURE = (
    "First row: test images. Below, the first images of each kind in the order of the table: "
    "noise, the same images shuffled, patches of photographs, mirrored, turned, averaged with "
    "another class; then other data sets, where there are any."
)

CONDITIONAL = [
    Text(
        "How sure is the decision?",
        [
            "Energy: p(y | x) = exp(−F(x, y)) / sum over y' of exp(−F(x, y')). The integral over "
            "images cancels; a sum over ten labels is left.",
            "Why it should work: where the model is right, these are its beliefs.",
            "Where it does not: energies are uncalibrated. Training fixes which label is lowest, "
            "not by how much. One number T, fitted on other images than the test images, rescales "
            "them, p(y | x) from F / T; no decision changes by it. Where the suite holds out no "
            "validation images T is fitted on training images, which the model has seen and is too "
            "sure of: the fitted T is then too low, and scaling can do harm.",
        ],
    )
]
CONDITIONAL_TABLE = (
    "Accuracy against confidence, expected calibration error (ECE: the mean gap between the two "
    "over bins of confidence), and log-loss, on test images, before (T = 1) and after scaling."
)
RELIABILITY = (
    "Test images of all seeds in bins of confidence: the share that is right against the mean "
    "probability of the likeliest label. A mark is as large as the bin's share of images; bins of "
    "fewer than 10 images are not drawn. On the dotted line probabilities mean what they say; "
    "above it the model is not sure enough, below it too sure."
)

GENERATION = [
    Text(
        "What would one look like: without noise, with its other half, from nothing?",
        [
            "Energy: E(x) of each system, descended by its gradient in the pixels, from the noisy "
            "image, from the half that is unknown (the known half is clamped), or from noise. "
            "Auto-encoders can also project, x → D(x), and the DBN can sample the unknown half "
            "given the known one (clamped Gibbs sampling in its first RBM).",
            "Why it should work: data lie where the energy is low, and its gradient points away "
            "from them.",
            "Where it does not: descent does not know when to stop, for the lowest energy is not "
            "the best image; it is stopped at the step that is best on training images. An EBGAN "
            "pushes up only what its generator makes, and only up to a margin: its energy is no "
            "density, and a descent from noise ends in a valley that is nobody's digit. DCGAN's "
            "energy gives no direction worth following. Mean and covariance alone, without any "
            "energy, are the measure to beat.",
        ],
    )
]
DENOISING_TABLE = (
    "Root mean square pixel error (values in [−1, 1]) of noisy test images, left as they are, "
    "filtered by the best linear filter of the training images, and restored by each system."
)
DENOISING = (
    "The first ten test images: clean, noisy, after descent of the energy, and, for auto-encoders, "
    "after projection; a column each. First seed. The linear filter's tile has its result in the "
    "third row."
)
COMPLETION_TABLE = (
    "Root mean square pixel error (values in [−1, 1]) in the right half of test images, given the "
    "left half."
)
COMPLETION = (
    "The first ten test images: whole, the half that is given, completed by descent of the energy "
    "from the mean image, and, for the DBN, by clamped Gibbs sampling (mean of the chain). First "
    "seed. The linear guess's tile has its result in the third row."
)
SAMPLING_TABLE = (
    "Mean root mean square pixel distance of a sample from the nearest training image. About that "
    "of test images is right; far above is no digit, far below is a copy or a blur."
)
SAMPLING = (
    "Two rows drawn by the system's own sampler (a generator; for a DBN, Gibbs sampling), then two "
    "rows that descend the energy from uniform noise. First seed, not picked."
)
PROTOCOL = (
    "Every measure of the tour by its name in results/<suite>/tour/metrics.json, where a value of "
    "a system is called <name>@<system>."
)
