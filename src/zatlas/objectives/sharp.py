"""Reconstructions that look right: no likelihood, but four terms that each see what the others do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from zatlas.errors import UsageError
from zatlas.networks.features import FeatureStack, PatchCritic
from zatlas.objectives.bounds import rate
from zatlas.objectives.objective import Objective
from zatlas.parts import Context, Settings, objective
from zatlas.types import Batch, Infers, Terms


class SharpSettings(Settings):
    """The weight of each term, and where features come from."""

    absolute: float = Field(1.0, ge=0, description="weight of the mean absolute error of a value")
    perceptual: float = Field(0.2, ge=0, description="weight of the distance in features; 0: none are needed")
    adversarial: float = Field(0.01, ge=0, description="weight of what the patch critic says; 0: no critic, no player")
    rate: float = Field(1e-6, ge=0, description="weight of the rate in nats")
    critic_from: int = Field(500, ge=0, le=10**15, description="step from which the model listens to the critic")
    critic_width: int = Field(32, ge=1, le=4096, description="channels of the critic's first convolution")
    features: str = Field(
        "", description="file of `zatlas classifier --out`, or of a VGG's weights; empty: a classifier of these data"
    )
    features_name: str = Field("", description="what the features are, with a hash of their weights; zatlas writes it")
    features_layout: tuple[str, ...] = Field((), description="their convolutions; zatlas writes it")


def check_sharp(config: Any) -> None:
    """Some term must see the image."""
    o = config.objective
    if not o.absolute + o.perceptual:
        raise ValueError("objective.absolute and objective.perceptual are both 0, and nothing sees the image: set one")


@objective(
    "sharp",
    when="photographs that keep their edges: absolute error, a distance in features, a critic of patches and a small "
    "rate; no likelihood and no bound on one",
    source="Esser et al. 2021, section 3.1; Rombach et al. 2022, section 3.1",
    needs="infers continuous steps",
    order=9,
    settings=SharpSettings,
    no_likelihood=True,
    features=True,
    check=check_sharp,
    remedy="lower objective.rate",
    watch=("absolute", "perceptual", "patches"),
)
class Sharp(Objective):
    r"""a |x - m| + p d(x, m) - c D(m) + r rate, m the mean of p(x|z) at a draw of z.

    The absolute error is the mean over the values of an image, d the distance of :class:`FeatureStack`, D the mean over
    patches of what the critic says, and the rate is in nats. The critic minimises the hinge loss (Lim & Ye 2017). No
    weight is balanced by gradients, as Esser et al. 2021 (equation 7) have it: it would want a second pass backwards.

    Args:
        shape: ``(C, H, W)``.
        absolute, perceptual, adversarial, rate: the weights.
        critic_from: step from which the model listens; the critic begins at half of it.
        critic_width: channels of its first convolution.
        layout: of the features; empty where ``perceptual`` is 0.
    """

    players: ClassVar[Mapping[str, str]] = {"model": "model.", "critic": "objective.critic."}
    unit: ClassVar[str] = ""
    weights: Tensor
    critic_from: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        *,
        absolute: float = 1.0,
        perceptual: float = 0.2,
        adversarial: float = 0.01,
        rate: float = 1e-6,
        critic_from: int = 500,
        critic_width: int = 32,
        layout: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor([absolute, perceptual, adversarial, rate]))
        self.register_buffer("critic_from", torch.tensor(critic_from))
        self.starts = critic_from // 2
        self.features = FeatureStack(layout) if perceptual else None
        self.critic = PatchCritic(shape, critic_width) if adversarial else None
        if self.critic is None:
            self.players = {"model": "model."}  # type: ignore[misc]

    @classmethod
    def of(cls, settings: SharpSettings, context: Context) -> Sharp:
        """For images of these data, with the features that were found for them.

        Raises:
            UsageError: the data are no images.
        """
        if not context.spec.is_image:
            raise UsageError(f"objective.kind = 'sharp' is about images, not {context.spec.shape[0]} columns.")
        weights = {key: getattr(settings, key) for key in ("absolute", "perceptual", "adversarial", "rate")}
        critic = {"critic_from": settings.critic_from, "critic_width": settings.critic_width}
        made = cls(context.spec.shape, **weights, **critic, layout=settings.features_layout)
        if made.features is not None and (tensors := context.given.get("features")):
            made.features.load_state_dict(tensors)
        return made

    def plays(self, player: str, step: int) -> bool:
        return player == "model" or step >= self.starts

    def forward(self, player: str, model: Infers, batch: Batch, step: Tensor | int) -> Terms:
        if player == "critic":
            return self._critic(model, batch)
        absolute, perceptual, adversarial, weight = self.weights
        inference = model.infer(batch.x, batch.y)
        x, shown = batch.x.float(), inference.px.mean[0].float()
        parts = {"absolute": (x - shown).abs().flatten(1).mean(1)}
        loss = absolute * parts["absolute"]
        if self.features is not None:
            parts["perceptual"] = self.features.distance(x, shown)
            loss = loss + perceptual * parts["perceptual"]
        if self.critic is not None:
            parts["patches"] = self.critic(shown).float().flatten(1).mean(1)
            listens = (torch.as_tensor(step, device=x.device) >= self.critic_from).float()
            loss = loss - adversarial * listens * parts["patches"]
        parts["rate"] = rate(inference)
        return Terms(loss + weight * parts["rate"], parts)

    def _critic(self, model: Infers, batch: Batch) -> Terms:
        assert self.critic is not None
        with torch.no_grad():
            shown = model.infer(batch.x, batch.y).px.mean[0].float()
        real, made = (self.critic(x).float().flatten(1) for x in (batch.x.float(), shown))
        loss = 0.5 * ((1 - real).relu().mean(1) + (1 + made).relu().mean(1))
        hit = 0.5 * ((real > 0).float().mean(1) + (made < 0).float().mean(1))
        return Terms(loss, {"critic_accuracy": hit})
