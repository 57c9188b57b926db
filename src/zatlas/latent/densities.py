"""Densities of codes that are fitted and saved by themselves: mixtures of Gaussians and flows, over white codes."""

from __future__ import annotations

import copy
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

from zatlas.arrays import Array
from zatlas.distributions.full import FullGaussian
from zatlas.distributions.gaussian import DiagonalGaussian
from zatlas.latent.probability_flow import Estimate
from zatlas.networks.priors import FlowPrior
from zatlas.training import forked_rng, load_module

FULL_UP_TO = 32  # units: 64 full covariances over 128 units would be half a million numbers


class Density(Protocol):
    """A density of white codes u ``[N, D]``; ``record`` and ``tensors`` are all that it takes to make it again.

    Attributes:
        label_dim: Y, the number of label columns that it can be told.

    Its methods take codes u ``[N, D]``, or a number of draws and a seed, and by further keywords what it can be told.
    """

    record: dict[str, Any]
    label_dim: int

    def tensors(self) -> dict[str, Array]: ...
    @property
    def log_prob(self) -> Callable[..., Array]: ...
    @property
    def log_density(self) -> Callable[..., Estimate]: ...
    @property
    def sample(self) -> Callable[..., Array]: ...
    def to(self, device: torch.device) -> None: ...


class Known(ABC):
    """A density in closed form, which takes nothing beside the number of draws."""

    label_dim = 0

    def log_density(self, u: Array) -> Estimate:
        """log p(u), which is exact."""
        nats = self.log_prob(u)
        return Estimate(nats, np.zeros(len(nats)), np.zeros(len(nats)))

    @abstractmethod
    def log_prob(self, u: Array) -> Array:
        """log p(u) ``[N]`` of ``[N, D]``, in nats."""

    def to(self, device: torch.device) -> None:  # noqa: B027 (nothing is to be done)
        """It is fast enough where it is."""


class Mixture(Known):
    """A mixture of M Gaussians.

    Args:
        weights: ``[M]``.
        means: ``[M, D]``.
        scales: Cholesky factors of the covariances ``[M, D, D]``, or standard deviations ``[M, D]``.
    """

    def __init__(self, weights: Array, means: Array, scales: Array) -> None:
        self.weights, self.means, self.scales = weights, means, scales
        self.full = scales.ndim == 3
        self.record: dict[str, Any] = {"density": "mixture"}

    @classmethod
    def of(cls, record: dict[str, Any], tensors: dict[str, Array]) -> Mixture:
        return cls(tensors["weights"], tensors["means"], tensors["scales"])

    @classmethod
    def fitted(cls, u: Array, components: int, seed: int) -> Mixture:
        """By expectation maximisation, from k-means."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        full = u.shape[1] <= FULL_UP_TO
        kind = "full" if full else "diag"
        found = GaussianMixture(components, covariance_type=kind, random_state=seed % 2**32)
        with warnings.catch_warnings():
            # one that is still climbing after a hundred steps is scored on the codes held out, like any other
            warnings.simplefilter("ignore", ConvergenceWarning)
            found.fit(u)
        return cls(
            found.weights_,
            found.means_,
            np.linalg.cholesky(found.covariances_) if full else np.sqrt(found.covariances_),
        )

    def tensors(self) -> dict[str, Array]:
        return {"weights": self.weights, "means": self.means, "scales": self.scales}

    def log_prob(self, u: Array) -> Array:
        means, scales, value = map(torch.from_numpy, (self.means, self.scales, u))
        parts = (
            FullGaussian(mean, scale) if self.full else DiagonalGaussian(mean, 2 * scale.log())
            for mean, scale in zip(means, scales, strict=True)
        )
        # one component at a time: all together they would want N M D numbers at once
        each = torch.stack([part.log_prob(value) for part in parts])
        return torch.logsumexp(torch.from_numpy(self.weights).log()[:, None] + each, 0).numpy()

    def sample(self, n: int, seed: int) -> Array:
        rng = np.random.default_rng(seed)
        u = rng.standard_normal((n, self.means.shape[1]))
        chosen = rng.choice(len(self.weights), n, p=self.weights / self.weights.sum())
        for m, (mean, scale) in enumerate(zip(self.means, self.scales, strict=True)):
            here = chosen == m
            u[here] = mean + (u[here] @ scale.T if self.full else u[here] * scale)
        return u


class Flowing(Known):
    """A flow of affine couplings (Dinh et al. 2017), in float32."""

    def __init__(self, prior: FlowPrior, record: dict[str, Any]) -> None:
        self.prior = prior.eval()
        self.record = record

    @classmethod
    def of(cls, record: dict[str, Any], tensors: dict[str, Array]) -> Flowing:
        with forked_rng():
            prior = FlowPrior(record["dim"], layers=record["layers"], hidden=record["hidden"])
        load_module(prior, {name: torch.from_numpy(values) for name, values in tensors.items()})
        return cls(prior, record)

    @classmethod
    def fitted(cls, u: Array, held: Array, *, layers: int, hidden: int, steps: int, seed: int) -> Flowing:
        """By gradient ascent on log p(u); the weights kept are those that gave the codes held out the most."""
        record = {"density": "flow", "dim": u.shape[1], "layers": layers, "hidden": hidden}
        value = torch.from_numpy(u).float()
        with forked_rng(seed=seed):
            prior = FlowPrior(u.shape[1], layers=layers, hidden=hidden)
            best = (-math.inf, cls(prior, record))
            optimiser = torch.optim.Adam(prior.parameters(), 2e-3)
            falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
            for step in range(1, steps + 1):
                loss = -prior().log_prob(value[torch.randint(len(value), (512,))]).mean()
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(prior.parameters(), 10.0)
                optimiser.step()
                falling.step()
                if step % 50 == 0 or step == steps:
                    now = cls(copy.deepcopy(prior), record)
                    best = max(best, (float(now.log_prob(held).mean()), now), key=lambda pair: pair[0])
        return best[1]

    def tensors(self) -> dict[str, Array]:
        return {name: tensor.numpy() for name, tensor in self.prior.state_dict().items()}

    @torch.no_grad()
    def log_prob(self, u: Array) -> Array:
        parts = torch.from_numpy(u).float().split(10_000)
        return torch.cat([self.prior().log_prob(part) for part in parts]).double().numpy()

    @torch.no_grad()
    def sample(self, n: int, seed: int) -> Array:
        noise = torch.randn(n, self.record["dim"], generator=torch.Generator().manual_seed(seed))
        return self.prior().from_noise(noise).double().numpy()
