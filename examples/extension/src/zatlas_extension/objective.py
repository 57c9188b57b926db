"""An objective: the rate is charged only where it exceeds a floor."""

from pydantic import Field

from zatlas.objectives import Objective, distortion, rate
from zatlas.parts import Settings, objective
from zatlas.types import Terms


class FlooredSettings(Settings):
    """What a person may set: ``[objective] floor_nats = 2``."""

    floor_nats: float = Field(1.0, ge=0, description="nats of the whole code that are not charged")
    weight: float = Field(1.0, gt=0, description="of the rate beyond them")


@objective(
    "floored",
    when="codes that may hold a few nats for nothing: against posterior collapse",
    source="Kingma et al. 2016, section 7, over the whole code",
    needs="infers continuous rate",
    settings=FlooredSettings,
)
class Floored(Objective):
    """distortion + weight max(0, rate - floor), nats per example."""

    def __init__(self, floor_nats: float = 1.0, weight: float = 1.0) -> None:
        super().__init__()
        self.floor_nats, self.weight = floor_nats, weight

    def forward(self, player, model, batch, step):
        inference = model.infer(batch.x, batch.y)
        d, r = distortion(inference, batch.x).mean(0), rate(inference)
        charged = (r.mean() - self.floor_nats).clamp_min(0)
        return Terms(d + self.weight * charged, {"distortion": d, "rate": r})
