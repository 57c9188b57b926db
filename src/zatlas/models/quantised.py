"""The VQ-VAE: codes are sequences of codewords, and their prior is a model of sequences."""

from __future__ import annotations

from torch import Tensor, nn

from zatlas.distributions.codeword import CodeSequence, Codeword
from zatlas.models.drawing import given_or_drawn
from zatlas.networks.code_prior import CausalTransformer
from zatlas.networks.codebook import Codebook
from zatlas.types import Generation, Inference, Level


class VectorQuantised(nn.Module):
    """p(x|z) p(z) over discrete codes z of P positions with M codewords of d each (van den Oord et al. 2017).

    The posterior is one of the M^P codes, so log p(x|z) + log p(z) at that code is a bound on log p(x) of the discrete
    model, and ``infer`` has no chance in it. Labels are ignored.

    Args:
        encoder: the network ``(x, None) -> [B, P d]``, positions first.
        codebook: M codewords of d.
        decoder: ``(z, None) -> p(x|z)``.
        prior: over the numbers of the P codewords.
        standardise: applied to x first.
    """

    def __init__(
        self,
        encoder: nn.Module,
        codebook: Codebook,
        decoder: nn.Module,
        prior: CausalTransformer,
        *,
        standardise: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.latent_dims = (prior.positions * codebook.dim,)
        self.standardise = standardise or nn.Identity()
        self.encoder = encoder
        self.codebook = codebook
        self.decoder = decoder
        self.prior = prior

    def encode(self, x: Tensor, y: Tensor | None = None) -> Codeword:
        """q(z|x): the codewords nearest to the encoder's vectors, over ``[B, P d]``."""
        return self.codebook(self.encoder(self.standardise(x), None).float())

    def codes(self) -> CodeSequence:
        """p(z) over ``[P d]``."""
        return CodeSequence(self.prior, self.codebook)

    def infer(self, x: Tensor, y: Tensor | None = None, *, samples: int = 1, noise: Tensor | None = None) -> Inference:
        """The code of x ``[B, *data]``, K = ``samples`` times or once for each row of ``noise``, and p(x|z) there."""
        q = self.encode(x)
        z = q.rsample((samples,)) if noise is None else q.from_noise(noise)
        return Inference((Level(q, self.codes(), z),), self.decoder(z, None))

    def generate(self, n: int | None = None, y: Tensor | None = None, *, z: tuple[Tensor, ...] = ()) -> Generation:
        """p(x|z) at n draws from the prior (one for each row of y, if y is given), or at the given z.

        Args:
            n: how many; without y and z one.
            y: labels ``[B, Y]``, of which only B counts.
            z: codes ``[B, P d]`` or ``[K, B, P d]``, decoded as they are, on a codeword or between two.

        Deterministic where z is given.
        """
        code = given_or_drawn(z, self.codes, n, y)
        return Generation((code,), self.decoder(code, None))
