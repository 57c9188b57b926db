"""What codes know of labels: linear and nearest-neighbour probes, beside linear codes of the same size."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.evaluation.disentanglement.fitting import fit_settles
from zatlas.evaluation.disentanglement.points import check_codes
from zatlas.evaluation.disentanglement.score import Score, binomial_error
from zatlas.evaluation.figure import Figure
from zatlas.evaluation.quality.modes import check_classes
from zatlas.models import LinearGaussian

NEWTON_WEIGHTS = 2000  # above so many Newton's method would need too large a matrix of second derivatives
LEAST_SHARE = 0.1  # of the mean variance, added to every unit's: hardly varying pixels are not blown up

Split = tuple[Array, Array]  # codes to learn from [N, D], and codes to be tested on [M, D]


def linear_probe(split: Split, labels: Array, labels_test: Array) -> Score:
    """Test accuracy of a multinomial logistic regression on codes (scikit-learn's default penalty).

    Args:
        split: codes to learn from ``[N, D]`` and to be tested on ``[M, D]``.
        labels: class numbers ``[N]``.
        labels_test: ``[M]``.

    Returns:
        The accuracy; parts ``train`` and ``chance``, the test share of the commonest training class; ``"log_joint"``
        ``[M, Y]``, the regression's logits.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 rows.
    """
    from sklearn.linear_model import LogisticRegression

    (train, test), y, y_test = _checked(split, labels, labels_test)
    small = train.shape[1] * len(np.unique(y)) <= NEWTON_WEIGHTS
    model = LogisticRegression(max_iter=200, solver="newton-cholesky" if small else "lbfgs")
    settled = fit_settles(model, train, y)
    told = () if settled else (f"The regression had not settled after {model.max_iter} iterations.",)
    name = f"linear probe of {train.shape[1]} units, logistic regression"
    logits = model.decision_function(test)
    logits = logits if logits.ndim > 1 else np.stack([np.zeros_like(logits), logits], axis=1)
    return _accuracy(model.predict(train) == y, model.predict(test), y, y_test, name, told, {"log_joint": logits})


def neighbour_probe(split: Split, labels: Array, labels_test: Array, *, k: int = 10) -> Score:
    """Test accuracy of the vote of the k nearest training codes, in the codes' own metric.

    Args:
        split: codes to learn from ``[N, D]`` and to be tested on ``[M, D]``.
        labels: class numbers ``[N]``.
        labels_test: ``[M]``.
        k: neighbours.

    Raises:
        UsageError: shapes that do not match, NaN, fewer than 20 rows, or k beyond them.
    """
    from sklearn.neighbors import KNeighborsClassifier

    (train, test), y, y_test = _checked(split, labels, labels_test, scaled=False)
    if not 1 <= k <= len(train):
        raise UsageError(f"{len(train)} codes have no {k} neighbours to vote: give 1 to {len(train)}.")
    model = KNeighborsClassifier(k, algorithm="brute" if train.shape[1] > 15 else "auto").fit(train, y)
    name = f"neighbour probe of {train.shape[1]} units, {k} votes"
    return _accuracy(None, model.predict(test), y, y_test, name, (), {})


def regression_probe(split: Split, labels: Array, labels_test: Array) -> Score:
    r"""Test R^2 of a ridge regression of real labels on codes (penalty 1), the mean over label columns.

    .. math:: R^2 = 1 - \sum_i (y_i - \hat y_i)^2 / \sum_i (y_i - \bar y)^2

    Args:
        split: codes to learn from ``[N, D]`` and to be tested on ``[M, D]``.
        labels: ``[N]`` or ``[N, Y]``.
        labels_test: ``[M]`` or ``[M, Y]``.

    Returns:
        R^2, which is below 0 where the mean would have been the better guess; part ``train``; ``"r2"`` ``[Y]``.

    Raises:
        UsageError: shapes that do not match, NaN, fewer than 20 rows, or test labels that never change.
    """
    from sklearn.linear_model import Ridge

    train, test = _units(split)
    y, y_test = (np.asarray(v, np.float64).reshape(len(v), -1) for v in (labels, labels_test))
    if (len(y), len(y_test)) != (len(train), len(test)) or y.shape[1:] != y_test.shape[1:]:
        raise UsageError(f"codes of {len(train)} and {len(test)} rows have labels of {y.shape} and {y_test.shape}.")
    if not (np.isfinite(y).all() and np.isfinite(y_test).all()):
        raise UsageError("the labels hold NaN or infinity.")
    if (np.ptp(y_test, axis=0) == 0).any():
        raise UsageError("a label never changes among the test rows, so that no share of it can be explained.")
    model = Ridge(alpha=1.0).fit(train, y)
    on_train, _ = _explained(y, model.predict(train).reshape(y.shape))
    on_test, moved = _explained(y_test, model.predict(test).reshape(y_test.shape))
    error = float(moved.mean(axis=1).std(ddof=1) / math.sqrt(len(test)))
    figure = Figure(
        float(on_test.mean()),
        error,
        len(test),
        f"R^2 of {train.shape[1]} units, ridge regression",
        over="test examples",
        fixed="the trained probe",
    )
    return Score(figure, {"train": float(on_train.mean())}, {"r2": on_test})


def _explained(y: Array, guess: Array) -> tuple[Array, Array]:
    """R^2 ``[Y]``, and how much each example moves it ``[N, Y]``."""
    wrong, spread = (y - guess) ** 2, (y - y.mean(axis=0)) ** 2
    scale = np.maximum(spread.mean(axis=0), np.finfo(np.float64).tiny)
    r2 = 1 - wrong.mean(axis=0) / scale
    return r2, ((1 - r2) * spread - wrong) / scale


def baselines(x: Array, x_test: Array, units: int) -> dict[str, Split]:
    """Linear codes of the same size, and the values themselves: ``pca``, ``ppca``, ``factor analysis``, ``raw values``.

    The codes of the last two models are posterior means. PPCA's are PCA's, each unit shrunk by its own factor (Tipping
    & Bishop 1999): a linear probe can hardly tell them apart, a neighbour probe can.

    Args:
        x: examples to learn from ``[N, *data]``; all of them are fitted.
        x_test: ``[M, *data]``.
        units: D.

    Raises:
        UsageError: D is not from 1 to the number of values - 1.
    """
    from sklearn.decomposition import PCA

    raw = tuple(np.asarray(v, np.float32).reshape(len(v), -1) for v in (x, x_test))
    models = {
        name: LinearGaussian((raw[0].shape[1],), units, shared_noise=shared).fit(raw[0])
        for name, shared in (("ppca", True), ("factor analysis", False))
    }
    pca = PCA(units, random_state=0).fit(raw[0])
    codes = {"pca": pca.transform} | {
        name: (lambda v, model=model: model.encode(torch.from_numpy(v)).mean.detach().numpy())
        for name, model in models.items()
    }
    return {name: (code(raw[0]), code(raw[1])) for name, code in codes.items()} | {"raw values": (raw[0], raw[1])}


def probe_table(
    codes: Mapping[str, Split], labels: Array, labels_test: Array, *, k: int = 10
) -> dict[str, dict[str, Score]]:
    """Each code's probes, by name of code and of probe.

    Args:
        codes: codes by name; those of ``baselines`` beside the model's own.
        labels: class numbers ``[N]``, integers; or real labels, floats ``[N]`` or ``[N, Y]``.
        labels_test: the same of the test rows.
        k: neighbours that vote.

    Returns:
        ``linear`` and ``neighbours`` for classes, ``regression`` for real labels.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 rows.
    """
    if np.asarray(labels).dtype.kind == "f":
        return {name: {"regression": regression_probe(split, labels, labels_test)} for name, split in codes.items()}
    return {
        name: {
            "linear": linear_probe(split, labels, labels_test),
            "neighbours": neighbour_probe(split, labels, labels_test, k=k),
        }
        for name, split in codes.items()
    }


def _units(split: Split, scaled: bool = True) -> Split:
    """Both codes checked, and standardised by those to learn from."""
    train, test = check_codes(split[0]), check_codes(split[1], "the test codes")
    if train.shape[1] != test.shape[1]:
        raise UsageError(f"there are {train.shape[1]} units to learn from and {test.shape[1]} to be tested on.")
    if not scaled:
        return train, test
    variance = train.var(axis=0, dtype=np.float64)
    floor = LEAST_SHARE * variance.mean()
    scale = np.sqrt(variance + floor) if floor > 0 else np.ones_like(variance)
    middle = train.mean(axis=0, dtype=np.float64)
    return (train - middle) / scale, (test - middle) / scale


def _checked(split: Split, labels: Array, labels_test: Array, scaled: bool = True) -> tuple[Split, Array, Array]:
    train, test = _units(split, scaled)
    y, y_test = check_classes(labels, "the labels"), check_classes(labels_test, "the test labels")
    for codes, classes in ((train, y), (test, y_test)):
        if len(codes) != len(classes):
            raise UsageError(f"{len(codes)} codes have {len(classes)} labels; give both for the same examples.")
    if len(np.unique(y)) < 2:
        raise UsageError("all labels are of one class: there is nothing to tell apart.")
    return (train, test), y, y_test


def _accuracy(
    train_hits: Array | None,
    guess: Array,
    y: Array,
    y_test: Array,
    name: str,
    told: tuple[str, ...],
    matrices: dict[str, Array],
) -> Score:
    value = float((guess == y_test).mean())
    parts = {"chance": float((y_test == np.bincount(y).argmax()).mean())}
    if train_hits is not None:
        parts["train"] = float(train_hits.mean())
    if unseen := int((~np.isin(y_test, y)).sum()):
        told = (*told, f"{unseen} test rows are of classes that training never showed.")
    return Score(
        Figure(
            value, binomial_error(value, len(guess)), len(guess), name, over="test examples", fixed="the trained probe"
        ),
        parts,
        matrices,
        told,
    )
