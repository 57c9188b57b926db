"""The likelihood itself, where a model knows it."""

from __future__ import annotations

from torch import Tensor

from zatlas.objectives.bounds import distortion, rate
from zatlas.objectives.objective import Objective
from zatlas.parts import objective
from zatlas.types import Batch, Infers, Terms, in_closed_form


@objective("exact", when="the likelihood itself, maximised in closed form or by EM", needs="closed", order=12)
class Exact(Objective):
    """-log p(x), of a model whose ``log_marginal`` is exact; distortion and rate are those of its exact posterior."""

    def forward(self, player: str, model: Infers, batch: Batch, step: Tensor | int) -> Terms:
        inference = model.infer(batch.x, batch.y)
        parts = {"distortion": distortion(inference, batch.x).mean(0), "rate": rate(inference)}
        return Terms(-in_closed_form(model).log_marginal(batch.x), parts)
