"""Fashion-MNIST: 60,000 pictures of clothes to train on and 10,000 to test on, grey, 28x28."""

from __future__ import annotations

from ebmrepro.config.data import Data
from ebmrepro.data import idx
from ebmrepro.data.images import Images

NAME = "Fashion-MNIST"
LICENCE = "MIT, copyright 2017 Zalando SE"
CITATION = (
    "Xiao, Rasul and Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine "
    "learning algorithms, arXiv:1708.07747, 2017"
)
SHAPE = (1, 28, 28)
IMAGES = 70_000
TEST = 10_000
CLASSES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)

FOLDER = "FashionMNIST"
CHECKSUMS = {
    idx.TRAIN_IMAGES: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    idx.TRAIN_LABELS: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    idx.TEST_IMAGES: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    idx.TEST_LABELS: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
URLS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/"
    "b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)


def fetch(params: Data) -> Images:
    """60,000 training images, then the 10,000 of the official test split."""
    return idx.fetch(FOLDER, CHECKSUMS, URLS, CLASSES)
