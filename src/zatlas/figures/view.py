"""What a question about a model is answered with, for every reader: arrays, a figure, sentences, an animation."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from zatlas.arrays import Array
from zatlas.figures.tiles import Pixels


@dataclass(frozen=True, repr=False)
class View:
    """An answer: the command line writes it to files, the report shows it, Python reads it.

    Attributes:
        arrays: what was computed, by name; ready for ``np.savez``.
        figure: how it looks; None where there is nothing to see, as for data that are no images.
        alt: what a reader who cannot see the figure is told.
        sentences: what it says, for people.
        facts: the same for programs, as JSON has it.
        frames: pictures ``[T, H, W]`` or ``[T, H, W, C]`` (uint8) of an animation; None where nothing moves.
    """

    arrays: dict[str, Array]
    figure: Figure | None = None
    alt: str = ""
    sentences: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    frames: Pixels | None = None

    def __getitem__(self, name: str) -> Array:
        """The array of that name."""
        return self.arrays[name]

    def __repr__(self) -> str:
        """One line: what the figure shows and the arrays' shapes, not their numbers."""
        shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in self.arrays.items())
        about = shorten(self.alt, 60, placeholder=" …") or ("a figure" if self.figure is not None else "no figure")
        return f"<View: {about.rstrip('.')}; {shapes or 'no arrays'}>"

    def _repr_png_(self) -> tuple[bytes, dict[str, int]] | None:  # what a notebook shows, at twice the resolution
        import io

        from zatlas.figures.output import save_to
        from zatlas.figures.style import PX

        if self.figure is None:
            return None
        buffer = io.BytesIO()
        save_to(self.figure, buffer, "png", background="white")
        width, height = (int(side * PX) for side in self.figure.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height}


def arrays(**named: Any) -> dict[str, Array]:
    """The named values as arrays, those that are None left out."""
    return {name: np.asarray(value) for name, value in named.items() if value is not None}
