"""Linear models fitted without warnings on the standard error stream."""

from __future__ import annotations

import warnings
from typing import Any

from zatlas.arrays import Array


def fit_settles(model: Any, x: Array, y: Array) -> bool:
    """Fits a scikit-learn model with ``max_iter``, and says whether it settled before that."""
    from scipy.linalg import LinAlgWarning
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told in words by whoever asked
        warnings.simplefilter("ignore", LinAlgWarning)
        model.fit(x, y)
    iterations = model.n_iter_
    return bool((iterations if isinstance(iterations, int) else max(iterations)) < model.max_iter)
