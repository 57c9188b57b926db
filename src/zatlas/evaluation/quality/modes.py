"""How many classes samples reach, and how evenly."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.evaluation.disentanglement.score import Score
from zatlas.evaluation.figure import Figure


def check_classes(labels: Array, what: str) -> Array:
    """Class numbers ``[N]`` as int64.

    Raises:
        UsageError: they are no whole numbers from 0, or there are none.
    """
    labels = np.asarray(labels)
    whole = labels.dtype.kind in "biu" or (labels.dtype.kind == "f" and bool((labels == np.round(labels)).all()))
    if labels.ndim != 1 or not len(labels) or not whole or labels.min() < 0:
        raise UsageError(f"{what} must be class numbers [N] from 0, not {labels.dtype} of shape {labels.shape}.")
    return labels.astype(np.int64)


def mode_coverage(found: Array, reference: Array, *, classes: int | None = None) -> Score:
    r"""Classes that samples fall in, and KL(samples || reference) of the class frequencies (Lin et al. 2018).

    .. math:: \sum_c \hat p_c \log \frac{\hat p_c}{r_c}

    Even N draws from the reference itself give a KL of about (classes - 1) / 2N nats.

    Args:
        found: class of each sample ``[N]``, as a classifier sees it.
        reference: class of each example ``[M]`` by the same classifier, or known.
        classes: how many there are; None: those of the reference.

    Returns:
        The number of classes hit; parts ``kl`` in nats, ``kl_error`` (its standard error), ``kl_floor`` and
        ``outside``, the share of samples in classes that the reference lacks, which the KL leaves out; ``"count"`` and
        ``"reference"`` ``[classes]``.

    Raises:
        UsageError: no class numbers, numbers beyond ``classes``, or no class in common.
    """
    found, reference = check_classes(found, "the samples' classes"), check_classes(reference, "the reference")
    most = int(max(found.max(), reference.max())) + 1
    total = classes or int(reference.max()) + 1
    if classes is not None and most > classes:
        raise UsageError(f"there is a class {most - 1}, and {classes} classes were announced.")
    counts, expected = (np.bincount(x, minlength=max(most, total)) for x in (found, reference))
    known = expected > 0
    inside = counts[known].sum()
    if not inside:
        raise UsageError("no sample is in a class that the reference has: was the same classifier used for both?")
    shares, frequencies = counts[known] / inside, expected[known] / expected.sum()
    logs = np.log(shares / frequencies, where=shares > 0, out=np.zeros_like(shares))
    kl = float((shares * logs).sum())
    spread = float((shares * logs**2).sum()) - kl**2
    # of equal frequencies the KL is quadratic in the counts, which its linear error counts twice
    linear, quadratic = max(0.0, spread) / inside, (known.sum() - 1) / (2 * inside**2)
    outside = 1 - float(inside) / len(found)
    parts = {
        "kl": kl,
        "kl_error": math.sqrt(max(linear - quadratic, linear / 2)),
        "kl_floor": (known.sum() - 1) / (2 * len(found)),
        "outside": outside,
    }
    told = []
    if outside:
        told.append(f"{outside:.1%} of the samples are in classes that the reference lacks; the KL leaves them out.")
    if len(found) < 10 * total:
        told.append(f"{len(found)} samples are few for {total} classes: {10 * total} are advised.")
    hit = int((counts > 0).sum())
    figure = Figure(hit, math.nan, len(found), f"classes hit, of {total}", over="samples")
    return Score(figure, parts, {"count": counts, "reference": expected}, tuple(told))


def stacked_classes(predict: Callable[[Array], Array], x: Array, classes: int = 10) -> Array:
    """The mode of images ``[N, S, H, W]`` whose S channels are images of their own, ``[N]`` below classes^S.

    Three digits stacked have 1000 modes (Metz et al. 2017).

    Args:
        predict: images ``[N, 1, H, W]`` to class numbers ``[N]``.
        x: the stacked images.
        classes: that a channel can have.
    """
    digits = [predict(x[:, channel : channel + 1]) for channel in range(x.shape[1])]
    return np.ravel_multi_index(tuple(np.asarray(d, np.int64) for d in digits), (classes,) * len(digits))
