"""Deep auto-encoder (AE).

Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks. Science 313, 2006,
with the constants of their released code.

    symbol    here         meaning
    v, h      v, h         visible and hidden units of one RBM; images are probabilities
    F(v)      rbm(v)       free energy; of the top RBM, whose hidden units are linear, see LinearRBM
    CD-k      hp.cd_steps  v_k after k Gibbs steps from the data: h sampled, v its probability
    z         code(x)      code of an image: the top RBM's hidden means, the encoder's linear output
    x_hat     reconstruct  decoder's logistic outputs, in [0, 1]

1. Greedy: RBMs are trained in turn by the descent of mean F(v_0) - mean F(v_k), v_k held fixed,
   each on the hidden probabilities of the one below. The last has linear hidden units with Gaussian
   noise of variance 1, and a hundredth of the others' rate.
2. Unrolled: the weights become an encoder, their transposes a decoder. Encoder and decoder are then
   fine-tuned by backprop, untied, on the cross-entropy - sum_i x_i log x_hat_i + (1 - x_i) log(1 -
   x_hat_i). Beside them and for as long, the same network learns from random weights.

The energy of an image is the paper's figure, sum_i (x_i - x_hat_i)^2 over pixels in [0, 1].

Departures:
- Backprop by the optimiser of the `optim` block on batches of `batch_size`, not by three line
  searches of conjugate gradients on each batch of 1,000.
- Random weights by Glorot's rule, which keeps signals and gradients nearer their size than the
  small random weights of the paper do, and is thus kinder to that side.
- The paper draws no images. Here `sample` decodes codes from a Gaussian that has the mean and
  covariance of the training images' codes, taken as they passed in the last epoch of fine-tuning.
"""

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ebmrepro.config.documents import Strict
from ebmrepro.config.types import Count, Epochs, Layers, Positive
from ebmrepro.data.check import pca_error
from ebmrepro.methods.base.method import Method, Turn
from ebmrepro.networks import distributed, layers
from ebmrepro.networks.energies import RBM, AutoEncoder
from ebmrepro.networks.images import to_uint8


class LinearRBM(RBM):
    """RBM of binary visible and linear hidden units, h_j ~ N(c_j + W_j'v, 1):

    E(v, h) = - v'Wh - b'v + sum_j (h_j - c_j)^2 / 2.
    """

    def free_energy(self, v, field):
        """F(v) = - b'v - sum_j ((c_j + W_j'v)^2 - c_j^2 + log 2 pi) / 2, (N, V) -> (N,)."""
        hidden = field.square() - self.c.square() + math.log(2 * math.pi)
        return -(v @ self.b) - hidden.sum(1) / 2

    def expected(self, field):
        return field

    def draw_hidden(self, field):
        return field + torch.randn_like(field)


class DeepAutoEncoder(Method):
    code_moments: torch.Tensor
    code_mean: torch.Tensor
    code_factor: torch.Tensor
    players = ("rbms", "top", "pretrained", "scratch")

    class Hparams(Strict):
        layers: Layers  # hidden units from the pixels to the code, which is the last
        init_std: Positive  # of the RBMs' W; 0.1
        cd_steps: Count
        rbm_epochs: Epochs  # per layer
        finetune_epochs: Epochs

    def __init__(self, hp, shape, classes):
        super().__init__(hp, shape, classes)
        widths, code = [torch.Size(shape).numel(), *hp.layers], hp.layers[-1]
        self.rbms = nn.ModuleList(RBM(*pair, hp.init_std) for pair in pairwise(widths[:-1]))
        self.top = LinearRBM(widths[-2], widths[-1], hp.init_std)
        self.pretrained, self.scratch = _unrolled(widths), _unrolled(widths)
        self._unroll()
        for layer in layers.linear_layers(self.scratch):
            nn.init.zeros_(layer.bias)
            nn.init.xavier_normal_(layer.weight)
        # Sum over an epoch of (z, 1)(z, 1)', and the Gaussian that follows from it.
        self.register_buffer("code_moments", torch.zeros(code + 1, code + 1, dtype=torch.float64))
        self.register_buffer("code_mean", torch.zeros(code))
        self.register_buffer("code_factor", torch.eye(code))

    @property
    def stack(self) -> list[RBM]:
        return [*(rbm for rbm in self.rbms if isinstance(rbm, RBM)), self.top]

    @property
    def greedy_epochs(self):
        return len(self.stack) * self.hp.rbm_epochs

    @property
    def epochs(self):
        return self.greedy_epochs + self.hp.finetune_epochs

    def energy(self, x):
        """Squared error of the reconstruction, summed over pixels in [0, 1]."""
        return self.pretrained(_visible(x))

    def code(self, x):
        return self.pretrained.encoder(_visible(x))

    def reconstruct(self, x):
        return self._image(self.pretrained.reconstruct(_visible(x)))

    def reconstructions(self, x):
        """What both networks make of images, (N, C, H, W) -> the same shape each, by start."""
        networks = {"pretrained": self.pretrained, "random": self.scratch}
        return {start: self._image(net.reconstruct(_visible(x))) for start, net in networks.items()}

    @torch.no_grad()
    def sample(self, n):
        noise = torch.randn(n, len(self.code_mean), device=self.code_mean.device)
        return self._image(self.pretrained.decoder(self.code_mean + noise @ self.code_factor.T))

    def step(self, x, epoch):
        v = _visible(x)
        if epoch < self.greedy_epochs:
            yield self._contrastive_divergence(v, layer=epoch // self.hp.rbm_epochs)
            return
        z = self.pretrained.encoder(v)
        with torch.no_grad():
            one = torch.ones(len(z), 1, dtype=torch.float64, device=z.device)
            joined = torch.cat([z.double(), one], dim=1)
            moments = distributed.total(joined.T @ joined)
        yield Turn("pretrained", *_cross_entropy(self.pretrained, z, v, "pretrained"))
        z = self.scratch.encoder(v)
        yield Turn("scratch", *_cross_entropy(self.scratch, z, v, "scratch"))
        self.code_moments += moments

    def _contrastive_divergence(self, v, layer):
        with torch.no_grad():
            for below in self.stack[:layer]:
                v = below.up(v)
            rbm = self.stack[layer]
            field = rbm.field(v)
            v_k = rbm.gibbs(v, self.hp.cd_steps, sample_visible=False, field=field)
        contrast = rbm.contrast(v, v_k, field)  # F(v_0) - F(v_k)
        player = "top" if rbm is self.top else f"rbms.{layer}"
        error = (v - v_k).square().mean()
        return Turn(player, contrast, {f"reconstruction/rbm{layer + 1}": error})

    @torch.no_grad()
    def after_epoch(self, epoch, means):
        if epoch == self.greedy_epochs - 1:
            self._unroll()
        if epoch >= self.greedy_epochs:
            moments = self.code_moments / self.code_moments[-1, -1]
            mean = moments[:-1, -1]
            variances, axes = torch.linalg.eigh(moments[:-1, :-1] - mean.outer(mean))
            self.code_mean.copy_(mean)
            self.code_factor.copy_(axes * variances.clamp(min=0).sqrt())  # A A' = covariance
            self.code_moments.zero_()

    @torch.no_grad()
    def _unroll(self):
        up = layers.linear_layers(self.pretrained.encoder)
        down = layers.linear_layers(self.pretrained.decoder)[::-1]
        for rbm, encoder, decoder in zip(self.stack, up, down, strict=True):
            encoder.weight.copy_(rbm.W.T)
            encoder.bias.copy_(rbm.c)
            decoder.weight.copy_(rbm.W)
            decoder.bias.copy_(rbm.b)

    def _image(self, v):
        return (v * 2 - 1).unflatten(1, self.shape)

    @torch.no_grad()
    def diagnose(self, train, test):
        seen, shown = to_uint8(train.x), to_uint8(test.x)
        components = min(self.hp.layers[-1], shown[0].size)
        return {
            "reconstruction_sum_sq": self.energy(test.x).mean().item(),
            "reconstruction_sum_sq_random": self.scratch(_visible(test.x)).mean().item(),
            "mean_image_sum_sq": pca_error([seen], shown, 0),
            "pca_sum_sq": pca_error([seen], shown, components),
        }


def _visible(x):
    """Images in [-1, 1] as probabilities of visible units, (N, C, H, W) -> (N, V) in [0, 1]."""
    return (x.flatten(1) + 1) / 2


def _unrolled(widths):
    """Encoder with a linear code and decoder with logistic outputs, on (N, V) in [0, 1]."""
    up = [part for pair in pairwise(widths) for part in (nn.Linear(*pair), nn.Sigmoid())]
    down = [part for pair in pairwise(widths[::-1]) for part in (nn.Linear(*pair), nn.Sigmoid())]
    return AutoEncoder(nn.Sequential(*up[:-1]), nn.Sequential(*down), "sum_sq")


def _cross_entropy(network, z, v, name):
    """Cross-entropy of a reconstruction from its code, nats per image; and its squared error."""
    logits = network.decoder[:-1](z)
    loss = binary_cross_entropy_with_logits(logits, v, reduction="sum") / len(v)
    squared = (v - logits.detach().sigmoid()).square().sum(1).mean()
    return loss, {f"sum_sq/{name}": squared}
