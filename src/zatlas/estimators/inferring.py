"""Estimators whose model says which code made an example: transform, reconstruct, score."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_consistent_length

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.estimators.base import GenerativeEstimator
from zatlas.estimators.labelling import Labelling
from zatlas.latent import Place, code_shape, fit_ex_post, need_kind
from zatlas.parts import SORTS


class LatentEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, GenerativeEstimator):
    """Abstract: an estimator with an encoder; see its kinds."""

    def transform(self, X: Any, y: Any = None) -> Array:
        """The posterior means, float32 ``[N, D]``; nothing is drawn.

        A ConditionalVAE of classes that is given no y, as in a Pipeline, answers E[z|x] = sum_y p(y|x) E[z|x,y] with
        p(y|x) by Bayes' rule from its own bounds: no label is needed or leaked.

        Args:
            X: as for :meth:`fit`. Where training was on binarised data, the intensities are encoded as they are.
            y: labels, for a ConditionalVAE.

        Raises:
            NotFittedError: call fit first.
            UsageError: another shape, NaN, values out of range; or y is missing for real labels.
        """
        x, labels = self._inputs(X, y)
        return self._trained.codes(x, labels)

    def fit_prior(
        self, X: Any, y: Any = None, *, kind: Literal["mixture", "flow", "flow-matching"] = "mixture", **options: Any
    ) -> Self:
        """Fits a density to the codes of X, from which :meth:`sample` draws from now on (Ghosh et al. 2020).

        By it an AutoEncoder samples, and a VAE samples from where its codes are.

        Args:
            X: as for :meth:`fit`; the examples of the fit are what is meant.
            y: labels, for a ConditionalVAE; and for flow matching, which then draws given a label.
            kind: a mixture of Gaussians, as many as held-out codes want, a flow of couplings, or flow matching.
            options: of that kind, such as ``components``, or ``steps`` and ``seconds`` of flow matching
                (:class:`zatlas.latent.matching.Training`).

        Raises:
            NotFittedError, UsageError: as for :meth:`transform`; another kind; a VQVAE, whose codes have a prior.
        """
        x, labels = self._inputs(X, y)
        if not SORTS["model"].get(self._kind).axes:
            raise UsageError(
                f"the codes of a {type(self).__name__} are words of a codebook and have a prior of their own."
            )
        codes = self._trained.posteriors(x, labels)
        known = None
        if codes.y is None and y is not None and need_kind(kind).labels:
            check_consistent_length(x, y)
            known = Labelling.learn(y)
            codes = codes._replace(y=known.columns(y))
        place = Place(self._trained.seed, self._trained.device)
        fitted = fit_ex_post(kind, codes, code_shape(self._trained.model), place, **options)
        self._trained = replace(self._trained, prior=fitted, prior_labelling=known if fitted.label_dim else None)
        return self

    def reconstruct(self, X: Any, y: Any = None) -> Array:
        """What comes back from the code of each example: ``inverse_transform(transform(X))``, float32.

        A ConditionalVAE of classes that is given no y averages the classes' reconstructions by p(y|x).
        """
        x, labels = self._inputs(X, y)
        return self._trained.layout.restored(self._trained.reconstructions(x, labels))

    def score_samples(self, X: Any, y: Any = None, *, samples: int = 1) -> Array:
        r"""A lower bound on log p(x) of every example, float32 ``[N]`` in nats; higher is better.

        For ``samples`` = 1 the ELBO, E_q[log p(x|z)] - KL(q || p), at one draw, the KL in closed form where it has
        one; for more the importance-weighted bound (Burda et al. 2016), which is tighter. Densities are those of X in
        its own units.
        The Bernoulli likelihood on intensities gives a loss and no log-likelihood: compare like with like.
        An AutoEncoder answers minus its distortion, log p(x|z) at the code, which bounds nothing.
        The noise of an example is a hash of its content and the fit's seed: the answer depends on no other row.

        Args:
            X: as for :meth:`fit`; where training was on binarised data, bits are drawn here too.
            y: for a ConditionalVAE: the bound is on log p(x|y); None: on log p(x), summed over the classes.
            samples: K.

        Raises:
            NotFittedError, UsageError: as for :meth:`transform`; samples below 1.
        """
        x, labels = self._inputs(X, y)
        if samples < 1:
            raise UsageError(f"samples = {samples} must be at least 1.")
        return self._trained.scores(x, labels, samples)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of :meth:`score_samples`: what GridSearchCV and cross_val_score look for the highest of."""
        return float(self.score_samples(X, y).mean(dtype=np.float64))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
