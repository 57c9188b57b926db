"""Estimators that are trained step by step, and their parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

from zatlas.estimators.base import GenerativeEstimator

Size = Literal["xs", "s", "m", "l"]
Precision = Literal["auto", "fp32", "bf16"]

# A dataclass writes the constructor that scikit-learn reads the parameters from: explicit, keyword-only, stored unseen.
parameters = partial(dataclass, kw_only=True, eq=False, repr=False)


@parameters
class TrainedEstimator(GenerativeEstimator):
    """Abstract: an estimator that is trained step by step, and so can be trained further."""

    latent_dim: int = 2
    network: str = "auto"
    size: Size = "s"
    epochs: int | None = None
    steps: int | None = None
    seconds: float | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    validation: float | None = None
    patience: int | None = None
    random_state: Any = 0
    device: str = "auto"
    precision: Precision = "fp32"
    verbose: bool = False
    settings: dict[str, Any] | None = None

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None) -> Self:
        """Trains for one pass over X with the weights, the optimiser's moments and the random state that are there.

        The learning rate is ``learning_rate`` throughout, so many calls are no :meth:`fit`, whose rate rises and
        falls. The first call (where nothing is fitted yet) takes shape, standardisation and decoder offset from its X
        for good. After :meth:`fit` it goes on from the last step, not from the best one. There is no validation.
        Parameters changed since the first call are not looked at. Without ``batch_size`` a step has 128 examples.

        Args:
            X: at least one row (two at the first call) of the same shape.
            y: as for :meth:`fit`.
            classes: all classes that will ever come, at the first call of a ConditionalVAE; None: those in y.

        Raises:
            UsageError, ZatlasError, KeyboardInterrupt: as for :meth:`fit`.
        """
        return self._fit(X, y, one_pass=True, classes=classes)
