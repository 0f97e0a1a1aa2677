"""The report's words: names of things, and what each paper leads a reader to expect of a figure.

The only file of the report that knows a paper; a method it does not know gets a plain caption.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

SUITES = {
    "digits": "Digits, 8 × 8 pixels",
    "mnist": "MNIST, 28 × 28 pixels",
    "fashion_mnist": "Fashion-MNIST, 28 × 28 pixels",
    "cifar10": "CIFAR-10, 32 × 32 pixels",
    "olivetti": "Olivetti faces",
    "celeba": "CelebA, 64 × 64 pixels",
    "lsun": "LSUN bedrooms, 64 × 64 pixels",
    "imagenet": "ImageNet, 128 × 128 pixels",
    "imagenet_dogs": "ImageNet dogs, 256 × 256 pixels",
}

# Suites whose results may come with the repository, without being run again.
CARRIED_SUITES = {
    "mnist": "MNIST at the papers' scale",
    "fashion_mnist": "Fashion-MNIST at the papers' scale",
}
CARRIED = (
    "Carried: these trainings are not among those that make repro runs. They were run before, on "
    "the hardware stated with them, and their results are kept in git, in results/{suite}/; this "
    "section is made from those files alone, so it is the same on every clone. Each row has the "
    "command that trains and measures its systems again; what was run and carried is then brought "
    "together by:"
)

SYSTEMS = {
    "dbn": "deep belief network: a stack of restricted Boltzmann machines, trained layer by layer "
    "(Hinton, Osindero and Teh, 2006)",
    "dcgan": "the baseline: a generator against a classifier of real and fake (Radford et al., "
    "2016)",
    "ebgan": "a generator against an auto-encoder whose reconstruction error is the energy; fakes "
    "are pushed up to a margin (Zhao et al., 2017)",
    "ebgan_pt": "EBGAN with a pulling-away term, which asks the generator for different images "
    "(Zhao et al., 2017)",
    "began": "a generator against an auto-encoder, kept in balance by a controller k (Berthelot et "
    "al., 2017)",
    "magan": "EBGAN with a margin that adapts to the energy of real images (Wang et al., 2017)",
    "dbn_updown": "the DBN as a generative model of images and labels, fine-tuned by up-down, with "
    "no back-propagation (Hinton, Osindero and Teh, 2006)",
    "rbm": "restricted Boltzmann machines of binary images and a stack of two, trained by CD-k; "
    "their likelihood is measured (Salakhutdinov and Murray, 2008)",
    "autoencoder": "a deep auto-encoder, pretrained as a stack of restricted Boltzmann machines "
    "(Hinton and Salakhutdinov, 2006)",
}

# Of methods whose file's name in capitals is no title.
TITLES = {"dbn_updown": "DBN up-down", "autoencoder": "Deep auto-encoder"}

SYMBOLS = {"gamma": "γ", "margin": "margin", "lambda_k": "λ_k", "pt_weight": "PT weight"}

REDUCTIONS = {
    "norm": "L2 norm",
    "sum_sq": "sum of squares",
    "mean_sq": "mean square",
    "mean_abs": "mean absolute error",
}

FREE_ENERGIES = {
    "dbn": "free energy of the first RBM",
    "dbn_updown": "free energy of the top RBM",
    "rbm": "free energy of the first RBM",
}

IMAGE_SETS = {
    "train": "training images",
    "test": "test images",
    "generated": "generated",
    "noise": "noise",
    "shuffled": "shuffled pixels",
    "patches": "natural patches",
}

# Column of curves.csv -> (title, axis)
CONTROLS = {
    "began/k": ("Controller k", "k_t, between 0 and 1"),
    "began/M_global": ("Convergence measure M", "M_global, in units of energy"),
    "magan/margin": ("Adaptive margin", "margin m_t, in units of energy"),
    "hinge/active": ("Fakes under the margin", "share of generated images"),
}

# Two systems whose energies the lecture shows side by side.
COMPARED = ("ebgan", "magan")

OVERVIEW = (
    "The first 25 test images, and the first 25 images of each system's first seed, not picked. A "
    "row for each suite."
)
FLOOR = "Real training images"
OTHER_REAL = "Real images of another split"
SAMPLES = (
    "The first {shown} images of each system's {generated} generated ones (seed {seed}), not "
    "picked, beside the first {shown} real test images. Look for three things: does each image "
    "look like a real one, do all classes occur, and do images repeat?"
)
PROGRESS = (
    "For each system, from its first seed, the images of the same latent noise after more and more "
    "training. A change of detail late in training is learning; tiles that become their "
    "neighbours are a generator losing variety."
)
QUALITY_FIGURE = (
    "Each dot is one training from its own seed, the tall tick their mean, the line its 95 % "
    "interval (none with one seed). Two systems whose intervals overlap are not told apart by "
    "these seeds. Dotted: what real training images score, measured as if they were generated."
)
QUALITY = (
    "Mean over seeds with its 95 % interval. Distances compare generated images with real ones in "
    "the features of the DBN's classifier; an untrained generator's distance says how bad bad is."
)
INCEPTION = (
    "Mean over seeds with its 95 % interval. Measured in the Inception network of FID; what papers "
    "call FID, IS and KID, and comparable with theirs where the lines below agree. The spread is "
    "over splits of one seed's images."
)
MEASURED_IN_INCEPTION = "The numbers in Inception features were measured so:"
VARIETY = (
    "Mean over seeds with its 95 % interval. Precision asks whether generated images are like real "
    "ones; the other columns ask whether they are as varied."
)
ENERGIES = (
    "Mean energy in every epoch, of real images (uncoloured) and of generated ones (coloured). A "
    "line is the mean over seeds, its band the lowest to the highest seed. Every system has its "
    "own scale of energy, so compare lines within a panel."
)
EXPECTED_ENERGIES = {
    "dcgan": "DCGAN has a classifier, no valley: the gap says which of its two networks is ahead.",
    "ebgan": "EBGAN should end with both energies between 0 and its margin (dotted), real under "
    "generated.",
    "began": "BEGAN should hold the ratio of the two.",
    "magan": "MAGAN should bring both down together.",
}
COMPARISON = (
    "The lecture's two figures: energy of real (uncoloured) and generated (coloured) images over "
    "training, mean over seeds with a band from the lowest to the highest. With EBGAN's fixed "
    "margin the energy of generated images is expected to stay up, apart from that of real ones; "
    "with MAGAN's adaptive margin both are expected to fall and to come together. The scales "
    "differ (see the axes), so compare the shapes."
)
CONTROL = (
    "Quantities that an algorithm watches or steers by. A line is the mean over seeds, its band "
    "the lowest to the highest seed."
)
EXPECTED_CONTROL = {
    "ebgan": "The hinge acts on the share of generated images under the margin, and on no others.",
    "began": "BEGAN's k_t starts at 0 and rises while γ times the energy of real images exceeds "
    "that of generated ones, so that the ratio of the two settles at γ (dotted); its M_global "
    "should fall as images improve.",
    "magan": "MAGAN's margin is set by the pretrained energy of real images and never rises.",
}
HISTOGRAMS = (
    "How the energy of images is distributed after training, by kind of image; one outline for "
    "each seed, each row scaled to its own peak. A good energy puts training and test images at "
    "the same low place and everything that is not such an image to their right. Generated images "
    "on top of test images: the energy cannot tell them apart. Training left of test: it has "
    "learnt images by heart."
)
SWEEP = (
    "One number changed, all others as in params.yaml. Dots are seeds, the line joins their means, "
    "bars are 95 % intervals."
)
SWEEPS = {
    "gamma": " The paper expects more variety (recall, classes covered) and less fidelity "
    "(precision) as γ, the diversity ratio, grows, and a ratio of energies equal to γ (dotted).",
    "margin": " The paper shows images for margins from 1 to 32 and prints no number.",
}
FILTERS = (
    "What the first {shown} hidden units of the DBN's first RBM look for (seed {seed}): each tile "
    "is one unit's weights to the pixels, light positive, dark negative, scaled to its own "
    "largest weight. Strokes and spots are expected; a tile of plain noise is a unit that has "
    "learnt nothing."
)
FINE_TUNING = (
    "The same network trained as a classifier by back-propagation, starting from the DBN's weights "
    "(coloured) or from random ones (uncoloured); mean over seeds, band from the lowest to the "
    "highest. Hinton and Salakhutdinov expect the pretrained start to be nearer the optimum: lower "
    "from the first epoch, and lower in the end."
)
GRADIENTS = (
    "Norm of the gradient of each layer's weights in the first epoch of fine-tuning, pretrained "
    "(coloured) and random (uncoloured), with a dot for each seed. Layer 1 is next to the pixels. "
    "The lecture expects gradients to keep their size through a pretrained network, and to shrink "
    "or grow from layer to layer in a random one."
)
LABELS = (
    "What the network with labels in its top RBM draws when a label is clamped there: a column for "
    "each class, the first {shown} images of its generated ones, not picked (seed {seed}). Every "
    "column should show one class, in different hands. Classes are asked for here, so that "
    "covering them all is no achievement of this system."
)
UP_DOWN = (
    "Share of training images whose label the top RBM gets wrong from one sampled pass up, over "
    "the epochs of up-down; mean over seeds, band from the lowest to the highest. Gibbs steps in "
    "the top RBM, in equal parts of the epochs: {steps}."
)
INFERENCE = (
    "Mean over seeds with its 95 % interval. The label of lowest free energy in the top RBM is "
    "the answer; nothing here was trained by back-propagation. Hinton, Osindero and Teh print "
    "2.49 % after greedy training and 1.25 % after up-down, on MNIST."
)
DEEP = "The deep auto-encoder"
DEEP_INTRODUCTION = (
    "A network that squeezes an image through a code of a few numbers and rebuilds it from them. "
    "Hinton and Salakhutdinov (2006) ask whether it keeps more than as many principal components, "
    "and whether it can be trained at all from random weights. One network here starts from the "
    "weights of a stack of RBMs, another from random ones; both are trained for as long."
)
DEEP_PUBLISHED = "Published: 784-1000-500-250-30 on MNIST"
DEEP_ERRORS = (
    "Squared error summed over pixels in [0, 1], mean over test images; mean over seeds with its "
    "95 % interval. PCA and the mean image are computed, not trained: on MNIST, 30 components "
    "should give the published 13.87 exactly. Epochs count those of every RBM and of fine-tuning. "
    "The paper's logistic PCA, 8.01 with 30 components, is not measured here."
)
DEEP_LEVELS = {"mean_image_sum_sq": "mean image", "pca_sum_sq": "PCA"}
DEEP_LEARNING = (
    "Squared error of training images during fine-tuning, from the RBMs' weights (coloured) and "
    "from random ones (uncoloured); mean over seeds, band from the lowest to the highest. Dotted: "
    "what the mean training image and PCA score on test images. The paper expects the random start "
    "to stay at the mean image."
)
DEEP_WAYS = {
    "original": "test image",
    "pretrained": "pretrained",
    "random": "random start",
    "pca": "PCA",
}
DEEP_RECONSTRUCTIONS = (
    "The first ten test images, not picked, and what is rebuilt of them from the code, by the "
    "network that began with the RBMs' weights, by the one that began at random, and by as many "
    "principal components. The paper expects sharp strokes in the second row, blurred ones in the "
    "last."
)
DEEP_PCA = "Two principal components"
DEEP_CODES = (
    "The first {points} test images, each as the numeral of its class at the place of its two "
    "numbers: the code of the auto-encoder, and two principal components. Labels took no part in "
    "either. The paper expects classes that lie apart in the first, and on top of each other in "
    "the second."
)
DEEP_APART = (
    "How often most of the nearest training images are of another class than the test image, over "
    "all test images; mean over seeds with its 95 % interval. The paper prints pictures and no "
    "number of this kind."
)
VARIANTS = (
    "In which numbers each variant differs from its method, read from params.yaml. Everything else "
    "is the same, seeds included."
)
TRAININGS = (
    "What was trained. Parameters are counted by player. A fingerprint names the numbers, seed, "
    "data and code of a training: the same fingerprint, the same result."
)
TIMES = (
    " Time is that of the training, without measuring. A training that was stopped and resumed "
    "knows the time of its last part alone: its time, marked about, is what the images of all its "
    "epochs take at the speed of that part."
)
DEPTH_ERRORS = (
    "The same classifier with more and more hidden layers (widths behind the colon, then the share "
    "of the epochs where it is not the same for all), fine-tuned from the DBN's weights and from "
    "random ones; mean over seeds with its 95 % interval."
)
DEPTH_GRADIENTS = (
    "Norm of the gradient of each layer's weights in the first epoch of fine-tuning, layer 1 next "
    "to the pixels, at each depth. A network of fewer layers has no value for the others."
)
GLOSSARY = "Every measure of this report, with its unit, its direction and how it is computed."


def suite(name: str, carried: bool = False) -> str:
    """A suite's title; one that is carried says so."""
    if carried:
        return f"{CARRIED_SUITES.get(name, suite(name))} (carried)"
    return SUITES.get(name, name.replace("_", " "))


def system(name: str, changes: Sequence[tuple[str, object]] = ()) -> str:
    """`ebgan_pt` -> EBGAN-PT; a variant is told by the one number it changes, else by its name."""
    method, _, variant = name.partition("__")
    title = TITLES.get(method, method.upper().replace("_", "-"))
    if len(changes) == 1:
        key, value = changes[0]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{title}, {symbol(key)} = {value:g}"
    return f"{title}, {variant.replace('_', ' ')}" if variant else title


def symbol(key: str) -> str:
    """A dotted key's last part, by its symbol in the papers where it has one."""
    leaf = key.rpartition(".")[2]
    return SYMBOLS.get(leaf, leaf.replace("_", " "))


def expected(sentences: Mapping[str, str], methods: Iterable[str]) -> str:
    """What the papers of these methods lead one to expect, after a caption."""
    told = set(methods)
    return "".join(f" {text}" for method, text in sentences.items() if method in told)


def energy_axis(reduction: object) -> str:
    """What an axis of energies says, from the `reduction` hyper-parameter where there is one."""
    how = REDUCTIONS.get(str(reduction))
    return f"energy ({how})" if how else "energy"
