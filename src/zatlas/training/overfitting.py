"""When a training overfits, and how many steps it has where it is begun again from the first weights."""

from __future__ import annotations

from collections.abc import Sequence

from zatlas.training.state import State

# A training that overfits is begun again, shorter: after so many validations in a row without a better one, the last
# three of them worse by this fraction, while the training loss went on falling.
STALE, WORSE = 5, 0.01
SHORTER = 0.75  # at most: a schedule hardly shorter would find the same weights
LONGER = 2  # times the steps to the best weights: on falling learning rates the best come later than on a high one
BEGINNINGS = 5


def overfits(curve: Sequence[Sequence[float]]) -> bool:
    """Whether a curve of (step, validation loss, training loss) has turned for good.

    >>> falling = [(step, 100 - step, 90 - step) for step in range(10)]
    >>> overfits(falling), overfits(falling + [(step, 80 + step, 90 - step) for step in range(12, 18)])
    (False, True)
    """
    if len(curve) <= STALE:
        return False
    best = min(range(len(curve)), key=lambda index: curve[index][1])
    since = curve[best + 1 :]
    if len(since) < STALE:
        return False
    worse = curve[best][1] + WORSE * abs(curve[best][1])
    return all(point[1] > worse for point in since[-3:]) and since[-1][2] < curve[best][2]


def shorter_span(state: State, progress: float) -> int | None:
    """How many steps to begin again with, after the last validation; None: the training goes on as it is.

    Args:
        state: with the curve since the present beginning.
        progress: the fraction of the budget that is used, over 0.
    """
    if state.beginnings >= BEGINNINGS or not overfits(state.curve):
        return None
    best = int(min(state.curve, key=lambda point: point[1])[0])
    span = max(1, LONGER * best)
    return span if span <= SHORTER * state.own_step / progress else None
