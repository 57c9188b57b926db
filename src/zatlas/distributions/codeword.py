"""A posterior that is a sequence of codewords, and a prior over such sequences: the two sides of the VQ-VAE."""

from __future__ import annotations

from math import prod
from typing import Protocol

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.distributions.kl import register_kl

from zatlas.types import Shape


class Codeword(Distribution):
    r"""All mass at the codewords nearest to what the encoder said (van den Oord et al. 2017, equations 1 and 2).

    .. math:: q(z|x) = \prod_p [z_p = e_{k_p}], \quad k_p = \arg\min_j \lVert \hat z_p - e_j \rVert

    Args:
        encoded: the encoder's outputs, P vectors of d side by side, ``[..., P d]``.
        code: the codeword nearest to each, ``[..., P d]``.
        indices: its number in the codebook, ``[..., P]``.
    """

    has_rsample = True
    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own spelling)

    def __init__(self, encoded: Tensor, code: Tensor, indices: Tensor) -> None:
        self.encoded, self.code, self.indices = encoded, code, indices
        super().__init__(code.shape[:-1], code.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.code

    @property
    def variance(self) -> Tensor:
        return torch.zeros_like(self.code)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        """The code, with the gradient copied straight through to ``encoded`` (van den Oord et al. 2017, section 3.2).

        The codebook gets none of it.
        """
        # the bracket is zero to the last bit; in the usual encoded + (code - encoded) the code would be rounded
        z = self.code.detach() + (self.encoded - self.encoded.detach())
        return z.expand(torch.Size(sample_shape) + z.shape)

    def from_noise(self, noise: Tensor) -> Tensor:
        """The same, in the shape of ``noise`` ``[..., B, P d]``, whose values are ignored."""
        return self.rsample().expand(noise.shape)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        return self.rsample(sample_shape).detach()

    def log_prob(self, value: Tensor) -> Tensor:
        here = (value == self.code).all(-1)
        return torch.where(here, 0.0, -torch.inf)

    def expand(self, batch_shape: Shape, _instance: object = None) -> Codeword:
        shape = torch.Size(batch_shape)
        return Codeword(*(part.expand(shape + part.shape[-1:]) for part in (self.encoded, self.code, self.indices)))


class Codes(Protocol):
    """Between codes ``[..., P d]`` and the numbers ``[..., P]`` of their codewords."""

    dim: int

    def nearest(self, z: Tensor) -> Tensor: ...
    def lookup(self, indices: Tensor) -> Tensor: ...


class Sequences(Protocol):
    """A distribution over sequences of P numbers below M."""

    positions: int

    def log_prob(self, indices: Tensor) -> Tensor: ...
    def sample(self, n: int) -> Tensor: ...


class CodeSequence(Distribution):
    r"""p(z) = p(k_1, ..., k_P) at the codes z = (e_{k_1}, ..., e_{k_P}), where all its mass is.

    Args:
        sequences: p(k).
        codes: the codebook. If two of its codewords are equal, log p(z) is that of one of the sequences that spell z,
            and so is too low, never too high.
        batch_shape: how often it is repeated.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own spelling)

    def __init__(self, sequences: Sequences, codes: Codes, batch_shape: Shape = ()) -> None:
        self.sequences, self.codes = sequences, codes
        super().__init__(torch.Size(batch_shape), torch.Size((sequences.positions * codes.dim,)), validate_args=False)

    def log_prob_indices(self, indices: Tensor) -> Tensor:
        """log p(k) of ``[..., P]``, in nats, ``[...]``."""
        return self.sequences.log_prob(indices)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p of the code nearest to ``value`` ``[..., P d]``."""
        return self.log_prob_indices(self.codes.nearest(value))

    @torch.no_grad()
    def sample(self, sample_shape: Shape = ()) -> Tensor:
        shape = torch.Size(sample_shape) + self.batch_shape
        return self.codes.lookup(self.sequences.sample(prod(shape))).reshape(shape + self.event_shape)

    def expand(self, batch_shape: Shape, _instance: object = None) -> CodeSequence:
        return CodeSequence(self.sequences, self.codes, batch_shape)


@register_kl(Codeword, CodeSequence)  # type: ignore[untyped-decorator]
def _coded(q: Codeword, p: CodeSequence) -> Tensor:
    """-log p(k), exactly: q is one point of a discrete space, and its entropy is zero."""
    return -p.log_prob_indices(q.indices)
