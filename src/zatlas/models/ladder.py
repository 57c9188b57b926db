"""Several layers of latent variables, each one conditioned on those above it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn

from zatlas.distributions import DiagonalGaussian
from zatlas.models.drawing import how_many
from zatlas.models.flat import standardise
from zatlas.networks.conditional import Decoder
from zatlas.networks.ladder import Rung
from zatlas.parts import Context, ModelSettings, model
from zatlas.types import Generation, Inference, Level


class LadderSettings(ModelSettings):
    """The settings of a hierarchical VAE."""

    latent_dim: int = Field(2, ge=1, le=10**6, description="units (mlp) or channels (resnet) of each level")
    levels: int = Field(3, ge=1, le=100, description="layers of z")


@model(
    "ladder",
    title="Hierarchical (ladder) variational autoencoder",
    when="many levels of detail, from the whole down to the stroke: for larger images and long training",
    source="Sønderby et al. 2016",
    order=4,
    traits="infers continuous rate steps",
    settings=LadderSettings,
    network="ladder",
    objective="elbo",
    sections=("likelihood",),
)
class Ladder(nn.Module):
    r"""A hierarchical VAE whose posterior shares the top-down pass of its prior (Sønderby et al. 2016).

    .. math:: p(x, z) = p(x|z_1, \dots, z_L) \prod_l p(z_l|z_{<l}), \qquad q(z|x) = \prod_l q(z_l|z_{<l}, x)

    A deterministic pass climbs from x to the features of every level. One pass descends from a learned constant: it
    draws z_l from q where there is an x, from p where there is none, and takes z_l into its state (the ResNet VAE of
    Kingma et al. 2016, section 3.4). z_1 is the top, N(0, I); the codes of all levels side by side are the code of an
    example. y is ignored.

    Args:
        rungs: the levels, top first.
        decoder: ``(state, y) -> p(x|z)``, over the state below the lowest level.
        standardise: applied to x first.
    """

    rungs: Sequence[Rung]

    def __init__(self, rungs: Sequence[Rung], decoder: nn.Module, standardise: nn.Module | None = None) -> None:
        super().__init__()
        self.latent_dims = tuple(rung.latent_dim for rung in rungs)
        self.code_shapes = tuple(rung.z_shape for rung in rungs)
        self.rungs = nn.ModuleList(rungs)  # type: ignore[assignment]
        self.decoder = decoder
        self.standardise = standardise or nn.Identity()
        # flat as every bias is, so that no weight decay takes it
        self.start = nn.Parameter(torch.zeros(rungs[0].state).flatten())

    @classmethod
    def of(cls, settings: LadderSettings, context: Context) -> Ladder:
        """With the rungs of the network."""
        spec, stats = context.spec, context.stats
        likelihood = context.make("likelihood")
        out_shape = (likelihood.per_value * spec.shape[0], *spec.shape[1:])
        rungs, readout = context.make("network", out_shape=out_shape)
        return cls(rungs, Decoder(readout, likelihood, stats.mean), standardise(spec, stats))

    def infer(self, x: Tensor, y: Tensor | None = None, *, samples: int = 1, noise: Tensor | None = None) -> Inference:
        """Posteriors, priors and K = ``samples`` draws of every level for x ``[B, *data]``, and p(x|z) at each draw.

        Level l has z ``[K, B, D_l]``; q and p of the top are over ``[B, D_1]`` and ``[D_1]``, and those of every other
        level over ``[K, B, D_l]``, for they depend on the draws above. With ``noise`` ``[K, B, sum(latent_dims)]`` the
        draws are made from it, and nothing is random.
        """
        if noise is None:
            noise = torch.randn(samples, len(x), sum(self.latent_dims), device=x.device)
        levels, h = self._descend(x, noise.split(self.latent_dims, -1))
        return Inference(levels, self.decoder(h))

    def encode(self, x: Tensor, y: Tensor | None = None) -> DiagonalGaussian:
        """q(z_l|z_<l, x) of all levels side by side over ``[B, sum(latent_dims)]``, z_<l being the posterior means."""
        levels, _ = self._descend(x, [torch.zeros((), device=x.device)] * len(self.rungs))
        means, log_variances = zip(*((level.q.mean, level.q.variance.log()) for level in levels), strict=True)
        return DiagonalGaussian(torch.cat(means, -1), torch.cat(log_variances, -1))

    def generate(self, n: int | None = None, y: Tensor | None = None, *, z: tuple[Tensor, ...] = ()) -> Generation:
        """p(x|z) at n draws from the prior, or at the given levels with those below them drawn.

        Args:
            n: how many; without y and z one.
            y: labels ``[B, Y]``; only their number counts.
            z: codes of the topmost levels, ``[B, D_l]`` or ``[K, B, D_l]`` each.

        Deterministic where all levels are given.
        """
        count = how_many(n, y)
        h = self.start.view(self.rungs[0].state)
        codes: list[Tensor] = []
        for level, rung in enumerate(self.rungs):
            if level < len(z):
                code = z[level] if z[level].dim() == 3 else z[level][None]
            else:
                p = rung.prior(h)
                code = p.sample() if p.batch_shape else p.sample((1, count))
            codes.append(code)
            h = rung.descend(h, code)
        return Generation(tuple(codes), self.decoder(h))

    def _descend(self, x: Tensor, noise: Sequence[Tensor]) -> tuple[tuple[Level, ...], Tensor]:
        """Every level's q, p and draw for x, and the last state."""
        features, d = [], self.standardise(x)
        for rung in reversed(self.rungs):
            d = rung.up(d)
            features.append(d)
        h = self.start.view(self.rungs[0].state)
        levels = []
        for rung, d, e in zip(self.rungs, reversed(features), noise, strict=True):
            p = rung.prior(h)
            q = rung.posterior(h, d, p)
            levels.append(Level(q, p, q.from_noise(e)))
            h = rung.descend(h, levels[-1].z)
        return tuple(levels), h
