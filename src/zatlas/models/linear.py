"""Probabilistic PCA and factor analysis: latent-variable models whose posterior and evidence are known."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from zatlas.arrays import Array
from zatlas.distributions.full import FullGaussian
from zatlas.distributions.gaussian import LOG_2PI, DiagonalGaussian
from zatlas.errors import UsageError, ZatlasError
from zatlas.models.drawing import given_or_drawn
from zatlas.parts import Context, Defaults, ModelSettings, model
from zatlas.types import Generation, Inference, Level

NOISE_FLOOR = 1e-4  # share of the data's variance; of digits in 256 greys a standard deviation of 2/3 of a grey


class LinearGaussian(nn.Module):
    r"""x = W z + mean + noise, z ~ N(0, I): its posterior is Gaussian and known, so every bound is tight.

    .. math:: p(x|z) = N(W z + \mu, \Psi), \quad q(z|x) = p(z|x) = N(M^{-1} W^T \Psi^{-1} (x - \mu), M^{-1}),
              \quad M = I + W^T \Psi^{-1} W

    With Psi = sigma^2 I this is probabilistic PCA (Tipping & Bishop 1999), with any diagonal Psi factor analysis
    (Bishop 2006, equations 12.64 to 12.68).

    Parameters are float32, as every model's, so that they are averaged, stacked and saved with the others; what is
    computed from them is float64, where the device has it: in float32 log p(x|z) p(z) / q(z|x) of MNIST digits, over a
    thousand nats, varies by up to 0.001 from draw to draw, where it is a constant.

    Args:
        data_shape: ``(C, H, W)`` or ``(features,)``; P is its size.
        latent_dim: D, less than P.
        shared_noise: one sigma^2 for all values (probabilistic PCA) or one for each (factor analysis).
        mean: the data's mean ``[*data]``, where training starts; None: zero.
        scale: their standard deviations ``[*data]``; half the variance is given to W z and half to the noise at the
            start. No noise variance falls below ``NOISE_FLOOR`` of the variance: of the value's own, and for images
            and shared noise, whose values have one unit, of the mean over values. A value that never changes would
            otherwise have an unbounded density. None: ones.

    Raises:
        UsageError: P is 1, or D is not from 1 to P - 1.
    """

    log_floor: Tensor

    def __init__(
        self,
        data_shape: tuple[int, ...],
        latent_dim: int,
        *,
        shared_noise: bool = True,
        mean: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> None:
        super().__init__()
        size = torch.Size(data_shape).numel()
        if size == 1:
            raise UsageError("a linear model tells signal from noise by many values, and an example has 1 feature(s).")
        if not 1 <= latent_dim < size:
            raise UsageError(
                f"a linear model of examples of {size} values cannot have {latent_dim} latent units: "
                f"give 1 to {size - 1}."
            )
        self.data_shape = tuple(data_shape)
        self.latent_dims: tuple[int, ...] = (latent_dim,)
        self.shared_noise = shared_noise
        variance = (torch.ones(size) if scale is None else scale.flatten().float()).square()
        self.register_buffer("log_floor", self._floor(variance).log())
        self.weight = nn.Parameter((variance / (2 * latent_dim)).sqrt()[:, None] * torch.randn(size, latent_dim))
        self.mean = nn.Parameter(torch.zeros(size) if mean is None else mean.flatten().float().clone())
        noise = (variance.mean() if shared_noise else variance) / 2
        self.log_noise = nn.Parameter(torch.maximum(noise.log(), self.log_floor))

    def _floor(self, variance: Tensor) -> Tensor:
        """The least noise variance that data of this variance ``[P]`` may have, ``[]`` or ``[P]``."""
        mean = variance.mean()
        if self.shared_noise:
            return NOISE_FLOOR * mean
        own = variance.new_zeros(()) if len(self.data_shape) > 1 else variance
        return NOISE_FLOOR * torch.where((own > 0) & (variance > 0), own, mean)

    def _wide(self) -> tuple[Tensor, Tensor, Tensor]:
        """W ``[P, D]``, mean ``[P]`` and log Psi ``[P]`` in the widest floats that the device has."""
        dtype = torch.float32 if self.mean.device.type == "mps" else torch.float64
        log_noise = torch.maximum(self.log_noise, self.log_floor).expand(self.mean.shape)
        return self.weight.to(dtype), self.mean.to(dtype), log_noise.to(dtype)

    @staticmethod
    def _posterior_scale(weight: Tensor, log_noise: Tensor) -> Tensor:
        """S ``[D, D]``, lower triangular, with S S^T = M^-1."""
        eye = torch.eye(weight.shape[-1], dtype=weight.dtype, device=weight.device)
        precision = eye + weight.mT @ ((-log_noise).exp()[:, None] * weight)
        # with the units in reverse order the Cholesky factor of M turns into an upper one, M = U U^T, so S = U^-T:
        # no inverse is formed and none is factored
        upper = torch.linalg.cholesky(precision.flip(-2, -1)).flip(-2, -1)
        return torch.linalg.solve_triangular(upper, eye, upper=True).mT

    def encode(self, x: Tensor, y: Tensor | None = None) -> FullGaussian:
        """The exact posterior p(z|x) over ``[B, D]``; labels are not looked at."""
        weight, mean, log_noise = self._wide()
        scale = self._posterior_scale(weight, log_noise)
        pulled = ((x.flatten(1) - mean) * (-log_noise).exp()) @ weight
        return FullGaussian(pulled @ scale @ scale.mT, scale)

    def decode(self, z: Tensor) -> DiagonalGaussian:
        """p(x|z) over ``[..., *data]`` for z ``[..., D]``."""
        weight, mean, log_noise = self._wide()
        location = z.to(weight.dtype) @ weight.mT + mean
        return DiagonalGaussian(
            location.unflatten(-1, self.data_shape), log_noise.view(self.data_shape), len(self.data_shape)
        )

    def prior(self, y: Tensor | None = None) -> DiagonalGaussian:
        """p(z) = N(0, I) over ``[D]``."""
        zeros = self._wide()[0].new_zeros(self.latent_dims)
        return DiagonalGaussian(zeros, zeros)

    def infer(self, x: Tensor, y: Tensor | None = None, *, samples: int = 1, noise: Tensor | None = None) -> Inference:
        """Posterior, prior and K draws for x ``[B, *data]``, and p(x|z) at each draw.

        Args:
            x: examples ``[B, *data]``, 8-bit values as x/255.
            y: not looked at.
            samples: K.
            noise: standard normal ``[K, B, D]`` to be used in place of a draw.
        """
        q = self.encode(x, y)
        z = q.rsample((samples,)) if noise is None else q.from_noise(noise.to(q.mean.dtype))
        return Inference((Level(q, self.prior(y), z),), self.decode(z))

    def generate(self, n: int | None = None, y: Tensor | None = None, *, z: tuple[Tensor, ...] = ()) -> Generation:
        """p(x|z) at n draws from the prior (as many as y has rows, if n is None), or at the given z.

        Args:
            n: how many; without y and z one.
            y: labels ``[B, Y]``, counted and not looked at.
            z: codes ``[B, D]`` or ``[K, B, D]``.
        """
        code = given_or_drawn(z, lambda: self.prior(y), n, y)
        return Generation((code,), self.decode(code))

    def log_marginal(self, x: Tensor) -> Tensor:
        r"""log p(x) ``[B]`` in nats, exact, with nothing larger than D x D factored.

        .. math:: \log N(x; \mu, W W^T + \Psi) = -\tfrac12 \big(P \log 2\pi + \log|\Psi| + \log|M|
                  + r^T \Psi^{-1} r - |S^T W^T \Psi^{-1} r|^2\big), \quad r = x - \mu, \; S S^T = M^{-1}

        by the Woodbury identity and the determinant lemma.
        """
        weight, mean, log_noise = self._wide()
        scale = self._posterior_scale(weight, log_noise)
        residual = x.flatten(1) - mean
        weighed = residual * (-log_noise).exp()
        squared = (residual * weighed).sum(-1) - (weighed @ weight @ scale).square().sum(-1)
        log_determinant = log_noise.sum() - 2 * scale.diagonal(dim1=-2, dim2=-1).log().sum()
        return -0.5 * (len(mean) * LOG_2PI + log_determinant + squared)

    @torch.no_grad()
    def fit(self, x: Array) -> LinearGaussian:
        """Sets the parameters to the best for x ``[N, *data]``, 8-bit values as x/255, and returns the model.

        Shared noise: in closed form, W = U (Lambda - sigma^2)^(1/2) and sigma^2 the mean of the P - D eigenvalues left
        over (Tipping & Bishop 1999, equations 7 and 8), of the covariance over N - 1. Otherwise by expectation
        maximisation. Both by scikit-learn, in float64. Deterministic.

        Raises:
            UsageError: x has another shape, or no more than D examples.
            ZatlasError: x is not finite, or does not vary.
        """
        if x.shape[1:] != self.data_shape:
            raise UsageError(f"the model is of examples of shape {self.data_shape} and x has {tuple(x.shape[1:])}.")
        (latent_dim,) = self.latent_dims
        if len(x) <= latent_dim:
            raise UsageError(
                f"{len(x)} examples cannot tell {latent_dim} latent units from noise: "
                f"give at least {latent_dim + 1}, or choose fewer units."
            )
        rows = np.asarray(x, np.float64).reshape(len(x), -1)
        mean = rows.mean(0)
        if not np.isfinite(mean).all():
            raise ZatlasError("the data holds NaN or infinity; clean it.")
        varies = rows.max(0) > rows.min(0)  # a variance of constants may come out as 1e-34
        if not varies.any():
            raise ZatlasError(f"all {len(x)} examples are the same: there is nothing to fit.")
        rows = rows - mean
        variance = np.where(varies, rows.var(0, ddof=1), 0.0)
        weight, noise = (_principal if self.shared_noise else _factors)(rows, variance, latent_dim)
        floor = self._floor(torch.from_numpy(variance))
        self.log_floor.copy_(floor.log())
        self.weight.copy_(torch.from_numpy(weight))
        self.mean.copy_(torch.from_numpy(mean))
        self.log_noise.copy_(torch.maximum(torch.as_tensor(noise), floor).log())
        return self


def _principal(rows: Array, variance: Array, latent_dim: int) -> tuple[Array, Array]:
    """W ``[P, D]`` and sigma^2 ``[]`` of centred rows ``[N, P]``."""
    from sklearn.decomposition import PCA

    size = rows.shape[1]
    pca = PCA(latent_dim, svd_solver="covariance_eigh" if size <= 2000 else "auto", random_state=0).fit(rows)
    # scikit-learn's noise_variance_ is a mean over min(N, P) - D eigenvalues with some of its solvers: with fewer
    # examples than values those that are zero are left out, and the noise comes out too large
    noise = (variance.sum() - pca.explained_variance_.sum()) / (size - latent_dim)
    return pca.components_.T * np.sqrt((pca.explained_variance_ - noise).clip(0)), np.asarray(noise.clip(0))


def _factors(rows: Array, variance: Array, latent_dim: int) -> tuple[Array, Array]:
    """W ``[P, D]`` and Psi ``[P]`` of centred rows ``[N, P]``."""
    from sklearn.decomposition import FactorAnalysis

    scale = np.sqrt(np.where(variance > 0, variance, 1.0))  # the guards of scikit-learn's loop are absolute numbers
    rows = rows / scale
    count, size = rows.shape
    if count > 2 * size:
        # the likelihood knows the rows by their mean and covariance alone, so 2P rows that have both stand in for all
        eigenvalues, vectors = np.linalg.eigh(rows.T @ rows / count)
        half = np.sqrt(size * eigenvalues.clip(0))[:, None] * vectors.T
        rows = np.concatenate([half, -half])
    method = "lapack" if size <= 256 else "randomized"
    # until a step gains less than a hundred thousandth of a nat an example
    factors = FactorAnalysis(latent_dim, svd_method=method, tol=1e-5 * len(rows), random_state=0).fit(rows)
    return factors.components_.T * scale[:, None], factors.noise_variance_ * scale**2


__all__ = ["NOISE_FLOOR", "LinearGaussian"]


CLOSED: Defaults = {"training": {"precision": "fp32"}}


@model(
    "ppca",
    title="Probabilistic PCA",
    when="the linear model to compare with: fitted exactly in seconds, with an exact likelihood",
    source="Tipping & Bishop 1999",
    order=8,
    traits="infers closed rate linear",
    settings=ModelSettings,
    network="linear",
    objective="exact",
    defaults=CLOSED,
    gaussian="gaussian-learned",
)
def ppca(settings: ModelSettings, context: Context) -> LinearGaussian:
    """One noise variance for all values."""
    return _linear(settings, context, shared=True)


@model(
    "fa",
    title="Factor analysis",
    when="probabilistic PCA where every value has a noise of its own: for measurements of different quality",
    source="Bishop 2006, equations 12.64 to 12.68",
    order=9,
    traits="infers closed rate linear",
    settings=ModelSettings,
    network="linear",
    objective="exact",
    defaults=CLOSED,
    gaussian="gaussian-per-pixel",
)
def factor_analysis(settings: ModelSettings, context: Context) -> LinearGaussian:
    """A noise variance for each value."""
    return _linear(settings, context, shared=False)


def _linear(settings: ModelSettings, context: Context, *, shared: bool) -> LinearGaussian:
    start = {"mean": context.stats.mean, "scale": context.stats.std}
    return LinearGaussian(context.spec.shape, settings.latent_dim, shared_noise=shared, **start)
