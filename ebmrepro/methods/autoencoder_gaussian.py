"""Deep auto-encoder of real-valued pixels (face patches).

Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks. Science 313, 2006:
625-2000-1000-500-30 on patches of faces, with supporting text.

    symbol    here         meaning
    v         units(x)     pixels minus their means over the training images, all divided by one
                           number, so that their variance is 1 on average
    F(v)      rbm(v)       free energy; of the first RBM, whose visible units are Gaussian, see
                           GaussianRBM, of the top one, whose hidden units are linear, see LinearRBM
    z         code(x)      code of an image: the top RBM's hidden means, the encoder's linear output
    v_hat     decoder(z)   the decoder's linear outputs

1. A first epoch moves nobody: it sums up pixels, for their means and their variance.
2. Greedy: the first RBM for `first_epochs` at its own rate, then the others, as `autoencoder` has
   it.
3. Unrolled and fine-tuned as there, on the squared error sum_i (v_i - v_hat_i)^2 / 2.

The energy of an image is the squared error summed over pixels in [0, 1], as `autoencoder` has it.
The paper's is that of v, in whose unit the mean image has an error of about 625.

Departures:
- Means and variance are those of the training images; the paper's, of all images, as others read
  its supporting text.
- Contrastive divergence takes the mean of v given h for its reconstruction, without noise: as the
  authors' code does with binary pixels. That of real ones was not read.
- Backprop by the optimiser of the `optim` block on batches of `batch_size`, not by three line
  searches of conjugate gradients on each batch of 1,000; both random starts beside it as in
  `autoencoder`.
- The paper draws no images. Here `sample` decodes codes from a Gaussian that has the mean and
  covariance of the training images' codes. Pixels of images are cut off at 0 and 1, of which
  energies know nothing.
"""

import torch
from torch import nn

from ebmrepro.config.types import Epochs
from ebmrepro.methods.base import Turn
from ebmrepro.methods.base.deep_autoencoder import DeepAutoEncoder, DeepAutoEncoderHparams
from ebmrepro.methods.base.rbm_stack import sigmoid_layers, visible
from ebmrepro.networks import distributed
from ebmrepro.networks.energies import GaussianRBM

LEAST = 1 / 255  # standard deviation of pixels that are all alike


class GaussianAutoEncoder(DeepAutoEncoder):
    players = ("bottom", "rbms", "top", "pretrained", "scratch", "small")
    sums: torch.Tensor
    mean: torch.Tensor
    scale: torch.Tensor

    class Hparams(DeepAutoEncoderHparams):  # the last of `layers` is the code
        first_epochs: Epochs  # of the first RBM; `rbm_epochs` of each of the others

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        # Sums over pixels p in [0, 1] of 1, p and p^2 while they are counted; what follows.
        self.register_buffer("sums", torch.zeros(3, self.widths[0], dtype=torch.float64))
        self.register_buffer("mean", torch.full((self.widths[0],), 0.5))
        self.register_buffer("scale", torch.ones(()))

    def add_lower_rbms(self, widths):
        self.bottom = GaussianRBM(widths[0], widths[1], self.hp.init_std)
        super().add_lower_rbms(widths[1:])

    def decoder(self, widths):
        return nn.Sequential(*sigmoid_layers(widths)[:-1])

    @property
    def stack(self):
        return [self.bottom, *super().stack]

    @property
    def layer_epochs(self):
        return [self.hp.first_epochs, *super().layer_epochs[1:]]

    @property
    def epochs(self):
        return 1 + super().epochs

    def player(self, layer):
        return "bottom" if layer == 0 else super().player(layer - 1)

    def units(self, x):
        return (visible(x) - self.mean) / self.scale

    @property
    def unit(self):
        return self.scale.square()

    def image(self, v):
        return super().image((v * self.scale + self.mean).clamp(0, 1))

    def phase(self, epoch):
        return "count" if epoch == 0 else super().phase(epoch - 1)

    def step(self, x, epoch):
        if epoch > 0:
            yield from super().step(x, epoch - 1)
            return
        p = visible(x).double()
        sums = torch.stack([torch.ones_like(p).sum(0), p.sum(0), p.square().sum(0)])
        count, total, squares = sums = distributed.total(sums)
        self.sums += sums
        variance = squares / count - (total / count).square()
        yield Turn("bottom", None, {"variance/pixels": variance.mean().float()})

    def loss(self, network, z, v):
        v_hat = network.decoder(z)
        return (v - v_hat).square().sum(1).mean() / 2, v_hat.detach()

    @torch.no_grad()
    def after_epoch(self, epoch, means):
        if epoch > 0:
            super().after_epoch(epoch - 1, means)
            return
        count, total, squares = self.sums
        mean = total / count
        self.mean.copy_(mean)
        variance = (squares / count - mean.square()).mean()
        self.scale.copy_(variance.clamp(min=LEAST**2).sqrt())
