"""Codebooks: M codewords that stand for the vectors of an encoder, and follow them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from zatlas.distributions.codeword import Codeword

# A newcomer starts with this many times the count that keeps it: light, so that it moves quickly to the vectors that
# choose it, and soon gone if none do. On MNIST, after 300 steps, 256 codewords had a perplexity of 139 and a distortion
# of 72 nats; where a newcomer had an equal share they were 10 and 87.
GRACE = 2.0


class Codebook(nn.Module, ABC):
    """M codewords ``[M, d]``; called with vectors ``[..., P d]`` it gives the posterior that quantises them.

    A codeword that few vectors choose is replaced by one of the batch's own, since nothing else would ever move it
    back (Dhariwal et al. 2020, section 2.2). At the first batch none has been chosen: the codebook starts from data.

    Args:
        codewords: M.
        dim: d.
        decay: of the running means, for each batch.
        revive_below: a codeword is replaced when its running count falls below this fraction of an equal share;
            0: never, and the codebook starts from N(0, 1).
    """

    codewords: Tensor
    usage: Tensor

    def __init__(self, codewords: int, dim: int, *, decay: float = 0.99, revive_below: float = 0.05) -> None:
        super().__init__()
        self.size, self.dim = codewords, dim
        self.decay, self.revive_below = decay, revive_below
        self.register_buffer("usage", torch.zeros(codewords))

    def forward(self, encoded: Tensor) -> Codeword:
        indices = self.nearest(encoded)
        return Codeword(encoded, self.lookup(indices), indices)

    @torch.no_grad()
    def nearest(self, z: Tensor) -> Tensor:
        """The number of the codeword nearest to each of the P vectors of z ``[..., P d]``: ``[..., P]``."""
        # in float32: rounded to bfloat16, neighbours are confused and a code would not find itself again
        with torch.autocast(z.device.type, enabled=False):
            vectors = z.float().unflatten(-1, (-1, self.dim))
            # |v - e|^2 without |v|^2, which is the same for all codewords
            return (self.codewords.square().sum(-1) - 2 * vectors @ self.codewords.T).argmin(-1)

    def lookup(self, indices: Tensor) -> Tensor:
        """The code ``[..., P d]`` that indices ``[..., P]`` spell."""
        return self.codewords[indices].flatten(-2)

    def counts(self, indices: Tensor) -> Tensor:
        """How often each codeword occurs in ``[..., P]``: ``[M]``."""
        flat = indices.flatten()
        return torch.zeros_like(self.usage).index_add(0, flat, torch.ones_like(flat, dtype=self.usage.dtype))

    @torch.no_grad()
    def follow(self, q: Codeword) -> None:
        """One step of the running means after a batch that was quantised as q, and the revival of unused codewords."""
        vectors, indices = q.encoded.reshape(-1, self.dim), q.indices.flatten()
        counts = self.counts(indices)
        share = len(vectors) / self.size
        unused = self.usage < self.revive_below * share
        usage = torch.lerp(counts, self.usage, self.decay)
        sums = torch.zeros_like(self.codewords).index_add(0, indices, vectors)
        chosen = torch.rand(len(vectors), device=vectors.device).argsort()
        chosen = chosen.repeat(-(-self.size // len(vectors)))[: self.size]
        self.codewords.copy_(torch.where(unused[:, None], vectors[chosen], self.moved(counts, sums, usage)))
        self.usage.copy_(torch.where(unused, GRACE * self.revive_below * share, usage))

    @abstractmethod
    def moved(self, counts: Tensor, sums: Tensor, usage: Tensor) -> Tensor:
        """The codewords ``[M, d]`` after a batch.

        Args:
            counts: vectors that chose each codeword, ``[M]``.
            sums: their sums, ``[M, d]``.
            usage: running mean of the counts, this batch included, ``[M]``.
        """

    @abstractmethod
    def pull(self, q: Codeword) -> Tensor:
        """What the loss says to the codewords, ``[B]``, in squared units of the encoder."""


class MovingCodebook(Codebook):
    r"""Codewords that are running means of the vectors that chose them (van den Oord et al. 2017, appendix A.1).

    .. math:: N \leftarrow \gamma N + (1-\gamma) n, \quad
              e \leftarrow e + (1-\gamma) \frac{\sum_{i=1}^n \hat z_i - n e}{N},

    which is the paper's m/N without keeping m. Revival holds N above zero, so no Laplace smoothing, which would draw
    rare codewords to the origin, is needed. No gradient reaches them.
    """

    def __init__(self, codewords: int, dim: int, *, decay: float = 0.99, revive_below: float = 0.05) -> None:
        super().__init__(codewords, dim, decay=decay, revive_below=revive_below)
        self.register_buffer("codewords", torch.randn(codewords, dim))

    def moved(self, counts: Tensor, sums: Tensor, usage: Tensor) -> Tensor:
        # usage is 0 only before the first batch, where all of this is thrown away
        step = (1 - self.decay) / usage.clamp_min(torch.finfo(usage.dtype).tiny)
        return self.codewords + step[:, None] * (sums - counts[:, None] * self.codewords)

    def pull(self, q: Codeword) -> Tensor:
        return torch.zeros_like(q.encoded[..., 0])


class GradientCodebook(Codebook):
    """Codewords that are parameters, drawn to their vectors by the loss (van den Oord et al. 2017, equation 3)."""

    def __init__(self, codewords: int, dim: int, *, decay: float = 0.99, revive_below: float = 0.05) -> None:
        super().__init__(codewords, dim, decay=decay, revive_below=revive_below)
        self.codewords = nn.Parameter(torch.randn(codewords, dim))

    def moved(self, counts: Tensor, sums: Tensor, usage: Tensor) -> Tensor:
        return self.codewords

    def pull(self, q: Codeword) -> Tensor:
        return (q.encoded.detach() - q.code).square().sum(-1)
