"""What the drawings of explanations share: panels side by side, and lines named in their own colours."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from zatlas.figures.style import INK, MUTED, NORMAL, PAPER, SMALL, canvas, name_axes, place, text_width

SIDE = 56.0  # pixels at the left of a panel, for its axis
_ABOVE, _BELOW = 52.0, 46.0


def panels(
    widths: Sequence[float], height: float, *, rows: int = 1, top: float = 30.0
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with rows of panels of these widths in pixels, ``top`` left free for its title."""
    figure = canvas(sum(widths) + len(widths) * SIDE + 24, top + rows * (_ABOVE + height + _BELOW))
    made: list[list[Axes]] = []
    for row in range(rows):
        left, line = SIDE, []
        for width in widths:
            line.append(place(figure, left, top + row * (_ABOVE + height + _BELOW) + _ABOVE, width, height))
            left += width + SIDE
        made.append(line)
    return figure, made


def describe(
    axes: Axes, title: str, labels: tuple[str, str], names: Sequence[tuple[str, str]] = (), left: float = 0.0
) -> None:
    """A panel's title, its axes' names, and the (name, colour) of its lines under the title, ``left`` pixels in."""
    axes.annotate(
        title, (0, 1), (left * 0.75, 25), xycoords="axes fraction", textcoords="offset points", size=NORMAL + 0.5,
        weight="bold", color=INK, annotation_clip=False,
    )  # fmt: skip
    across = left
    for name, colour in names:
        axes.annotate(
            name, (0, 1), (across * 0.75, 9), xycoords="axes fraction", textcoords="offset points", color=colour,
            size=NORMAL, weight="bold", annotation_clip=False,
        )  # fmt: skip
        across += text_width(name, NORMAL, "bold") + 14
    name_axes(axes, labels)


def point_out(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    offset: tuple[float, float],
    *,
    colour: str = INK,
    align: str = "left",
) -> None:
    """Words beside a place of the axes, legible on any ground."""
    written = axes.annotate(
        text, at, offset, textcoords="offset points", ha=align, va="center", size=SMALL, color=colour, zorder=8,
        annotation_clip=False,
    )  # fmt: skip
    written.set_path_effects([withStroke(linewidth=2.5, foreground=PAPER)])


def plain(axes: Axes) -> None:
    """Only a base line and faint lines across, for panels whose heights are read."""
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


__all__ = ["MUTED", "SIDE", "describe", "panels", "plain", "point_out"]
