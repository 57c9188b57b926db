"""The constrained view: ask for a reconstruction quality, or for a rate, and let the multiplier be learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from zatlas.objectives.bounds import distortion, rate
from zatlas.objectives.needs import RATE, Rate, needs_closed_rate
from zatlas.objectives.objective import Objective
from zatlas.parts import Context, Settings, objective
from zatlas.types import Batch, Infers, Terms


class ConstrainedSettings(Settings):
    """Those of GECO."""

    target_nats: float | None = Field(None, gt=0, description="what the constrained part may be at most")
    constrain: Literal["distortion", "rate"] = Field("distortion", description="which part")
    rate: Rate = RATE

    @model_validator(mode="after")
    def _asked(self) -> ConstrainedSettings:
        if self.target_nats is None:
            raise ValueError("objective.kind = 'constrained' wants objective.target_nats, the distortion to reach")
        return self


@objective(
    "constrained",
    when="lowest rate at a distortion that you name (GECO): ask for a quality instead of guessing beta",
    source="Rezende & Viola 2018",
    needs="infers rate one_level",
    order=7,
    settings=ConstrainedSettings,
    closed_rate=True,
    check=lambda config: needs_closed_rate(config, "constrained"),
    remedy="ask for a lower distortion by target_nats",
    watch=("multiplier",),
)
class Constrained(Objective):
    r"""min rate subject to distortion <= target (GECO, Rezende & Viola 2018), or the other way round.

    The Lagrangian  R + lambda (D - target)  has two players: the model descends it, the multiplier ascends it. The
    multiplier is kept positive as exp of its parameter. Divided by 1 + lambda the model's loss keeps the scale of a
    loss whatever lambda is; lambda = 1 is the ELBO, and beta = 1/lambda is the beta-VAE that meets the target.

    Args:
        target_nats: of the constrained part, nats per example.
        constrain: which part must be at most the target, ``"distortion"`` or ``"rate"``.
    """

    players: ClassVar[Mapping[str, str]] = {"model": "model.", "multiplier": "objective.log_multiplier"}
    target_nats: Tensor

    def __init__(self, target_nats: float, *, constrain: Literal["distortion", "rate"] = "distortion") -> None:
        super().__init__()
        self.register_buffer("target_nats", torch.tensor(float(target_nats)))
        self.log_multiplier = nn.Parameter(torch.zeros(()))
        self.constrain = constrain

    @classmethod
    def of(cls, settings: ConstrainedSettings, context: Context) -> Constrained:
        """For the target that is asked for."""
        assert settings.target_nats is not None  # its own check saw to it
        return cls(settings.target_nats, constrain=settings.constrain)

    def forward(self, player: str, model: Infers, batch: Batch, step: Tensor | int) -> Terms:
        if player == "multiplier":
            with torch.no_grad():
                d, r = self._parts(model, batch)
            held = d if self.constrain == "distortion" else r
            # relative to the target, so that the multiplier's pace does not depend on the number of pixels
            excess = (held.mean() - self.target_nats) / self.target_nats.clamp_min(1.0)
            return Terms(-self.log_multiplier.exp() * excess.expand(len(batch.x)), {})
        d, r = self._parts(model, batch)
        multiplier = self.log_multiplier.detach().exp()
        held, free = (d, r) if self.constrain == "distortion" else (r, d)
        loss = (free + multiplier * (held - self.target_nats)) / (1 + multiplier)
        return Terms(loss, {"distortion": d, "rate": r, "multiplier": multiplier.expand_as(d)})

    def _parts(self, model: Infers, batch: Batch) -> tuple[Tensor, Tensor]:
        inference = model.infer(batch.x, batch.y)
        return distortion(inference, batch.x).mean(0), rate(inference)
