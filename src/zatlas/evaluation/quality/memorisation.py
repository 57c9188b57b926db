"""Whether samples repeat training examples: the two-sample share of nearest neighbours."""

from __future__ import annotations

import math

import numpy as np

from zatlas.arrays import Array
from zatlas.evaluation.disentanglement.score import Score
from zatlas.evaluation.figure import Figure
from zatlas.evaluation.quality.features import check_pair
from zatlas.evaluation.quality.neighbours import nearest

SIGMAS = 3  # of the null spread, from which there is a verdict
FEWEST = 10  # different nearest examples, by their inverse Simpson index, from which errors mean anything


def copying(samples: Array, train: Array, test: Array) -> Score:
    r"""Whether samples lie nearer to training examples than to held-out ones (Schilling 1986; Henze 1988).

    .. math:: \frac{\bar c_{train}}{\bar c_{train} + \bar c_{test}}

    with c the number of samples whose nearest of all training and test examples is this one, ties counted half. A model
    that knows training examples no better than others has 0.5, however good or blurred its samples are: nothing but the
    label tells training from test examples, so that labels drawn anew give the null spread, exactly. A comparison of
    distances (Meehan et al. 2020) sees fewer copies, but takes samples that are smoother than data for copies.

    There is a verdict only where the share exceeds 0.5 by three null spreads and by as much as the test examples' own
    share, each left out in turn, is away from it: they may be of other writers or days.

    Args:
        samples: features ``[N, F]``.
        train: features ``[T, F]``, best of all the training examples.
        test: features ``[M, F]``.

    Returns:
        The share, its standard error that of all three sets redrawn; parts ``null_spread``, ``z`` (null spreads above
        0.5), ``held_out`` and ``held_out_error`` (the same of the test examples), ``least_seen`` (the share of copies
        among the samples from which there would be a verdict, 1 where never), ``copies`` (1 for a verdict, else 0);
        ``"index"`` and ``"distance"`` ``[N]`` of each sample's nearest training example.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 examples.
    """
    samples, test = check_pair(samples, test)
    row, distance = nearest(np.concatenate([samples, test]), train)
    to_train, own_train = ((row[part], distance[part]) for part in (slice(len(samples)), slice(len(samples), None)))
    to_test, own_test = nearest(samples, test), nearest(test, test, others=True)
    value, error, spread, different = _share(to_train, to_test, len(train), len(test))
    held, held_error, _, _ = _share(own_train, own_test, len(train), len(test) - 1)
    needed = SIGMAS * spread + abs(held - 0.5)
    # a share p of copies makes it (1 + r) / (2 + r), r = p / (1 - p) (T + M) / T
    ratio = 2 * needed / (0.5 - needed) * len(train) / (len(train) + len(test)) if needed < 0.5 else math.inf
    least = 1 / (1 + 1 / ratio) if ratio else 0.0
    repeated = float((own_train[1] == 0).mean())
    copies = value - 0.5 > needed and repeated < 0.5 and different >= FEWEST
    parts = {
        "null_spread": spread,
        "z": (value - 0.5) / spread if spread else 0.0,
        "held_out": held,
        "held_out_error": held_error,
        "least_seen": least,
        "copies": float(copies),
    }
    told = (
        f"0.5 means no copying: sampling noise moves it by ±{spread:.2g}, "
        f"and held-out examples themselves have {held:.3g}."
    )
    if repeated >= 0.5:
        verdict = f"{repeated:.0%} of the held-out examples are among the training examples, so nothing can be told."
    elif different < FEWEST:
        verdict = f"Nearly all samples are nearest to the same {different:.0f} or so examples, so nothing can be told."
    elif copies:
        verdict = f"The share of {value:.3g} is more than that explains: some samples copy training examples."
    else:
        unseen = f"copies among fewer than {least:.0%} of the samples" if least < 1 else "copies, however many,"
        verdict = f"There is no sign of copying; {unseen} would not show."
    estimator = f"share nearest to one of {len(train)} training and not of {len(test)} test examples, of equal weight"
    figure = Figure(value, error, len(to_train[0]), estimator, over="samples", caution=f"{told} {verdict}")
    return Score(figure, parts, {"index": to_train[0], "distance": to_train[1]}, (verdict,) if copies else ())


def _share(train: tuple[Array, Array], test: tuple[Array, Array], sizes: int, sizes_test: int) -> tuple[float, ...]:
    """The share, its standard error and null spread, and how many examples are nearest to any, from rows and distances
    of the nearest of either set."""
    won = np.where(train[1] == test[1], 0.5, train[1] < test[1])
    counts = np.bincount(train[0], won, sizes), np.bincount(test[0], 1 - won, max(sizes_test, test[0].max() + 1))
    a, b = counts[0].sum() / sizes, counts[1].sum() / sizes_test
    error = math.sqrt(b**2 * counts[0].var(ddof=1) / sizes + a**2 * counts[1].var(ddof=1) / sizes_test) / (a + b) ** 2
    both = np.concatenate(counts)
    # the sum over training examples once labels are drawn anew, through the slope of the share at 0.5
    drawn = math.sqrt(sizes * sizes_test / len(both) * both.var(ddof=1)) / both.sum()
    different = both.sum() ** 2 / (both**2).sum()
    error = error if different >= FEWEST else math.nan
    return a / (a + b), error, drawn * len(both) ** 2 / (4 * sizes * sizes_test), different
