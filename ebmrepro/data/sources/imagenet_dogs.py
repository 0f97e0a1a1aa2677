"""The dogs of ImageNet (ILSVRC 2012): 118 breeds, from Chihuahua to Mexican hairless.

EBGAN's 256x256 images are of "dog breeds", by the WordNet ids of Vinyals et al. (2016), who count
118 classes. Their list was not at hand. The ids of ILSVRC 2012 stand in order; its classes 152 to
269 of 1,000 are the domestic dogs, 118 of them, n02085620 to n02113978: the subset is taken to be
that range. Dingo, dhole and African hunting dog, which other subsets (Stanford Dogs) count too, lie
outside it.
"""

from __future__ import annotations

from ebmrepro.config.data import Data
from ebmrepro.data.images import Listing
from ebmrepro.data.sources import imagenet

NAME = "ImageNet (ILSVRC 2012), the 118 breeds of dogs"
LICENCE = imagenet.LICENCE
CITATION = (
    "Russakovsky et al., ImageNet large scale visual recognition challenge, International Journal "
    "of Computer Vision 115(3), 2015; the subset: Vinyals et al., Matching networks for one shot "
    "learning, NeurIPS 2016"
)
TAKES = ("image",)
TEST = 5_900  # 50 of each

FIRST, LAST = "n02085620", "n02113978"
NUMBER = 118


def fetch(params: Data) -> Listing:
    """All images of the 118 classes, mixed as `imagenet`'s; `params.test` must be 5,900."""
    dogs = imagenet.listing(lambda wordnet_id: FIRST <= wordnet_id <= LAST, NUMBER)
    return dogs.mixed(params.split_seed)
