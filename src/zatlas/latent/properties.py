"""Simple properties of images, one number each: where a figure lies, how it leans, how bright a scene is.

An image is a *figure* on a ground where its border is of one colour, as of a digit or a sprite; a *scene* otherwise, as
a photograph. The ink of a figure is how far a pixel is from the ground, so that bright on dark and dark on bright are
measured alike:

.. math:: m = \\max_c |x_c - g_c| / \\max(g_c, 1 - g_c), \\quad m = 0 \\text{ where } m < 0.1

With its moments :math:`\\mu_{ij} = \\sum m (u - \\bar u)^i (v - \\bar v)^j / \\sum m`, u rightwards and v downwards in
pixels, a pixel being a unit square (so :math:`\\mu_{20}` and :math:`\\mu_{02}` are 1/12 more than those of points):

=============  =======================================================================================================
area           share of the image that the ink would cover at its full strength, :math:`(\\sum m)^2 / (\\sum m^2 HW)`
ink strength   :math:`\\sum m^2 / \\sum m`
centre x, y    :math:`\\bar u, -\\bar v` from the middle of the image: right and up are positive
width, height  of the box of the same second moments, :math:`\\sqrt{12 \\mu_{20}}, \\sqrt{12 \\mu_{02}}`
slant          :math:`-\\arctan(\\mu_{11} / \\mu_{02})`: the shear that made it, to the right positive
elongation     1 - minor / major axis of the ellipse of the same moments
orientation    of that major axis, from the vertical to the right, of period 180°; none where elongation < 0.15
stroke width   of the rectangle with the ink's area A and perimeter P: :math:`(P - \\sqrt{P^2 - 16 A}) / 4`, where P is
               the total variation of the ink (coarea formula) and both are of ink at its full strength
=============  =======================================================================================================

Of scenes, with luma Y = 0.299 R + 0.587 G + 0.114 B:

====================  ================================================================================================
brightness, contrast  mean and standard deviation of Y
light from the right  mean Y of the right half less that of the left; *from the top*: of the upper half less the lower
background light      mean Y of the border, an eighth of the image wide
light in the middle   mean Y of the middle ninth less that of the border
sharpness             mean of \\|grad Y\\| over the contrast, per pixel
detail centre x, y    centre of mass of \\|grad Y\\|, as centre x, y: a head that turns takes its features along
symmetry              correlation of Y with its mirror image, left to right
====================  ================================================================================================

Of colours, scene or figure: hue is an angle and has no correlation, so its two opponent axes stand for it:

==========  =========================================================================================================
warmth      mean of R - B
greenness   mean of G - (R + B) / 2, magenta being negative
saturation  mean of the largest channel less the smallest
==========  =========================================================================================================
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zatlas.arrays import Array

FAINT = 0.1  # less ink than this is ground: decoders leave a haze whose moments would outweigh those of the figure
PLAIN = 0.5  # share of the border's pixels that must be near its median for it to be a ground
ROUND = 0.15  # a figure of less elongation has no direction


class Property(NamedTuple):
    """How a property is written: what one of its units is called, how many of those its number holds, its period."""

    unit: str
    times: float = 1.0
    period: float | None = None


FIGURE = {
    "area": Property("% of the image", 100),
    "ink strength": Property("% of full ink", 100),
    "centre x": Property("px"),
    "centre y": Property("px"),
    "width": Property("px"),
    "height": Property("px"),
    "slant": Property("°"),
    "elongation": Property("% of the long axis", 100),
    "orientation": Property("°", period=180),
    "stroke width": Property("px"),
}
SCENE = {
    "brightness": Property("% of full range", 100),
    "contrast": Property("% of full range", 100),
    "light from the right": Property("% of full range", 100),
    "light from the top": Property("% of full range", 100),
    "background light": Property("% of full range", 100),
    "light in the middle": Property("% of full range", 100),
    "sharpness": Property("per px"),
    "detail centre x": Property("px"),
    "detail centre y": Property("px"),
    "symmetry": Property(""),
}
COLOUR = {
    "warmth": Property("% of full range", 100),
    "greenness": Property("% of full range", 100),
    "saturation": Property("% of full range", 100),
}
PROPERTIES = FIGURE | SCENE | COLOUR


def ground_of(images: Array) -> Array | None:
    """The colour ``[C]`` that images ``[N, C, H, W]`` have around their figures; None for scenes.

    It is the median of all border pixels, where half of those or more are within 0.1 of it.
    """
    edges = (images[:, :, 0], images[:, :, -1], images[:, :, 1:-1, 0], images[:, :, 1:-1, -1])
    border = np.concatenate(edges, axis=2)
    level = np.median(border, axis=(0, 2))
    near = (np.abs(border - level[:, None]) < FAINT).all(axis=1)
    return level if near.mean() >= PLAIN else None


def properties(images: Array, ground: Array | None = None) -> dict[str, Array]:
    """Every property that images have, each ``[N]``; NaN where one is not defined, as the centre of an empty image.

    Args:
        images: ``[N, C, H, W]`` in [0, 1]; three channels are RGB.
        ground: the colour ``[C]`` around figures, see :func:`ground_of`; None: they are scenes.

    >>> bar = np.zeros((1, 1, 16, 16))
    >>> bar[:, :, 2:13, 10:12] = 1
    >>> found = properties(bar, ground=np.zeros(1))
    >>> [round(float(found[name][0]), 1) for name in ("centre x", "centre y", "width", "height", "stroke width")]
    [3.0, 0.5, 2.0, 11.0, 2.1]
    """
    images = np.asarray(images, np.float64)
    found = _scene(_luma(images)) if ground is None else _figure(_ink(images, ground))
    return found | _colour(images) if images.shape[1] == 3 else found


def _luma(images: Array) -> Array:
    weights = (0.299, 0.587, 0.114) if images.shape[1] == 3 else np.full(images.shape[1], 1 / images.shape[1])
    return np.einsum("nchw,c->nhw", images, weights)


def _ink(images: Array, ground: Array) -> Array:
    level = np.asarray(ground, np.float64)[:, None, None]
    ink = (np.abs(images - level) / np.maximum(level, 1 - level)).max(axis=1)
    return np.where(ink < FAINT, 0.0, ink)


def _ratio(above: Array, below: Array, least: float = 1e-9) -> Array:
    """above / below, NaN where there is too little to divide by."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > least)


def _slopes(grey: Array) -> Array:
    """\\|grad\\| of ``[N, H, W]`` at the corners between pixels, ``[N, H-1, W-1]``.

    Each is the mean of two differences, so that a hard edge has its true length along the rows and along a diagonal;
    forward differences, tried first, find the two sides of a diagonal stroke to be of different length.
    """
    across, down = np.diff(grey, axis=2), np.diff(grey, axis=1)
    return np.hypot((across[:, 1:] + across[:, :-1]) / 2, (down[:, :, 1:] + down[:, :, :-1]) / 2)


def _offsets(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Where the columns u ``[W]`` and the rows v ``[H]`` of ``[N, H, W]`` lie, from the middle, rightwards and down."""
    height, width = shape[-2:]
    return np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2


def _figure(ink: Array) -> dict[str, Array]:
    u, v = _offsets(ink.shape)
    columns, rows, mass = ink.sum(axis=1), ink.sum(axis=2), ink.sum(axis=(1, 2))
    x, y = _ratio(columns @ u, mass), _ratio(rows @ v, mass)
    mu20 = _ratio(columns @ u**2, mass) - x**2 + 1 / 12
    mu02 = _ratio(rows @ v**2, mass) - y**2 + 1 / 12
    mu11 = _ratio((ink @ u) @ v, mass) - x * y
    middle, apart = (mu20 + mu02) / 2, np.hypot((mu20 - mu02) / 2, mu11)
    elongation = 1 - np.sqrt(np.maximum(middle - apart, 0) / (middle + apart))
    orientation = np.degrees(np.arctan2(-2 * mu11, mu02 - mu20)) / 2
    strength = _ratio((ink**2).sum(axis=(1, 2)), mass)
    area = _ratio(mass, strength)
    perimeter = _ratio(_slopes(np.pad(ink, ((0, 0), (1, 1), (1, 1)))).sum(axis=(1, 2)), strength)
    return {
        "area": np.nan_to_num(area) / ink[0].size,
        "ink strength": strength,
        "centre x": x,
        "centre y": -y,
        "width": np.sqrt(12 * mu20),
        "height": np.sqrt(12 * mu02),
        "slant": -np.degrees(np.arctan(mu11 / mu02)),
        "elongation": elongation,
        "orientation": np.where(elongation < ROUND, np.nan, orientation),
        "stroke width": (perimeter - np.sqrt(np.maximum(perimeter**2 - 16 * area, 0))) / 4,
    }


def _scene(luma: Array) -> dict[str, Array]:
    height, width = luma.shape[1:]
    means = lambda part: part.mean(axis=(1, 2))
    mean, contrast = means(luma), luma.std(axis=(1, 2))
    slopes = _slopes(luma)
    (u, v), sharp = _offsets(slopes.shape), slopes.sum(axis=(1, 2))
    ring = np.ones((height, width), bool)
    ring[max(1, height // 8) : -max(1, height // 8), max(1, width // 8) : -max(1, width // 8)] = False
    inner = luma[:, height // 3 : height - height // 3, width // 3 : width - width // 3]
    centred = luma - mean[:, None, None]
    return {
        "brightness": mean,
        "contrast": contrast,
        "light from the right": means(luma[:, :, -(width // 2) :]) - means(luma[:, :, : width // 2]),
        "light from the top": means(luma[:, : height // 2]) - means(luma[:, -(height // 2) :]),
        "background light": luma[:, ring].mean(axis=1),
        "light in the middle": means(inner) - luma[:, ring].mean(axis=1),
        "sharpness": _ratio(means(slopes), contrast),
        "detail centre x": _ratio(slopes.sum(axis=1) @ u, sharp),
        "detail centre y": -_ratio(slopes.sum(axis=2) @ v, sharp),
        "symmetry": _ratio(means(centred * centred[:, :, ::-1]), contrast**2, 1e-12),
    }


def _colour(images: Array) -> dict[str, Array]:
    red, green, blue = images.mean(axis=(2, 3)).T
    return {
        "warmth": red - blue,
        "greenness": green - (red + blue) / 2,
        "saturation": (images.max(axis=1) - images.min(axis=1)).mean(axis=(1, 2)),
    }
