"""The importance-weighted autoencoder, with the plain and the doubly reparameterised gradient."""

from __future__ import annotations

import math
from typing import Any

from pydantic import Field
from torch import Tensor

from zatlas.distributions import stopped
from zatlas.objectives.bounds import log_weights
from zatlas.objectives.needs import needs_fixed_posterior
from zatlas.objectives.objective import Objective
from zatlas.parts import Settings, objective
from zatlas.types import Batch, Inference, Infers, Level, Terms


class ImportanceSettings(Settings):
    """Those of the importance-weighted bound."""

    samples: int = Field(5, ge=1, le=10**6, description="draws of z for each example")
    groups: int = Field(1, ge=1, le=10**6, description="mean of so many bounds of that many samples each (MIWAE)")
    doubly_reparameterised: bool = Field(False, description="the encoder's gradient of Tucker et al. 2019")


def check_importance(config: Any) -> None:
    """What the doubly reparameterised gradient asks of the other parts."""
    if config.objective.doubly_reparameterised:
        needs_fixed_posterior(config)


@objective(
    "iwae",
    when="importance-weighted bound of several samples: a tighter bound, a better likelihood, a worse encoder",
    source="Burda et al. 2016, equation 8",
    needs="infers rate continuous",
    order=2,
    settings=ImportanceSettings,
    check=check_importance,
)
class Importance(Objective):
    r"""-log 1/K sum_k p(x,z_k)/q(z_k|x) (Burda et al. 2016, equation 8), tighter than the ELBO for K > 1.

    Args:
        samples: K.
        groups: the mean of so many bounds of K samples each, whose gradient is less noisy (MIWAE, Rainforth et al.
            2018, equation 7).
        doubly_reparameterised: the encoder's gradient sum_k w_k^2 d log w_k/dz_k dz_k/dphi (Tucker et al. 2019,
            equation 8), whose signal-to-noise ratio does not fall as K grows; the decoder's gradient is the plain one.
    """

    def __init__(self, samples: int = 5, *, groups: int = 1, doubly_reparameterised: bool = False) -> None:
        super().__init__()
        self.samples, self.groups = samples, groups
        self.doubly_reparameterised = doubly_reparameterised

    def forward(self, player: str, model: Infers, batch: Batch, step: Tensor | int) -> Terms:
        inference = model.infer(batch.x, batch.y, samples=self.groups * self.samples)
        log_w = log_weights(inference, batch.x)
        bound = self._grouped(log_w).logsumexp(1).mean(0) - math.log(self.samples)
        distortion = -inference.px.log_prob(batch.x).mean(0)
        parts = {"distortion": distortion, "rate": -log_w.mean(0) - distortion}
        if not self.doubly_reparameterised:
            return Terms(-bound, parts)
        weights = self._grouped(log_w).softmax(1).flatten(0, 1).detach()
        again = self._along_z(model, batch, inference, weights)
        surrogate = -(weights * again).sum(0) / self.groups
        # the surrogate has the right gradient and no meaning of its own: the value shown is the bound
        return Terms(surrogate - surrogate.detach() - bound.detach(), parts)

    def _grouped(self, values: Tensor) -> Tensor:
        """``[groups, K, B]`` of ``[groups K, B]``."""
        return values.unflatten(0, (self.groups, self.samples))

    def _along_z(self, model: Infers, batch: Batch, inference: Inference, weights: Tensor) -> Tensor:
        """log w ``[K, B]`` in which z carries w times its gradient and q's parameters carry none."""
        (level,) = inference.levels
        fixed = level.z.detach()
        z = fixed + weights[..., None] * (level.z - fixed)
        px = model.generate(y=batch.y, z=(z,)).px
        once_more = Inference((Level(stopped(level.q), level.p, z),), px)
        return log_weights(once_more, batch.x)
