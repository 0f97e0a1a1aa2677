"""EBGAN with the pulling-away term (EBGAN-PT).

Zhao, Mathieu, LeCun: Energy-based Generative Adversarial Network. ICLR 2017, arXiv:1609.03126,
section 2.4.

    symbol   here             meaning
    S        code             Enc(G(z)) of a batch, (N, s)
    f_PT     pulling_away(S)  mean over i != j of the squared cosine of S_i and S_j, in [0, 1]
    weight   hp.pt_weight     0.1 in the paper; in the generator's loss only

Departures are those that `ebgan.py` names: the reduction of D, the order of turns, the code as a
vector with `conv`, torch's initial weights. Two more: a zero code has cosine 0 with every other,
where the paper's quotient is undefined; and noise that enters a generator at its larger scales
(`noise_planes`) is normal, as z is, which could not be read in the paper.
"""

from torch import Tensor
from torch.nn.functional import normalize, relu

from ebmrepro.config.types import NonNegative, Positive
from ebmrepro.methods.base import Turn
from ebmrepro.methods.base.gan import AutoEncoderGAN, AutoEncoderHparams, frozen


def pulling_away(S: Tensor) -> Tensor:
    """f_PT(S) = 1/(N(N-1)) sum_i sum_{j != i} (S_i'S_j / (||S_i|| ||S_j||))^2, (N, s) -> scalar."""
    n = len(S)
    unit = normalize(S, dim=1)  # a zero code stays zero: no NaN, and no gradient either
    cosine = unit @ unit.T
    return (cosine.square().sum() - cosine.diagonal().square().sum()) / (n * (n - 1))


class EBGANPT(AutoEncoderGAN):
    players = ("G", "D")
    smallest_batch = 2  # f_PT compares pairs

    class Hparams(AutoEncoderHparams):
        margin: Positive  # m, stated for `reduction`
        pt_weight: NonNegative
        rectified: bool  # the code goes through a ReLU

    @property
    def hinge(self):
        return self.hp.margin

    def step(self, x, epoch):
        m = self.hp.margin
        real, fake = self.energies(x)
        loss = real.mean() + relu(m - fake).mean()  # L_D = D(x) + [m - D(G(z))]^+
        terms = {"energy/real": real.mean(), "energy/fake": fake.mean()}
        yield Turn("D", loss, {**terms, "hinge/active": (fake < m).float().mean()})

        with frozen(self.D):
            fake, S = self.D.with_code(self.sample(len(x)))
        f_PT = pulling_away(S)
        yield Turn("G", fake.mean() + self.hp.pt_weight * f_PT, {"ebgan_pt/f_PT": f_PT})
