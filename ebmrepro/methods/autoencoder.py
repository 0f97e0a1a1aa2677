"""Deep auto-encoder (AE).

Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks. Science 313, 2006,
with the constants of their released code.

    symbol    here         meaning
    F(v)      rbm(v)       free energy; of the top RBM, whose hidden units are linear, see LinearRBM
    z         code(x)      code of an image: the top RBM's hidden means, the encoder's linear output
    x_hat     reconstruct  decoder's logistic outputs, in [0, 1]

1. Greedy: RBMs are trained in turn by CD-k as `base/rbm_stack.py` has it, each on the hidden
   probabilities of the one below. The last has linear hidden units with Gaussian noise of variance
   1, and a hundredth of the others' rate.
2. Unrolled: the weights become an encoder, their transposes a decoder. Encoder and decoder are then
   fine-tuned by backprop, untied, on the cross-entropy - sum_i x_i log x_hat_i + (1 - x_i) log(1 -
   x_hat_i). Beside them and for as long, the same network learns from random weights: `scratch`
   from Glorot's rule, `small` from N(0, 0.01^2).

The energy of an image is the paper's figure, sum_i (x_i - x_hat_i)^2 over pixels in [0, 1].

Departures:
- Backprop by the optimiser of the `optim` block on batches of `batch_size`, not by three line
  searches of conjugate gradients on each batch of 1,000.
- Glorot's rule is of 2010, and keeps signals and gradients nearer their size than the small random
  weights that the paper writes of. How small these were, 0.01, is from a reading of its supporting
  text by others.
- The paper draws no images. Here `sample` decodes codes from a Gaussian that has the mean and
  covariance of the training images' codes, taken as they passed in the last epoch of fine-tuning.
"""

from torch.nn.functional import binary_cross_entropy_with_logits

from ebmrepro.methods.base.deep_autoencoder import DeepAutoEncoder, DeepAutoEncoderHparams


class PixelAutoEncoder(DeepAutoEncoder):
    players = ("rbms", "top", "pretrained", "scratch", "small")

    class Hparams(DeepAutoEncoderHparams):  # the last of `layers` is the code; `init_std` is 0.1
        pass

    def loss(self, network, z, v):
        """Cross-entropy of pixels, and the outputs."""
        logits = network.decoder[:-1](z)
        entropy = binary_cross_entropy_with_logits(logits, v, reduction="sum") / len(v)
        return entropy, logits.detach().sigmoid()
