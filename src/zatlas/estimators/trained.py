"""A trained model with the layout of its X and the labels of its y: everything that follows a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from zatlas.arrays import Array
from zatlas.config import Config
from zatlas.errors import UsageError
from zatlas.estimators.bounds import bound, class_posterior, content_bits, content_noise, marginal_bound
from zatlas.estimators.labelling import Labelling
from zatlas.estimators.layout import Layout
from zatlas.latent import Codes, ExPostPrior, decode, draw_codes, encode
from zatlas.recipes import likelihood_name
from zatlas.training import autocast
from zatlas.types import Batch, Generates, Infers, inferring

CHUNK = 500  # rows that are in the networks at once


@dataclass(frozen=True)
class Trained:
    """Letters: x ``[N, *data]`` float32 as the model sees it, y ``[N, Y]`` label columns or None, z ``[N, D]``.

    Where a conditional model is given no y, classes are summed over.
    """

    model: Generates
    config: Config
    layout: Layout
    labelling: Labelling | None
    prior: ExPostPrior | None = None
    prior_labelling: Labelling | None = None  # of a prior that knows labels which the model does not

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def _inferring(self) -> Infers:
        return inferring(self.model)

    @property
    def seed(self) -> int:
        return self.config.training.seed

    @property
    def precision(self) -> Literal["fp32", "bf16"]:
        return "bf16" if self.config.training.precision == "bf16" else "fp32"

    def on_cpu(self) -> Self:
        if self.device.type == "cpu":
            return self
        from copy import deepcopy

        prior = deepcopy(self.prior).to(torch.device("cpu")) if self.prior else None
        return replace(self, model=deepcopy(self.model).cpu(), prior=prior)

    def codes(self, x: Array, y: Array | None) -> Array:
        """Posterior means ``[N, D]``."""
        if self.labelling is None or y is not None:
            shown = self._batches(x, y)
            return encode(self._inferring, shown, device=self.device, precision=self.precision).mean
        return self._over_classes(x, self.codes)

    def posteriors(self, x: Array, y: Array | None) -> Codes:
        """Posterior means and deviations; classes that are not given are not summed over but refused."""
        self.need_condition(y)
        return encode(self._inferring, self._batches(x, y), device=self.device, precision=self.precision)

    def need_condition(self, y: Array | None) -> None:
        """Raises:
        UsageError: the model is conditional and y is None.
        """
        if self.labelling is not None and y is None:
            raise UsageError("a conditional model's codes are for a label: give y, one for each example.")

    def means(self, z: Array, y: Array | None) -> Array:
        """The decoder's means ``[N, *data]``."""
        return decode(self.model, z, y, device=self.device, precision=self.precision).mean

    def reconstructions(self, x: Array, y: Array | None) -> Array:
        """The decoder's means at the codes ``[N, *data]``."""
        if self.labelling is None or y is not None:
            return self.means(self.codes(x, y), y)
        return self._over_classes(x, self.reconstructions)

    def samples(
        self,
        n: int,
        y: Array | None,
        seed: int,
        draws: bool,
        *,
        told: Array | None = None,
        guidance: float | None = None,
    ) -> Array:
        """Means of p(x|z), or draws from it, at z from the prior, or from the ex-post one, ``[n, *data]``; ``told`` are
        the labels of that one, as :meth:`told_to_prior` gives them."""
        if self.prior:
            z = self.prior.sample(n, seed, y=told, guidance=guidance)
        elif guidance is None:
            z = draw_codes(self.model, n, y, device=self.device, seed=seed)
        else:
            raise UsageError("guidance is of a prior that knows labels: call fit_prior(X, y, kind='flow-matching').")
        pictures = decode(self.model, z, y, device=self.device, precision=self.precision, seed=seed)
        return pictures.draw if draws else pictures.mean

    def scores(self, x: Array, y: Array | None, samples: int) -> Array:
        """Lower bounds on log p(x) or log p(x|y) in nats, densities in the units of X; ``[N]``."""
        if self.config.data.binarise != "none":
            x = content_bits(x, self.seed)

        def one(batch: Batch, rows: Array) -> Tensor:
            noise = content_noise(rows, self.seed, samples, sum(self.model.latent_dims)).to(self.device)
            if self.labelling is not None and batch.y is None:
                return marginal_bound(self._inferring, batch.x, self._prior(), noise)
            return bound(self._inferring, batch.x, batch.y, noise)

        nats = self._each(one, x, y, max(1, CHUNK // samples))
        name = likelihood_name(self.config, self.layout.spec)
        continuous = name.startswith("gaussian") or name == "continuous-bernoulli"
        return nats - np.float32(self.layout.log_volume) if continuous else nats

    def columns(self, y: Any, n: int) -> Array | None:
        """What a person wrote as y, as label columns; None where there is none, or the model has no use for it.

        Raises:
            UsageError: labels of another kind, class or number than n.
        """
        if self.labelling is None or y is None:
            return None
        columns = self.labelling.columns(y)
        if len(columns) != n:
            raise UsageError(f"Found input variables with inconsistent numbers of samples: [{n}, {len(columns)}].")
        return columns

    def columns_to_sample(self, y: Any, n: int) -> Array | None:
        """The same for n samples: one label stands for n, and no label for every class in turn.

        Raises:
            UsageError: as :meth:`columns`; or no y for real labels.
        """
        if self.labelling is None or y is not None:
            one = self.labelling is not None and (np.ndim(y) == 0 or (self._real and np.shape(y) == (self._width,)))
            return self.columns([y] * n if one else y, n)
        self.need_labels(y)
        return np.eye(self._width, dtype=np.float32)[np.arange(n) % self._width]

    def told_to_prior(self, y: Any, columns: Array | None, n: int, guidance: float | None) -> Array | None:
        """Labels ``[n, Y]`` for an ex-post prior that knows some, from what a person wrote; None: whatever the label.

        Raises:
            UsageError: labels of another kind, class or number than n.
        """
        if not (self.prior and self.prior.label_dim):
            return None
        if self.prior_labelling is None:
            return columns
        if not self.prior.wants_labels(y, guidance, classes=self.prior_labelling.kind != "real"):
            return None
        return replace(self, labelling=self.prior_labelling).columns_to_sample(y, n)

    def need_labels(self, y: Any) -> None:
        """Real labels cannot be summed over.

        Raises:
            UsageError: the model has real labels and y is None.
        """
        if y is None and self.labelling is not None and self._real:
            raise UsageError("this model was fitted on real labels: give y, one for each example.")

    @property
    def _real(self) -> bool:
        return self.labelling is not None and self.labelling.kind == "real"

    @property
    def _width(self) -> int:
        return len(self.labelling.names) if self.labelling else 0

    def _prior(self) -> Tensor:
        assert self.labelling is not None
        return torch.as_tensor(self.labelling.prior, dtype=torch.float32, device=self.device)

    def _batches(self, x: Array, y: Array | None, size: int = CHUNK) -> Iterator[Batch]:
        for start in range(0, len(x), size):
            part = slice(start, start + size)
            columns = None if y is None else torch.from_numpy(y[part]).to(self.device)
            yield Batch(torch.from_numpy(x[part]).to(self.device), columns)

    @torch.no_grad()
    def _each(self, ask: Callable[[Batch, Array], Tensor], x: Array, y: Array | None, size: int) -> Array:
        answers = []
        for i, batch in enumerate(self._batches(x, y, size)):
            with autocast(self.device, self.precision):
                answers.append(ask(batch, x[i * size : (i + 1) * size]).float().cpu())
        return torch.cat(answers).numpy()

    def _over_classes(self, x: Array, ask: Callable[[Array, Array], Array]) -> Array:
        """sum_y p(y|x) ask(x, y)."""
        weights = self._each(lambda batch, _: class_posterior(self._inferring, batch.x, self._prior()), x, None, CHUNK)
        total: Array = np.zeros((), np.float32)
        for row, weight in zip(np.eye(self._width, dtype=np.float32), weights.T, strict=True):
            answer = ask(x, np.tile(row, (len(x), 1)))
            total = total + weight.reshape(-1, *[1] * (answer.ndim - 1)) * answer
        return total
