"""A lesson that moves: the same lesson at one number after another, as frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from zatlas.errors import UsageError
from zatlas.figures import View, filmed

FRAMES = 20


def film(lesson: Callable[[float], View], frames: int = FRAMES) -> View:
    """The lesson at 1, with frames of its figures from 0 to 1.

    Args:
        lesson: gives a lesson at a number in [0, 1].
        frames: how many.

    Raises:
        UsageError: the lesson has no figure.
    """
    views = [lesson(float(at)) for at in np.linspace(0, 1, frames)]
    drawn = [view.figure for view in views if view.figure is not None]
    if len(drawn) < frames:
        raise UsageError("this lesson has no figure that could move: give --out a name that ends in .npz.")
    return replace(views[-1], frames=filmed(drawn))
