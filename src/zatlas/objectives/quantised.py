"""The VQ-VAE's loss, and the likelihood of its codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, cast

import torch
from pydantic import Field
from torch import Tensor

from zatlas.distributions import Codeword
from zatlas.networks import CausalTransformer, Codebook
from zatlas.objectives.bounds import distortion, rate
from zatlas.objectives.objective import Objective
from zatlas.parts import Settings, objective
from zatlas.types import Batch, Infers, Terms


class Quantises(Infers, Protocol):
    """A model whose codes are words of a codebook, with a prior over their numbers."""

    codebook: Codebook
    prior: CausalTransformer


def perplexity(counts: Tensor) -> Tensor:
    """exp of the entropy of counts ``[M]``: how many codewords are in use, M where all are equally."""
    return torch.special.entr(counts / counts.sum()).sum().exp()


class QuantisationSettings(Settings):
    """Those of the VQ-VAE's loss."""

    commitment: float = Field(0.25, gt=0, description="weight of the codes' distance from their codewords")


@objective(
    "vq",
    when="distortion + commitment to the codebook, and a prior learned over the codes beside it",
    source="van den Oord et al. 2017, equation 3",
    needs="codebook",
    order=8,
    settings=QuantisationSettings,
    watch=("perplexity",),
)
class VectorQuantisation(Objective):
    r"""distortion + c |z_e - sg(e)|^2 (+ |sg(z_e) - e|^2) (van den Oord et al. 2017, equation 3).

    Two players: the model, and the prior, which learns the codes as they are now. The last term is there where the
    codebook learns by gradient. The commitment c |z_e - e|^2 is -log N(z_e; e, 1/(2c)) up to a constant, so c is in
    nats per squared unit of the encoder: it says how finely, sqrt(1/(2c)) units, vectors are told apart. Encoder and
    decoder can choose another unit, so it matters little; the papers' 0.25 beside a mean squared error, in which
    pixels are *averaged* and divided by a variance, is another number.

    Args:
        commitment: c.
    """

    players: ClassVar[Mapping[str, str]] = {"model": "model.", "prior": "model.prior."}
    couples = True  # codewords follow the batch, and are replaced by vectors of it
    commitment: Tensor

    def __init__(self, commitment: float = 0.25) -> None:
        super().__init__()
        self.register_buffer("commitment", torch.tensor(float(commitment)))

    def forward(self, player: str, model: Infers, batch: Batch, step: Tensor | int) -> Terms:
        model = cast(Quantises, model)
        if player == "prior":
            with torch.no_grad():
                q = cast(Codeword, model.encode(batch.x))
            r = -model.prior.log_prob(q.indices)
            return Terms(r, {"rate": r})
        inference = model.infer(batch.x)
        q = cast(Codeword, inference.levels[0].q)
        d = distortion(inference, batch.x).mean(0)
        committed = (q.encoded - q.code.detach()).square().sum(-1)
        loss = d + self.commitment * committed + model.codebook.pull(q)
        used = perplexity(model.codebook.counts(q.indices)).expand_as(d)
        parts = {"distortion": d, "commitment": committed, "perplexity": used}
        if self.training:
            model.codebook.follow(q)
            return Terms(loss, parts)  # the prior's own turn tells the rate: it would cost as much again here
        with torch.no_grad():
            return Terms(loss, {**parts, "rate": rate(inference)})
