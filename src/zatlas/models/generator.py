"""A model that draws x and cannot infer: the generator of a GAN."""

from __future__ import annotations

from torch import Tensor, nn

from zatlas.models.drawing import given_or_drawn
from zatlas.types import Generation


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
