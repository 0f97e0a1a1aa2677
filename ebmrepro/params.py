"""The shape of params.yaml, strict and free of torch.

`documents.py` reads the file and says what is wrong with it, in one line; here is what is allowed.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import itertools
import json
import math
import re
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import Field

from ebmrepro.documents import ParamsError, Strict, dotted, known, read_yaml, validate
from ebmrepro.documents import UserError as UserError
from ebmrepro.documents import nearest as nearest
from ebmrepro.documents import rule as rule

METHODS = Path(__file__).parent / "methods"
SOURCES = Path(__file__).parent / "data"
OWN = ("run", "fundamentals")  # blocks at the top of params.yaml; all others are suites
NAME = re.compile(r"[a-z][a-z0-9_]*")  # a suite and a variant are names of folders
NOT_A_NAME = "a name has small letters, digits and _, and begins with a letter"
SOURCE_HELPERS = {"__init__", "batches", "check", "corruptions", "files", "idx", "probes", "splits"}
SOURCE_HELPERS |= {"archives", "downloads", "folders", "unpickle"}
SOURCE_HELPERS |= {"crops", "decoding", "encoded", "trees"}


class _Scaled:
    """Marks a number of epochs, which a suite's `budget` and a block's `share` multiply."""


Count = Annotated[int, Field(ge=1, le=10**9)]
Several = Annotated[int, Field(ge=2, le=10**9)]
Natural = Annotated[int, Field(ge=0, le=10**9)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator takes
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]  # of a running mean
Epochs = Annotated[int, Field(ge=1, le=10**9), _Scaled()]
Layers = Annotated[list[Count], Field(min_length=1)]  # widths
Reduction = Literal["norm", "sum_sq", "mean_sq", "mean_abs"]
Activation = Literal["relu", "leaky_relu", "elu"]
Precision = Literal["tf32", "bf16"]  # of a training; where a block has none, float32


class Stall(Strict):
    """What to do when a measure of convergence, one number an epoch, has stopped falling."""

    epochs: Count  # without a new least value that count as a stall; not scaled by any budget
    factor: Annotated[float, Field(gt=0, lt=1)]  # by which learning rates fall at a stall
    floor: Share  # of the first learning rates, below which they do not fall


class MLP(Strict):
    """Fully connected layers, input to output; a decoder or generator names its own widths."""

    kind: Literal["mlp"]
    hidden: list[Count]
    activation: Activation
    batch_norm: bool


class UnitMLP(MLP):
    """An MLP that takes the pixels in [0, 1], so that black ones are no input, not -1."""

    kind: Literal["unit_mlp"]  # pyright: ignore[reportIncompatibleVariableOverride]


class Conv(Strict):
    """4x4 convolutions of stride 2, from the image side; a generator runs them backwards."""

    kind: Literal["conv"]
    channels: Layers
    activation: Activation
    batch_norm: bool


class ConvMap(Strict):
    """The convolutions of `Conv` whose code is the last map of features itself, as it is after its
    activation; nothing in such an auto-encoder is fully connected.
    """

    kind: Literal["conv_map"]
    channels: Layers
    activation: Activation
    batch_norm: bool


class Conv3x3(Strict):
    """3x3 convolutions with ELUs, halved by stride and doubled by nearest neighbour."""

    kind: Literal["conv3x3"]
    n: Count  # channels of a decoder and generator; an encoder has n, 2n, 3n, ... by scale
    scales: Count  # sizes of maps: each is half the one before
    repeats: Count  # convolutions at each scale
    residual_steps: Natural  # of the training in which residuals vanish; 0: there are none
    skips: bool  # a decoder sees its first map again at every scale


class NoisePlanes(Strict):
    """A generator whose z is planes of noise beside the features at every scale.

    4x4 transposed convolutions, of stride 2 after the first, which makes a map of 4x4, and a 3x3
    convolution to the image. Both lists from the noise to the image.
    """

    kind: Literal["noise_planes"]
    channels: Layers
    planes: Layers  # of noise that each of the layers takes, the first at 1x1
    activation: Activation
    batch_norm: bool

    @rule
    def _each_layer_has_its_planes(self):
        if len(self.planes) != len(self.channels):
            raise ValueError(
                f"planes: found {len(self.planes)} numbers; there are {len(self.channels)} layers "
                "in channels"
            )
        return self

    @property
    def side(self) -> int:
        """Pixels of the image."""
        return 2 ** (len(self.channels) + 1)

    @property
    def numbers(self) -> list[int]:
        """Numbers of z that each layer takes."""
        sides = [1, *(2 ** (i + 1) for i in range(1, len(self.planes)))]
        return [count * side**2 for count, side in zip(self.planes, sides, strict=True)]


# Typing's Union, because `hparams_class` looks these up when it reads a method's file.
Net = Annotated[Union[MLP, Conv, Conv3x3], Field(discriminator="kind")]  # noqa: UP007
GeneratorNet = Annotated[  # from z to an image
    Union[MLP, Conv, Conv3x3, NoisePlanes],  # noqa: UP007
    Field(discriminator="kind"),
]
CoderNet = Annotated[  # half of an auto-encoder
    Union[MLP, Conv, Conv3x3, ConvMap],  # noqa: UP007
    Field(discriminator="kind"),
]
EncoderNet = Annotated[
    Union[MLP, UnitMLP, Conv, Conv3x3, ConvMap],  # noqa: UP007
    Field(discriminator="kind"),
]
AnyNet = MLP | Conv | ConvMap | Conv3x3 | NoisePlanes


def misfit(net: AnyNet, shape: tuple[int, int, int], width: int) -> str | None:
    """Why a network does not fit images of a shape, as `key: words`, or None.

    `width` is how many numbers stand at its other end: z, a code, or the one of a critic.
    """
    _, height, across = shape
    if isinstance(net, Conv3x3):
        most = 1 + max(i for i in range(32) if height % 2**i == 0 and across % 2**i == 0)
        if net.scales > most:
            return f"scales: found {net.scales}; images of {height}x{across} allow {most}"
    elif isinstance(net, Conv | ConvMap):
        layers, most = len(net.channels), int(math.log2(min(height, across)))
        if layers > most:
            return (
                f"channels: found {layers} layers of stride 2; images of {height}x{across} "
                f"allow {most}"
            )
        size = (net.channels[-1], height >> layers, across >> layers)
        if isinstance(net, ConvMap) and math.prod(size) != width:
            return (
                f"channels: found a last map of {size[0]}x{size[1]}x{size[2]}; it is the code, so "
                f"code is {math.prod(size)}, not {width}"
            )
    elif isinstance(net, NoisePlanes):
        if (height, across) != (net.side, net.side):
            return (
                f"channels: found {len(net.channels)} layers, which make {net.side}x{net.side}; "
                f"images are {height}x{across}"
            )
        if sum(net.numbers) != width:
            return (
                f"planes: found {sum(net.numbers)} numbers in them; they are z, so z is that and "
                f"not {width}"
            )
    return None


class Adam(Strict):
    """Kingma and Ba (2015)."""

    name: Literal["adam"]
    lr: Positive
    beta1: Decay
    beta2: Decay


class Adamax(Strict):
    """Kingma and Ba (2015), section 7.1."""

    name: Literal["adamax"]
    lr: Positive
    beta1: Decay
    beta2: Decay


class Momentum(Strict):
    """`initial` in the first `epochs` epochs in which the player moves, `final` afterwards."""

    initial: Decay
    final: Decay
    epochs: Natural


class SGD(Strict):
    """Gradient descent; weights (not biases) decay, inside the learning-rate bracket."""

    name: Literal["sgd"]
    lr: Positive
    momentum: Momentum
    weight_decay: NonNegative


Optim = Annotated[Adam | Adamax | SGD, Field(discriminator="name")]


class Rung(Strict):
    """Inverse temperatures from the rung below (from 0) to `up_to`, `step` apart."""

    up_to: Share
    step: Share


class AIS(Strict):
    """Annealed importance sampling from an RBM without weights."""

    chains: Several
    temperatures: Annotated[list[Rung], Field(min_length=1)]

    @rule
    def _rungs_reach_one(self):
        tops = [0.0, *(rung.up_to for rung in self.temperatures)]
        if tops[-1] != 1:
            raise ValueError(f"temperatures: found {tops[-1]} at the end; the last up_to is 1")
        for (low, high), rung in zip(itertools.pairwise(tops), self.temperatures, strict=True):
            if low >= high:
                raise ValueError(f"temperatures: found up_to {high} after {low}; each is higher")
            steps = (high - low) / rung.step
            if round(steps) < 1 or abs(steps - round(steps)) > 1e-6:
                raise ValueError(
                    f"temperatures: found step {rung.step} from {low} to {high}; a whole number "
                    "of steps should fit"
                )
        return self

    @property
    def betas(self) -> list[float]:
        """All inverse temperatures, 0 and 1 among them, rising."""
        found = [0.0]
        for rung in self.temperatures:
            low, steps = found[-1], round((rung.up_to - found[-1]) / rung.step)
            found += [low + (rung.up_to - low) * i / steps for i in range(1, steps)] + [rung.up_to]
        return found


class Likelihoods(Strict):
    """How the likelihood of a trained RBM, or the lower bound of a stack, is measured."""

    seed: Seed  # of the binarisation of the images and of all chains
    train: Count  # training images measured beside the test images, at most
    posterior: Count  # samples of q(h | v) per image, for a stack's bound
    ais: AIS
    trials: Count  # of the same AIS beside the exact Z, where at most 20 hidden units allow it


def _left_out(value: object) -> bool:
    return value is None


class Block(Strict):
    """One system of one suite: all numbers of its training.

    A key that may be left out is left out of what is stored too: cards and fingerprints of blocks
    without it stay what they were.
    """

    share: Share  # of the paper's epochs that this repository carries; the suite's budget times it
    batch_size: Count
    grids: Count  # image grids at fixed z written over the training
    optim: dict[str, Optim]  # player -> its optimiser
    # player -> decay of the average of its weights that draws after training; left out: none
    ema: dict[str, Decay] | None = Field(default=None, exclude_if=_left_out)
    precision: Precision | None = Field(default=None, exclude_if=_left_out)
    hparams: Any  # the method's own class, see `hparams_class`


class Centre(Strict):
    """The middle square of `side` pixels of the source's image, scaled to the size."""

    kind: Literal["centre"]
    side: Count


class ShortSide(Strict):
    """The short side scaled to the size, then the middle square."""

    kind: Literal["short_side"]


class Patch(Strict):
    """The short side scaled to `scale`, then one square of the size from a random place."""

    kind: Literal["patch"]
    scale: Count


class Whole(Strict):
    """The whole image scaled to the size, its proportions lost."""

    kind: Literal["whole"]


Crop = Annotated[Centre | ShortSide | Patch | Whole, Field(discriminator="kind")]


class Image(Strict):
    """What becomes of the encoded images of a source, which differ in size."""

    size: Annotated[int, Field(ge=1, le=4096)]  # pixels, both ways
    channels: Literal[1, 3]
    crop: Crop
    broken: Annotated[float, Field(ge=0, lt=1)]  # share that may be unreadable, and is left out

    @rule
    def _patch_fits(self):
        if isinstance(self.crop, Patch) and self.crop.scale < self.size:
            raise ValueError(
                f"crop.scale: found {self.crop.scale}; it should be at least the size, {self.size}"
            )
        return self


class Data(Strict):
    source: str
    test: Count  # images in the test split
    validation: Natural  # images held out from the training split; 0 for a final run
    split_seed: int
    # Of the sources that name them in TAKES, and of no others.
    image: Image | None = None
    folder: str | None = None  # below the mirror

    @rule
    def _folder_is_below(self):
        _check_below("folder", self.folder or "x")
        return self


def _check_below(key: str, place: str) -> None:
    parts = re.split(r"[/\\]", place)
    if not parts[0] or ".." in parts or ":" in parts[0]:
        raise ValueError(
            f"{key}: found {place!r}; it lies below EBMREPRO_DATA_MIRROR, so it does not begin "
            "with / or a drive and has no `..`"
        )


class InInception(Strict):
    """What is measured in features of the Inception network, and against which real images."""

    split: Literal["train", "test", "validation"]  # real images that generated ones are held to
    images: Several  # of that split, evenly spaced, at most
    splits: Count  # of the generated images, for the Inception score
    statistics: str | None = None  # a published file of mu and sigma, below the mirror

    @rule
    def _statistics_are_below(self):
        _check_below("statistics", self.statistics or "x")
        return self


class Evaluate(Strict):
    split: Literal["test", "validation"]  # real images that generated ones are compared with
    generated: Several  # images drawn from each model
    energies: Several  # images per set whose energy is measured, at most
    seed: Seed  # of the draws
    neighbours: Count  # k of improved precision and recall
    coverage_share: Share  # a class is covered when this share of the images is of it ...
    coverage_confidence: Share  # ... with at least this probability
    inception: InInception | None = None  # left out: of Inception's measures, `fid` alone

    @rule
    def _splits_have_images(self):
        if self.inception and self.inception.splits > self.generated:
            raise ValueError(
                f"inception.splits: found {self.inception.splits}; there are {self.generated} "
                "generated images"
            )
        return self

    @rule
    def _neighbours_exist(self):
        if self.neighbours >= self.generated:
            raise ValueError(
                f"neighbours: found {self.neighbours}; {self.generated} generated images have at "
                f"most {self.generated - 1} neighbours each"
            )
        return self


def _check_rises(key: str, values: list[Any]) -> None:
    if any(a >= b for a, b in itertools.pairwise(values)):
        raise ValueError(f"{key}: found {values}; each should be above the one before")


Levels = Annotated[list[Positive], Field(min_length=1)]
Shares = Annotated[list[Share], Field(min_length=1)]
Lengths = Annotated[list[Annotated[int, Field(ge=1, le=1000)]], Field(min_length=1)]


class Counting(Strict):
    """A Markov chain over labels: what follows a label, by probability.

    With what is left, every label is as likely as any other: a slip.
    """

    next: Fraction  # the next label, after the last the first
    same: Fraction  # the same label again

    @rule
    def _slips_have_a_probability(self):
        if self.next + self.same >= 1:
            raise ValueError(
                f"next: found {self.next}; next and same, {self.same}, should add up to less than 1"
            )
        return self


class Decision(Strict):
    """Sequences of images, whose labels are found one by one and together."""

    sequences: Count
    length: Annotated[int, Field(ge=2)]
    noise: NonNegative  # standard deviation, in units of pixel values in [-1, 1]
    counting: Counting
    brute_force: Annotated[int, Field(ge=2, le=6)]  # length up to which every labelling is tried
    lengths: Lengths  # at which the cost of the search is counted

    @rule
    def _lengths_rise(self):
        _check_rises("lengths", self.lengths)
        return self


class Ranking(Strict):
    """Amounts of each corruption, least first; an amount of 0 is added to them."""

    images: Count
    noise: Levels  # standard deviation, in units of pixel values in [-1, 1]
    occlusion: Shares  # share of the area
    blur: Levels  # standard deviation in pixels
    inversion: Shares  # 0.5 is flat grey, 1 the negative

    @rule
    def _amounts_rise(self):
        for key in ("noise", "occlusion", "blur", "inversion"):
            _check_rises(key, getattr(self, key))
        return self


class Conditional(Strict):
    bins: Count  # of a reliability diagram
    fitted_on: Count  # images that the temperature is fitted on, at most


class Generation(Strict):
    images: Count
    noise: Positive  # of the images to be denoised; standard deviation, pixel values in [-1, 1]
    steps: Count  # of the descent of the energy, at most
    step: Positive  # its first length, root mean square over pixels
    samples: Count  # images drawn, by each way of drawing
    sample_steps: Count  # of the descent from noise to a sample


class Tour(Strict):
    """Five questions that one energy can answer; detection asks what `evaluate` asks."""

    seed: Natural  # of noise, sequences and draws
    others: list[str]  # suites of the same image shape, to be detected as other data
    decision: Decision
    ranking: Ranking
    conditional: Conditional
    generation: Generation


Depths = Annotated[list[Several], Field(min_length=1)]  # numbers of layers; D and Enc + Dec have 2
Switches = Annotated[list[bool], Field(min_length=1)]
Rules = Annotated[list[Literal["adam", "sgd"]], Field(min_length=1)]


class GridTable(Strict):
    """One column of EBGAN's table 1: the values of each setting, all combinations of which count.

    The paper's names. In EBGAN nLayerD counts Enc and Dec together, and Dec is always one layer.
    """

    nLayerG: Depths
    nLayerD: Depths
    sizeG: Layers
    sizeD: Layers
    dropoutD: Switches
    optimD: Rules
    optimG: Rules
    lr: Levels

    @property
    def count(self) -> int:
        return math.prod(len(values) for _, values in self)

    @rule
    def _each_value_once(self):
        for key, values in self:
            if len(set(values)) != len(values):
                raise ValueError(f"{key}: found {values}, each may stand there once")
        return self


class GridTables(Strict):
    ebgan: GridTable
    gan: GridTable


class GridDraw(Strict):
    """How many configurations are drawn; a larger draw holds a smaller one of the same seed."""

    ebgan: Count
    gan: Count
    ebgan_pt: Natural  # the first so many of EBGAN's, with the pulling-away term


class GridStd(Strict):
    """Standard deviations of initial weights."""

    G: Positive
    D: Positive


class GridAdam(Strict):
    beta1: Decay
    beta2: Decay


class GridSweep(Strict):
    """One EBGAN trained with several margins."""

    margins: Levels
    nLayerG: Several
    nLayerD: Several
    sizeG: Count
    sizeD: Count
    dropoutD: bool
    lr: Positive


class GridClassifier(Strict):
    """What I' asks: an MLP of the suite's training images and labels."""

    hidden: Layers
    epochs: Count  # not scaled by any budget: the judge is the same for every grid
    batch_size: Count
    optim: Adam
    seed: Seed


class GridScore(Strict):
    generated: Several  # images drawn from each trained generator
    seed: Seed  # of that draw
    best: Count  # images shown of the best models and of each margin


class Grid(Strict):
    """EBGAN's grid of fully connected networks: many small trainings of one suite."""

    share: Share  # of `epochs` that this repository carries; the suite's budget times it
    epochs: Count  # of every configuration
    batch_size: Several
    z: Count  # dimension of z ~ N(0, I)
    margin: Positive  # m, of the L2 norm
    pt_weight: Positive  # of the pulling-away term
    dropout: Annotated[float, Field(gt=0, lt=1)]  # share of D's hidden units, where dropoutD
    init_std: GridStd
    adam: GridAdam
    draw: GridDraw
    table: GridTables
    sweep: GridSweep
    score: GridScore
    classifier: GridClassifier

    @rule
    def _the_draw_exists(self):
        for kind in ("ebgan", "gan"):
            drawn, there = getattr(self.draw, kind), getattr(self.table, kind).count
            if drawn > there:
                raise ValueError(f"draw.{kind}: found {drawn}; table.{kind} has {there}")
        if self.draw.ebgan_pt > self.draw.ebgan:
            raise ValueError(
                f"draw.ebgan_pt: found {self.draw.ebgan_pt}; they are drawn among EBGAN's "
                f"{self.draw.ebgan}"
            )
        return self


class Suite(Strict):
    budget: Share  # of every epoch count; a block's own share of it multiplies it
    data: Data
    dbn: Block
    evaluate: Evaluate
    tour: Tour
    methods: dict[str, Block]
    grid: Grid | None = None  # the key is left out where a suite has none

    def block(self, name: str) -> Block:
        return self.dbn if name == "dbn" else self.methods[name]

    @property
    def blocks(self) -> Iterator[tuple[str, str, Block]]:
        """(place in the suite, name, block) of every system."""
        yield "dbn", "dbn", self.dbn
        yield from ((f"methods.{name}", name, block) for name, block in self.methods.items())

    @rule
    def _compared_images_exist(self):
        data, evaluate = self.data, self.evaluate
        splits = {"split": evaluate.split}
        if evaluate.inception:
            splits["inception.split"] = evaluate.inception.split
        for key, split in splits.items():
            if split == "validation" and not data.validation:
                raise ValueError(
                    f"evaluate.{key}: found 'validation', but data.validation holds out no image"
                )
        real = data.test if evaluate.split == "test" else data.validation
        if evaluate.inception and evaluate.inception.splits > real:
            raise ValueError(
                f"evaluate.inception.splits: found {evaluate.inception.splits}; there are {real} "
                f"images in data.{evaluate.split}"
            )
        if evaluate.neighbours >= real:
            raise ValueError(
                f"evaluate.neighbours: found {evaluate.neighbours}; {real} images in data."
                f"{evaluate.split} have at most {real - 1} neighbours each"
            )
        return self


class Run(Strict):
    """What `dvc repro` regenerates."""

    suites: Annotated[list[str], Field(min_length=1)]
    methods: Annotated[list[str], Field(min_length=1)]
    variants: list[str]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    grids: list[str]  # suites whose `grid` is run

    @property
    def names(self) -> list[str]:
        """Every system of the run, the DBN first."""
        return ["dbn", *self.methods, *self.variants]

    @property
    def trainings(self) -> Iterator[tuple[str, str, int]]:
        """(suite, name, seed) of every training."""
        return ((s, n, k) for s in self.suites for n in self.names for k in self.seeds)


class Ring(Strict):
    """Equal Gaussians of standard deviation `sd` on a circle."""

    modes: Count
    radius: Positive
    sd: Positive


class Moons(Strict):
    """Two half circles, blurred by a Gaussian of standard deviation `sd`."""

    radius: Positive
    sd: Positive


class Pinwheel(Strict):
    """Gaussian blades `at` a distance from the centre, twisted by radians per unit of distance."""

    blades: Count
    at: Positive
    along: Positive  # standard deviations of a blade, outwards ...
    across: Positive  # ... and sideways
    twist: float


class Checkerboard(Strict):
    """Uniform on every other square of 4 x 4, from -`half` to `half`."""

    half: Positive


class Densities(Strict):
    """What the networks of the plane learn."""

    ring: Ring
    moons: Moons
    pinwheel: Pinwheel
    checkerboard: Checkerboard


class Domain(Strict):
    """A flat floor with soft walls: without them Z is infinite for an energy that is a line."""

    wall: Positive  # where the walls begin, on both axes
    stiffness: Positive  # of a wall: stiffness / 2 times the squared distance behind it, in nats
    half: Positive  # half the side of the square that grids cover

    @rule
    def _walls_inside(self):
        if self.half <= self.wall:
            raise ValueError(
                f"half: found {self.half}; it should be greater than wall: {self.wall}"
            )
        return self


class PlaneNet(Strict):
    hidden: Layers
    spread: Positive  # of the first layer's random weights, relative to 1 / sqrt(inputs)


class Chains(Strict):
    """Contrastive divergence."""

    steps: Count
    batch_size: Count
    optim: Adam
    langevin_steps: Count  # of every chain, per step of training
    langevin_step: Positive
    restart: Fraction  # share of the chains that begin anew, per step of training


class Likelihood(Strict):
    """Maximum likelihood, Z from a grid."""

    steps: Count
    batch_size: Count
    optim: Adam
    grid: Count  # points per axis


class Margin(Strict):
    """EBGAN's loss."""

    steps: Count
    batch_size: Count
    D: Adam
    G: Adam
    margin: Positive
    code: Count
    z: Count


class PlaneTraining(Strict):
    cd: Chains
    ml: Likelihood
    ebgan: Margin


class PlaneSampling(Strict):
    """Long chains on the learnt energies, and chains of several steps on the ring itself."""

    chains: Count
    moves: Count
    step: Positive
    steps: Annotated[list[Positive], Field(min_length=2)]  # rising, for the bias of Langevin
    ring_chains: Count
    ring_moves: Count
    every: Count  # one in so many states of the second half of the moves is looked at
    bins: Count  # per axis, of the histogram; divides `grid`


class PlaneAIS(Strict):
    chains: Annotated[int, Field(ge=2)]
    temperatures: Annotated[int, Field(ge=2)]
    base_sd: Positive  # of the Gaussian at inverse temperature 0
    step: Positive  # of the one MALA move per temperature


class Partition(Strict):
    """log Z of a mixture of two Gaussians in 1 to `dimensions` dimensions."""

    dimensions: Annotated[int, Field(ge=2)]
    accuracy: Positive  # nats that the grid's log Z may be off
    sd: Positive
    centre: Positive  # distance of either Gaussian from the origin
    half: Positive
    ais: PlaneAIS


class Film(Strict):
    frames: Annotated[int, Field(ge=2)]
    points: Count
    moves: Count  # Langevin moves between two frames
    descent_step: Positive


class Fundamentals(Strict):
    """The stage `fundamentals`: energies of the plane."""

    seeds: Annotated[list[Seed], Field(min_length=1)]
    densities: Densities
    train: Count  # points that are learnt from, per density and seed
    held_out: Annotated[int, Field(ge=2)]
    domain: Domain
    network: PlaneNet
    training: PlaneTraining
    grid: Count  # points per axis where Z is measured; the half of it says how far it can be off
    temperatures: Annotated[list[Positive], Field(min_length=1)]  # tried for EBGAN's energy
    sampling: PlaneSampling
    ais: PlaneAIS
    partition: Partition
    film: Film

    @rule
    def _bins_fit(self):
        if self.grid % (2 * self.sampling.bins):
            raise ValueError(
                f"grid: found {self.grid}; it should be a multiple of twice sampling.bins, "
                f"{2 * self.sampling.bins}"
            )
        return self

    @rule
    def _each_seed_once(self):
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: found {self.seeds}, each may stand there once")
        return self


class Params(Strict):
    run: Run
    fundamentals: Fundamentals
    suites: dict[str, Suite]

    def suite(self, name: str) -> Suite:
        return self.suites[known(name, self.suites, "params.yaml", "suite")]

    def grid(self, suite: str) -> Grid:
        """The grid of a suite.

        Raises:
            ParamsError: it has none.
        """
        block = self.suite(suite).grid
        if block is None:
            there = [name for name, each in self.suites.items() if each.grid]
            known(suite, there, "params.yaml", "grid of")
        assert block is not None
        return block

    def block(self, suite: str, name: str) -> Block:
        """The block of one system with the suite's budget and its own share of it applied."""
        suite_params = self.suite(suite)
        where = f"params.yaml: {suite}.methods"
        block = suite_params.block(known(name, ["dbn", *suite_params.methods], where, "method"))
        part = suite_params.budget * block.share
        return block.model_copy(update={"hparams": _scale(block.hparams, part)})


def base(name: str) -> str:
    """The method of a name: `began` of `began` and of its variant `began__gamma_low`."""
    return name.partition("__")[0]


def load(path: str | Path = "params.yaml") -> Params:
    """Read and check the whole file.

    Raises:
        ParamsError: the file is missing, is not YAML 1.2, or holds a wrong key or value.
    """
    path = Path(path)
    tree = read_yaml(path)
    for name in OWN:
        if name not in tree:
            raise ParamsError(f"{path}: {name}: this key is missing at the top")
    run = validate(Run, tree.pop("run"), path, ("run",))
    fundamentals = validate(Fundamentals, tree.pop("fundamentals"), path, ("fundamentals",))
    if misspelt := next((name for name in tree if not NAME.fullmatch(name)), None):
        raise ParamsError(f"{path}: {dotted([misspelt])}: {NOT_A_NAME}{nearest(misspelt, OWN)}")
    suites = {
        name: _with_hparams(validate(Suite, block, path, (name,)), path, name)
        for name, block in tree.items()
    }
    params = Params(run=run, fundamentals=fundamentals, suites=suites)
    _check_run(params, path)
    return params


def flatten(tree: object, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys: {"a": {"b": 1}} -> {"a.b": 1}. Lists are values."""
    if not isinstance(tree, Mapping):
        return {prefix: tree}
    return {
        dotted: value
        for key, child in tree.items()
        for dotted, value in flatten(child, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def digest(tree: object) -> str:
    """sha256 of the canonical JSON of `tree`."""
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def hparams_class(name: str) -> type[Strict]:
    """`Hparams` of a method, read from its file without running it.

    Running the file would import torch, which takes seconds; checking params.yaml must not.
    The class may therefore use only the names of this module and of `typing`.
    """
    node = next(n for n in _method_class(name).body if _is_hparams(n))
    path = METHODS / f"{base(name)}.py"
    code = compile(ast.Module([node], []), str(path), "exec", dont_inherit=True)
    names = {**vars(typing), **globals(), "__name__": f"ebmrepro.methods.{base(name)}"}
    exec(code, names)
    return names["Hparams"]


@cache
def declared(name: str) -> dict[str, Any]:
    """What a method's class body sets to plain values, read as `hparams_class` is.

    Such are `players` and `smallest_batch`, see `method.Method`.
    """
    return _constants(_method_class(name).body)


class Facts(typing.NamedTuple):
    """What a data source's file declares about its images; None where only the data can say."""

    shape: tuple[int, int, int] | None  # (C, H, W)
    images: int | None  # in training and test split together
    test: int | None  # in the official test split, if there is one
    takes: tuple[str, ...]  # keys of `data` that this source needs and others have not


@cache
def source_facts(name: str) -> Facts:
    """SHAPE, IMAGES, TEST and TAKES of a data source, read without running its file."""
    found = _constants(ast.parse((SOURCES / f"{name}.py").read_text(encoding="utf-8")).body)
    return Facts(found.get("SHAPE"), found.get("IMAGES"), found.get("TEST"), found.get("TAKES", ()))


def _method_class(name: str) -> ast.ClassDef:
    """The class in a method's file that holds an `Hparams`."""
    path = METHODS / f"{known(base(name), available_methods(), 'params.yaml', 'method')}.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and any(_is_hparams(inner) for inner in node.body):
            return node
    raise ParamsError(f"{path.name}: found no class with a class Hparams")


def _is_hparams(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and node.name == "Hparams"


def _constants(body: list[ast.stmt]) -> dict[str, Any]:
    """Names that are set to literals among some statements."""
    found: dict[str, Any] = {}
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                with contextlib.suppress(ValueError):  # computed: known to Python alone
                    found[name] = ast.literal_eval(value)
    return found


def available_methods() -> list[str]:
    return sorted(path.stem for path in METHODS.glob("*.py") if path.stem != "__init__")


def available_sources() -> list[str]:
    return sorted(p.stem for p in SOURCES.glob("*.py") if p.stem not in SOURCE_HELPERS)


def _check_run(params: Params, path: Path) -> None:
    run = params.run
    for suite in run.suites:
        known(suite, params.suites, f"{path}: run.suites", "suite")
        there = params.suites[suite].methods
        for key, names in (("methods", run.methods), ("variants", run.variants)):
            for name in names:
                known(name, there, f"{path}: run.{key}: {suite}.methods", "block")
                if ("__" in name) != (key == "variants"):
                    raise ParamsError(
                        f"{path}: run.{key}: found {name!r}; run.methods takes names of methods, "
                        "run.variants names of the form <method>__<variant>"
                    )
    for suite in run.grids:
        there = [name for name, each in params.suites.items() if each.grid]
        known(suite, there, f"{path}: run.grids", "suite with a grid")
    for key in ("suites", "methods", "variants", "seeds", "grids"):
        values = getattr(run, key)
        if len(set(values)) != len(values):
            raise ParamsError(f"{path}: run.{key}: found {values}, each may stand there once")
    for name, suite in params.suites.items():
        for other in suite.tour.others:
            others = [n for n in params.suites if n != name]
            known(other, others, f"{path}: {name}.tour.others", "suite")


def _with_hparams(suite: Suite, path: Path, name: str) -> Suite:
    """The suite with the hyper-parameters of each method as its own class, all checked."""
    known(suite.data.source, available_sources(), f"{path}: {name}.data.source", "source")
    facts = source_facts(suite.data.source)
    _check_data(suite.data, facts, f"{path}: {name}.data")
    checked: dict[str, Block] = {}
    for key, system, block in suite.blocks:
        place = (name, *key.split("."))
        where = f"{path}: {dotted(place)}"
        _check_name(system, key, where)
        hparams = validate(hparams_class(system), block.hparams, path, (*place, "hparams"))
        checked[key] = block.model_copy(update={"hparams": hparams})
        _check_players(block, system, where)
        _check_batch(checked[key], system, _training_images(suite.data, facts), where)
        if shape := image_shape(suite.data):
            _check_sizes(hparams, shape, f"{where}.hparams")
    if suite.grid:
        there = _training_images(suite.data, facts)
        for key, size in (
            ("batch_size", suite.grid.batch_size),
            ("classifier.batch_size", suite.grid.classifier.batch_size),
        ):
            if size > there:
                raise ParamsError(
                    f"{path}: {name}.grid.{key}: found {size}; there are {there} training images"
                )
    methods = {m: checked[f"methods.{m}"] for m in suite.methods}
    return suite.model_copy(update={"dbn": checked["dbn"], "methods": methods})


def _check_data(data: Data, facts: Facts, where: str) -> None:
    for key in ("image", "folder"):
        if key in facts.takes and getattr(data, key) is None:
            raise ParamsError(
                f"{where}.{key}: this key is missing; {data.source} needs {', '.join(facts.takes)}"
            )
        if key not in facts.takes and getattr(data, key) is not None:
            takers = [name for name in available_sources() if key in source_facts(name).takes]
            raise ParamsError(
                f"{where}.{key}: {data.source} takes no such key; those that do are "
                f"{', '.join(takers)}"
            )
    if facts.test and data.test != facts.test:
        raise ParamsError(
            f"{where}.test: found {data.test}; {data.source} has an official test split, "
            f"so it is {facts.test}"
        )
    if facts.images:
        left = facts.images - data.test
        if left < 1:
            raise ParamsError(
                f"{where}.test: found {data.test}; {data.source} has {facts.images} images, so at "
                f"most {facts.images - 1}"
            )
        if data.validation >= left:
            raise ParamsError(
                f"{where}.validation: found {data.validation}; the training split has {left} "
                f"images, so at most {left - 1}"
            )


def image_shape(data: Data) -> tuple[int, int, int] | None:
    """(C, H, W) of a suite's images; None where only the data can say."""
    if data.image:
        return data.image.channels, data.image.size, data.image.size
    return source_facts(data.source).shape


def _training_images(data: Data, facts: Facts) -> float:
    return facts.images - data.test - data.validation if facts.images else math.inf


def _check_name(system: str, key: str, where: str) -> None:
    if key == "methods.dbn":
        raise ParamsError(f"{where}: the DBN's block stands beside `methods`, not in it")
    known(base(system), available_methods(), where, "method")
    if "__" in system and not NAME.fullmatch(system.partition("__")[2]):
        raise ParamsError(f"{where}: found no name of a variant after `__`; {NOT_A_NAME}")


def _check_players(block: Block, system: str, where: str) -> None:
    """Each player has an optimiser and each optimiser a player."""
    players = declared(system).get("players")
    if players is None:
        raise ParamsError(
            f"ebmrepro/methods/{base(system)}.py: players: found none; the class of a method names "
            'them, such as `players = ("G", "D")`'
        )
    listed = f"the players of {base(system)} are {', '.join(players)}"
    for found in block.optim:
        if found not in players:
            key = dotted([found])
            raise ParamsError(
                f"{where}.optim.{key}: unknown player; {listed}{nearest(found, players)}"
            )
    for player in players:
        if player not in block.optim:
            raise ParamsError(f"{where}.optim.{player}: this key is missing; {listed}")
    for found in block.ema or {}:
        if found not in players:
            key = dotted([found])
            raise ParamsError(
                f"{where}.ema.{key}: unknown player; {listed}{nearest(found, players)}"
            )


def _check_batch(block: Block, system: str, images: float, where: str) -> None:
    size, least = block.batch_size, declared(system).get("smallest_batch", 1)
    normed = MLP | Conv | ConvMap | NoisePlanes
    nets = {key: net for key, net in block.hparams if isinstance(net, normed)}
    why = f"{base(system)} compares the images of a batch"
    if least < 2 and (normed := next((k for k, net in nets.items() if net.batch_norm), None)):
        least, why = 2, f"hparams.{normed}.batch_norm takes statistics over a batch"
    if size < least:
        raise ParamsError(f"{where}.batch_size: found {size}; at least {least}, because {why}")
    if size > images:
        raise ParamsError(f"{where}.batch_size: found {size}; there are {images} training images")


def _check_sizes(hparams: Strict, shape: tuple[int, int, int], where: str) -> None:
    """Every network fits the images, and z or the code."""
    for key, net in hparams:
        if isinstance(net, AnyNet):
            width = getattr(hparams, "z" if key == "G" else "code", 1)
            if why := misfit(net, shape, width):
                raise ParamsError(f"{where}.{key}.{why}")


def _scale(hparams: Strict, budget: float) -> Strict:
    fields = type(hparams).model_fields
    scaled = {
        key: max(1, round(getattr(hparams, key) * budget))
        for key, field in fields.items()
        if any(isinstance(mark, _Scaled) for mark in field.metadata)
    }
    return hparams.model_copy(update=scaled)
