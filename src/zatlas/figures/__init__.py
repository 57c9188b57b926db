"""Arrays in, a matplotlib Figure out, and never a model: every picture that zatlas draws."""

from zatlas.figures.animation import save_animation
from zatlas.figures.convergence import Estimate, convergence
from zatlas.figures.heat import heat
from zatlas.figures.latents import manifold, traversals
from zatlas.figures.output import save, themed_svg
from zatlas.figures.pictures import beside, grid, pairs, progress
from zatlas.figures.plane import Place, rate_distortion
from zatlas.figures.plots import curves, rates
from zatlas.figures.reliability import reliability
from zatlas.figures.scatter import scatter
from zatlas.figures.tiles import png_uri, save_png, tile
from zatlas.figures.view import View, arrays

__all__ = [
    "Estimate",
    "Place",
    "View",
    "arrays",
    "beside",
    "convergence",
    "curves",
    "grid",
    "heat",
    "manifold",
    "pairs",
    "png_uri",
    "progress",
    "rate_distortion",
    "rates",
    "reliability",
    "save",
    "save_animation",
    "save_png",
    "scatter",
    "themed_svg",
    "tile",
    "traversals",
]
