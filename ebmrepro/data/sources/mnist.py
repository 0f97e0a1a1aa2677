"""MNIST: 60,000 handwritten digits to train on and 10,000 to test on, grey, 28x28."""

from __future__ import annotations

from ebmrepro.config.data import Data
from ebmrepro.data import idx
from ebmrepro.data.images import Images

NAME = "MNIST handwritten digits"
LICENCE = "CC BY-SA 3.0 as commonly stated; copyright Yann LeCun and Corinna Cortes"
CITATION = (
    "LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, "
    "Proceedings of the IEEE 86(11), 1998"
)
SHAPE = (1, 28, 28)
IMAGES = 70_000
TEST = 10_000
CLASSES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
PCA = (30, 13.87)  # components, published error: Hinton and Salakhutdinov, Science 313 (2006)

FOLDER = "MNIST"
CHECKSUMS = {
    idx.TRAIN_IMAGES: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    idx.TRAIN_LABELS: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    idx.TEST_IMAGES: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    idx.TEST_LABELS: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
URLS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def fetch(params: Data) -> Images:
    """60,000 training images, then the 10,000 of the official test split."""
    return idx.fetch(FOLDER, CHECKSUMS, URLS, CLASSES)
