"""A model that draws x and cannot infer: the generator of a GAN."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from zatlas.models.drawing import given_or_drawn
from zatlas.networks.adversarial import ImplicitLikelihood
from zatlas.networks.conditional import Decoder, StandardNormal
from zatlas.networks.declaring import game_units
from zatlas.parts import Context, Defaults, ModelSettings, model
from zatlas.types import Generation

GAME: Defaults = {
    "training": {"learning_rate": 2e-4, "beta1": 0.0, "beta2": 0.99, "weight_decay": 0.0, "ema": 0.999}
    | {"schedule": "constant", "warmup": 0.0, "clip_norm": 0.0, "batch_size": 64},
}


class NoiseSettings(ModelSettings):
    """The settings of a generator."""

    latent_dim: int = Field(64, ge=1, le=10**6, description="number of units of the noise")


class Generator(nn.Module):
    """x = G(z, y) with z from p(z|y): p(x|z,y) is a point, so x has draws and no density (Goodfellow et al. 2014).

    Args:
        decoder: ``(z, y) -> p(x|z,y)``, a point over ``[K, B, *data]``.
        prior: ``(y) -> p(z|y)`` over ``[D]`` or ``[B, D]``.
        latent_dim: D.
    """

    def __init__(self, decoder: nn.Module, prior: nn.Module, latent_dim: int) -> None:
        super().__init__()
        self.latent_dims = (latent_dim,)
        self.decoder = decoder
        self.prior = prior

    def generate(self, n: int | None = None, y: Tensor | None = None, *, z: tuple[Tensor, ...] = ()) -> Generation:
        """p(x|z) at n draws from the prior (one for each row of y, if y is given), or at the given z.

        Args:
            n: how many; without y and z one.
            y: labels ``[B, Y]``.
            z: codes ``[B, D]`` or ``[K, B, D]``.

        Deterministic where z is given.
        """
        code = given_or_drawn(z, lambda: self.prior(y), n, y)
        return Generation((code,), self.decoder(code, y))


@model(
    "gan",
    title="Generative adversarial network",
    when="the sharpest samples; it has no encoder and no likelihood",
    source="Goodfellow et al. 2014",
    order=6,
    traits="game steps",
    settings=NoiseSettings,
    network="adversarial",
    objective="relativistic",
    defaults=GAME,
)
def gan(settings: NoiseSettings, context: Context) -> Generator:
    """A network's generator over standard normal noise."""
    return _generator(context, settings.latent_dim)


@model(
    "cgan",
    title="Conditional generative adversarial network",
    when="sharp samples of a class that you name; no encoder and no likelihood",
    source="Mirza & Osindero 2014",
    order=7,
    traits="game steps conditional",
    settings=NoiseSettings,
    network="adversarial",
    objective="relativistic",
    defaults=GAME,
)
def cgan(settings: NoiseSettings, context: Context) -> Generator:
    """A generator that is given y."""
    return _generator(context, settings.latent_dim)


def _generator(context: Context, latent_dim: int) -> Generator:
    net = context.make("network").generator()
    # the course ends in a squashing function. The residual networks do not: with one, MNIST's black borders drew every
    # draw into one picture within 150 steps
    published = bool(context.network.facts.get("as_published"))
    squash = published and context.spec.values != "real"
    shift, scale = (None, None) if squash else game_units(context)
    likelihood = ImplicitLikelihood(len(context.spec.shape), squash=squash, shift=shift, scale=scale)
    mean = None if published else context.stats.mean  # the course's network learns the mean image by itself
    return Generator(Decoder(net, likelihood, mean), StandardNormal(latent_dim), latent_dim)
