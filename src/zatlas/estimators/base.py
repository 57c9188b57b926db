"""What all estimators share: fit, decode, sample and save, by scikit-learn's contract."""

from __future__ import annotations

from abc import ABC
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.estimators.fitting import Fitted, fit
from zatlas.estimators.labelling import Labelling
from zatlas.estimators.layout import Examples, Layout
from zatlas.estimators.settings import configure, for_data, seed_of
from zatlas.estimators.trained import Trained
from zatlas.parts import SORTS


class GenerativeEstimator(BaseEstimator, ABC):
    """Abstract: an estimator that makes new examples; see its kinds.

    y is used by conditional kinds alone; the others take and ignore it, as scikit-learn's transformers do.
    """

    _kind: ClassVar[str]

    def fit(self, X: Any, y: Any = None) -> Self:
        """Trains anew.

        Args:
            X: ``[N, features]``, or images ``[N, H, W]``, ``[N, H, W, 1 or 3]`` or ``[N, 1 or 3, H, W]``.
            y: for a conditional kind labels ``[N]`` or real ``[N, Y]``; otherwise ignored.

        Raises:
            UsageError: a parameter, X or y that cannot be (a ValueError).
            ZatlasError: the loss is no longer finite.
            KeyboardInterrupt: Ctrl-C; the estimator is fitted as far as it came.
        """
        return self._fit(X, y, one_pass=False)

    def inverse_transform(self, Z: Any, y: Any = None) -> Array:
        """The decoder's means at codes, float32, in the shape and units of X (0..255 where X was such whole numbers).

        Args:
            Z: codes ``[N, D]``.
            y: labels ``[N]`` or ``[N, Y]``, needed by a conditional kind: its codes leave out what y says.

        Raises:
            NotFittedError, UsageError: codes of another size, or y is missing.
        """
        check_is_fitted(self)
        z = check_array(Z, dtype=np.float32, estimator=self, input_name="Z")
        if z.shape[1] != self._n_features_out:
            raise UsageError(f"Z has {z.shape[1]} columns, and this model has {self._n_features_out} latent units.")
        if SORTS["model"].get(self._kind).conditional and y is None:
            raise UsageError("a conditional model decodes a code for a label: give y, one for each row of Z.")
        return self._trained.layout.restored(self._trained.means(z, self._trained.columns(y, len(z))))

    def sample(
        self, n: int = 1, y: Any = None, *, random_state: Any = None, draws: bool = False, guidance: float | None = None
    ) -> Array:
        """New examples ``[n, ...]``, float32 in the shape and units of X: z from the prior, then the mean of p(x|z).

        Args:
            n: how many.
            y: for a conditional kind, or a fitted prior that knows labels, one label for all or one for each; None:
                every class in turn, and of a prior that knows real labels, or with guidance 0, whatever the label.
            random_state: of the draws; None: the seed of the fit, so that calls repeat each other.
            draws: draw from p(x|z) instead of giving its mean.
            guidance: towards the label, of a prior that knows labels: 0 is whatever the label, 1 (None) given it.

        Raises:
            NotFittedError, UsageError: not fitted; n below 1; an AutoEncoder, which has no prior; y is missing.
        """
        check_is_fitted(self)
        if n < 1:
            raise UsageError(f"n = {n} must be at least 1.")
        seed = self._trained.seed if random_state is None else seed_of(random_state)
        labels = self._trained.columns_to_sample(y, n)
        told = self._trained.told_to_prior(y, labels, n, guidance)
        return self._trained.layout.restored(
            self._trained.samples(n, labels, seed, draws, told=told, guidance=guidance)
        )

    def save(self, path: str | Path) -> Path:
        """Writes a run folder, as ``zatlas train`` makes them: all commands read it, and so does ``zatlas.load``.

        Raises:
            NotFittedError, UsageError: not fitted; the folder is not empty; classes that JSON cannot hold.
            ZatlasError: a disk that refuses.
        """
        from zatlas.estimators.saving import save

        check_is_fitted(self)
        return save(self, Path(path))

    def _fit(self, X: Any, y: Any, *, one_pass: bool, classes: Any = None) -> Self:
        who, conditional = type(self).__name__, SORTS["model"].get(self._kind).conditional
        fresh = not (one_pass and hasattr(self, "model_"))
        config = configure(who, self._kind, self.get_params(deep=False)) if fresh else self.config_
        x = self._checked(X, reset=fresh, least=2 if fresh else 1)
        if conditional and y is None:
            raise UsageError(f"This {who} estimator requires y to be passed, but the target y is None.")
        labels: Labelling | None = None
        if conditional:
            check_consistent_length(x, y)
            labels = Labelling.learn(y, classes) if fresh else self._trained.labelling
        if fresh:
            d = config.data
            layout, shown = Layout.learn(
                x, grey=getattr(config.likelihood, "kind", "") == "bernoulli" or d.binarise != "none"
            )
            config = for_data(config, self.get_params(deep=False), layout.spec, len(x))
            layout = layout if labels is None else replace(layout, spec=labels.describe(layout.spec))
        else:
            layout = self._trained.layout
            shown = layout.shown(x, who)
        source = Examples("X", shown, layout.spec, None if labels is None else labels.values(y))
        go_on = None if fresh else self._last
        verbose = bool(self.get_params(deep=False).get("verbose"))
        fitted = fit(config, source, who=who, verbose=verbose, one_pass=one_pass, go_on=go_on)
        if not fresh:
            fitted = replace(fitted, history=[*self.history_, *fitted.history])
        self._adopt(fitted, layout, labels)
        if fitted.record["status"] == "interrupted":
            raise KeyboardInterrupt
        return self

    def _adopt(self, fitted: Fitted, layout: Layout, labels: Labelling | None) -> None:
        self.model_, self.config_, self.history_ = fitted.model, fitted.config, fitted.history
        self.loss_ = fitted.record["result"]["loss"]
        self.n_steps_ = fitted.record["steps"]
        self.train_seconds_ = fitted.record["train_seconds"]
        self.n_features_in_ = prod(layout.input_shape)
        if labels is not None and labels.classes is not None:
            self.classes_ = labels.classes
        self._trained = Trained(fitted.model, fitted.config, layout, labels)
        self._last, self._best, self._record = fitted.last, fitted.best, fitted.record

    def _checked(self, X: Any, *, reset: bool, least: int = 1) -> Array:
        """X as an array, with scikit-learn's own words where it cannot be."""
        flat = (X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim) < 3
        x: Array = validate_data(self, X, reset=reset, ensure_2d=flat, allow_nd=True, ensure_min_samples=least)
        return x

    def _inputs(self, X: Any, y: Any) -> tuple[Array, Array | None]:
        """X as the model sees it, and the label columns."""
        check_is_fitted(self)
        x = self._trained.layout.shown(self._checked(X, reset=False), type(self).__name__)
        self._trained.need_labels(y)
        return x, self._trained.columns(y, len(x))

    @property
    def _n_features_out(self) -> int:
        return int(sum(self.model_.latent_dims))

    def __getstate__(self) -> dict[str, Any]:
        """Pickled and copied models are on the CPU, so that a machine without the accelerator can read them."""
        state: dict[str, Any] = super().__getstate__()
        if "_trained" in state:
            trained = state["_trained"].on_cpu()
            state = {**state, "_trained": trained, "model_": trained.model}
        return state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = SORTS["model"].get(self._kind).conditional
        return tags
