"""beta-TCVAE: the rate taken apart by estimates of q(z) from a minibatch."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, cast

import torch
from pydantic import Field
from torch import Tensor

from zatlas.distributions import DiagonalGaussian
from zatlas.objectives.bounds import distortion
from zatlas.objectives.needs import needs_units
from zatlas.objectives.objective import Objective
from zatlas.parts import Context, Settings, objective
from zatlas.types import Batch, Infers, Terms

Estimator = Literal["weighted", "stratified"]


class Decomposition(NamedTuple):
    """rate = mutual information + total correlation + dimension-wise KL, each ``[B]`` (Chen et al. 2018, eq. 2)."""

    mutual_information: Tensor
    total_correlation: Tensor
    dimension_wise_kl: Tensor


def log_importance(batch_size: int, dataset_size: int, estimator: Estimator, device: torch.device) -> Tensor:
    """Log weights W ``[B, B]`` with which q(z_i) is about sum_j exp(W_ij) q(z_i|x_j).

    ``"weighted"``: 1/(N B) everywhere (Chen et al. 2018, equation S4): biased, and off by a constant.
    ``"stratified"``: 1/N on the diagonal, for the x that z came from; 1/M elsewhere with M = B - 1; and (N - M)/(N M)
    for one other x of each row (equation S5). A row sums to one, and the estimate of q(z_i) is unbiased.
    """
    if estimator == "weighted" or batch_size == 1:
        return torch.full((batch_size, batch_size), -math.log(dataset_size * batch_size), device=device)
    n, m = dataset_size, batch_size - 1
    weights = torch.full((batch_size, batch_size), 1 / m, device=device)
    rows = torch.arange(batch_size, device=device)
    weights[rows, (rows + 1) % batch_size] = max(n - m, 0) / (n * m)
    weights[rows, rows] = 1 / n
    return weights.log()


def decompose(
    q: DiagonalGaussian, p: DiagonalGaussian, z: Tensor, dataset_size: int, estimator: Estimator = "stratified"
) -> Decomposition:
    """The three parts of the rate at z ``[B, D]``, one draw of q for each example.

    Args:
        q: posteriors over ``[B, D]``.
        p: prior, factorised over units.
        z: the draws.
        dataset_size: N, the number of training examples.
        estimator: of q(z) and of its marginals.
    """
    log_weights = log_importance(len(z), dataset_size, estimator, z.device)
    others = DiagonalGaussian(q.mean[None], q.log_variance[None])
    log_q_units = others.log_prob_per_unit(z[:, None])  # [B of z, B of x, D]
    log_q = (log_q_units.sum(-1) + log_weights).logsumexp(1)
    log_q_product = (log_q_units + log_weights[..., None]).logsumexp(1).sum(-1)
    log_q_given_x, log_p = q.log_prob(z), p.log_prob(z)
    return Decomposition(log_q_given_x - log_q, log_q - log_q_product, log_q_product - log_p)


class TotalCorrelationSettings(Settings):
    """Those of beta-TCVAE."""

    beta: float = Field(1.0, gt=0, description="weight of the total correlation")
    estimator: Estimator = Field("stratified", description="of q(z) from a batch")


@objective(
    "tcvae",
    when="beta on the total correlation alone: disentangled units that cost less reconstruction than beta-VAE",
    source="Chen et al. 2018, equation 4",
    needs="infers rate one_level",
    order=3,
    settings=TotalCorrelationSettings,
    check=lambda config: needs_units(config, "objective tcvae counts"),
    remedy="lower beta",
    watch=("tc",),
)
class TotalCorrelation(Objective):
    r"""distortion + alpha I(x;z) + beta TC(z) + gamma sum_d KL(q(z_d) || p(z_d)) (Chen et al. 2018, equation 4).

    Args:
        dataset_size: N.
        beta: weight of the total correlation.
        alpha: weight of the mutual information.
        gamma: weight of the dimension-wise KL.
        estimator: ``"stratified"`` or ``"weighted"``.
    """

    couples = True  # q(z) is estimated from the batch
    alpha: Tensor
    beta: Tensor
    gamma: Tensor

    def __init__(
        self,
        dataset_size: int,
        beta: float = 6.0,
        *,
        alpha: float = 1.0,
        gamma: float = 1.0,
        estimator: Estimator = "stratified",
    ) -> None:
        super().__init__()
        self.dataset_size = dataset_size
        self.estimator: Estimator = estimator
        for name, value in (("alpha", alpha), ("beta", beta), ("gamma", gamma)):
            self.register_buffer(name, torch.tensor(float(value)))

    @classmethod
    def of(cls, settings: TotalCorrelationSettings, context: Context) -> TotalCorrelation:
        """For so many training examples as there are."""
        return cls(context.dataset_size, settings.beta, estimator=settings.estimator)

    def forward(self, player: str, model: Infers, batch: Batch, step: Tensor | int) -> Terms:
        inference = model.infer(batch.x, batch.y)
        (level,) = inference.levels
        d = distortion(inference, batch.x).mean(0)
        q, p = cast(DiagonalGaussian, level.q), cast(DiagonalGaussian, level.p)  # needs_units refuses others
        parts = decompose(q, p, level.z[0], self.dataset_size, self.estimator)
        information, correlation, units = parts
        loss = d + self.alpha * information + self.beta * correlation + self.gamma * units
        return Terms(loss, {"distortion": d, "rate": sum(parts, start=torch.zeros_like(d)), "tc": correlation})
