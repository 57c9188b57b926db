"""FactorVAE: a critic tells codes from codes of shuffled units, and the model is penalised by what it finds."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from zatlas.objectives.bounds import distortion, rate
from zatlas.objectives.objective import Objective
from zatlas.parts import Context, Settings, objective
from zatlas.types import Batch, Infers, Terms


def permute_units(z: Tensor) -> Tensor:
    """Each unit of z ``[B, D]`` shuffled over the batch by itself: draws from the product of the marginals.

    Kim & Mnih 2018, algorithm 1.
    """
    order = torch.rand(z.shape, device=z.device).argsort(0)
    return z.gather(0, order)


class FactorSettings(Settings):
    """Those of FactorVAE."""

    gamma: float = Field(35.0, gt=0, description="weight of the total correlation")


@objective(
    "factor",
    when="FactorVAE, total correlation by a critic: as tcvae, where batches are too small to estimate it",
    source="Kim & Mnih 2018, equation 2 and algorithm 2",
    needs="infers rate one_level",
    order=4,
    settings=FactorSettings,
    remedy="lower gamma",
    watch=("tc",),
)
class Factor(Objective):
    r"""distortion + rate + gamma TC, TC estimated by a critic's log odds (Kim & Mnih 2018, equation 2 and algorithm 2).

    Two players. The model sees all of the batch; the critic gets the batch's two halves, codes of the one against
    shuffled codes of the other, all detached from the encoder.

    Args:
        latent_dim: D.
        gamma: weight of the total correlation.
        hidden: width of the critic's layers.
        layers: how many.
    """

    players: ClassVar[Mapping[str, str]] = {"model": "model.", "critic": "objective.critic."}
    couples = True  # the critic's codes are shuffled over the batch
    gamma: Tensor

    def __init__(self, latent_dim: int, gamma: float = 35.0, *, hidden: int = 256, layers: int = 3) -> None:
        super().__init__()
        self.register_buffer("gamma", torch.tensor(float(gamma)))
        sizes = [latent_dim, *[hidden] * layers]
        stack: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            stack += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
        self.critic = nn.Sequential(*stack, nn.Linear(hidden, 1))

    @classmethod
    def of(cls, settings: FactorSettings, context: Context) -> Factor:
        """With a critic of codes of the model's size."""
        return cls(context.latent_dim, settings.gamma)

    def forward(self, player: str, model: Infers, batch: Batch, step: Tensor | int) -> Terms:
        if player == "critic":
            return self._critic(model, batch)
        inference = model.infer(batch.x, batch.y)
        d, r = distortion(inference, batch.x).mean(0), rate(inference)
        # log odds of "codes" against "shuffled codes" is log q(z) / prod q(z_d), whose mean is the TC
        correlation = self.critic(inference.levels[-1].z[0])[:, 0].float()
        return Terms(d + r + self.gamma * correlation, {"distortion": d, "rate": r, "tc": correlation})

    def _critic(self, model: Infers, batch: Batch) -> Terms:
        with torch.no_grad():
            z = model.encode(batch.x, batch.y).rsample()
        half = len(z) // 2
        # the last batch of an epoch may be one example, which has no other half: the critic is asked to be undecided
        first, second = (z[:half], z[half : 2 * half]) if half else (z, z)
        joint, product = first, permute_units(second)
        odds_joint, odds_product = self.critic(joint)[:, 0].float(), self.critic(product)[:, 0].float()
        loss = 0.5 * (F.softplus(-odds_joint) + F.softplus(odds_product))
        hit = 0.5 * ((odds_joint > 0).float() + (odds_product < 0).float())
        return Terms(loss, {"critic_accuracy": hit})
