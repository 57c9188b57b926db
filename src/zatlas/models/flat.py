"""One layer of latent variables. AE, VAE and CVAE differ by their parts only."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from zatlas.models.drawing import given_or_drawn
from zatlas.networks.conditional import Decoder, FlatPrior, PointEncoder, Standardise
from zatlas.networks.starting import as_published
from zatlas.parts import SORTS, Context, ModelSettings, model
from zatlas.types import DataSpec, Generation, Inference, Level, Statistics


class LatentVariableModel(nn.Module):
    """p(x|z,y) p(z|y) with the approximate posterior q(z|x,y) (Kingma & Welling 2014; Sohn et al. 2015).

    Args:
        encoder: ``(x, y) -> q(z|x,y)`` over ``[B, D]``.
        decoder: ``(z, y) -> p(x|z,y)`` over ``[K, B, *data]``.
        prior: ``(y) -> p(z|y)`` over ``[D]`` or ``[B, D]``.
        latent_dim: D.
        code_shape: ``(C, h, w)`` of a code that is a map, of C h w = D units; None: it is a row of D.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: nn.Module,
        latent_dim: int,
        code_shape: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.latent_dims: tuple[int, ...] = (latent_dim,)
        self.code_shapes: tuple[tuple[int, ...], ...] = (code_shape or (latent_dim,),)
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior

    def encode(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        """q(z|x,y) over ``[B, D]``."""
        return self.encoder(x, y)

    def infer(self, x: Tensor, y: Tensor | None = None, *, samples: int = 1, noise: Tensor | None = None) -> Inference:
        """Posterior, prior and K = ``samples`` draws for x ``[B, *data]``, and p(x|z) at each draw.

        With ``noise`` ``[K, B, D]`` the draws are made from it, and nothing is random.
        """
        q = self.encoder(x, y)
        z = q.rsample((samples,)) if noise is None else q.from_noise(noise)
        return Inference((Level(q, self.prior(y), z),), self.decoder(z, y))

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


def standardise(spec: DataSpec, stats: Statistics) -> Standardise:
    """What an encoder does to x first."""
    # a column that hardly varies must not be magnified, so an image has one scale and a vector one a feature
    scale = torch.ones(()) if spec.values != "real" else torch.where(stats.std > 1e-6, stats.std, torch.ones(()))
    return Standardise(stats.mean, scale)


@model(
    "ae",
    title="Autoencoder",
    when="the best reconstructions of a given latent size, and codes for other programs; it samples once a prior is "
    "fitted to its codes",
    order=3,
    traits="infers continuous one_level point steps",
    settings=ModelSettings,
    network="autoencoder",
    objective="elbo",
    sections=("likelihood",),
)
def autoencoder(settings: ModelSettings, context: Context) -> LatentVariableModel:
    """A point for a posterior, and density one everywhere for a prior."""
    return _flat(context, settings.latent_dim)


@model(
    "vae",
    title="Variational autoencoder",
    when="the first choice: codes with a distribution, new samples, a bound on the likelihood, a space to walk",
    source="Kingma & Welling 2014",
    order=1,
    traits="infers continuous one_level rate steps",
    settings=ModelSettings,
    network="autoencoder",
    objective="elbo",
    sections=("likelihood", "prior", "posterior"),
)
def vae(settings: ModelSettings, context: Context) -> LatentVariableModel:
    """Posterior and prior as the configuration has them."""
    return _flat(context, settings.latent_dim)


@model(
    "cvae",
    title="Conditional variational autoencoder",
    when="where labels are known and should be chosen freely: z then holds style alone",
    source="Sohn et al. 2015",
    order=2,
    traits="infers continuous one_level rate steps conditional",
    settings=ModelSettings,
    network="autoencoder",
    objective="elbo",
    sections=("likelihood", "prior", "posterior"),
)
def cvae(settings: ModelSettings, context: Context) -> LatentVariableModel:
    """A VAE whose three conditionals are given y."""
    return _flat(context, settings.latent_dim)


def _flat(context: Context, latent_dim: int) -> LatentVariableModel:
    spec, stats, config = context.spec, context.stats, context.config
    likelihood = context.make("likelihood")
    out_shape = (likelihood.per_value * spec.shape[0], *spec.shape[1:])
    posterior = None if context.model.point else SORTS["posterior"].get(config.posterior.kind)
    outputs = latent_dim if posterior is None else posterior.facts["outputs"](context)
    encoder_net, decoder_net = context.make("network", outputs=outputs, out_shape=out_shape)
    published = as_published(context)
    first = None if published else standardise(spec, stats)
    if posterior is None:
        encoder: nn.Module = PointEncoder(encoder_net, first)
    else:
        encoder = posterior.make(config.posterior, context, encoder_net, first)
    decoder = Decoder(decoder_net, likelihood, None if published else stats.mean)
    prior = FlatPrior(latent_dim) if posterior is None else replace(context, encoder=encoder).make("prior")
    return LatentVariableModel(encoder, decoder, prior, latent_dim, context.code_shape)
