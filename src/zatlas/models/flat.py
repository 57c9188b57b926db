"""One layer of latent variables. AE, VAE and CVAE differ by their parts only."""

from __future__ import annotations

from torch import Tensor, nn
from torch.distributions import Distribution

from zatlas.models.drawing import given_or_drawn
from zatlas.types import Generation, Inference, Level


class LatentVariableModel(nn.Module):
    """p(x|z,y) p(z|y) with the approximate posterior q(z|x,y) (Kingma & Welling 2014; Sohn et al. 2015).

    Args:
        encoder: ``(x, y) -> q(z|x,y)`` over ``[B, D]``.
        decoder: ``(z, y) -> p(x|z,y)`` over ``[K, B, *data]``.
        prior: ``(y) -> p(z|y)`` over ``[D]`` or ``[B, D]``.
        latent_dim: D.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, latent_dim: int) -> None:
        super().__init__()
        self.latent_dims = (latent_dim,)
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
