"""Arrays in, a matplotlib Figure out, and never a model: every picture that zatlas draws."""

from zatlas.figures.animation import filmed, moving, save_animation
from zatlas.figures.captioned import captioned
from zatlas.figures.code_maps import code_maps
from zatlas.figures.convergence import Estimate, convergence
from zatlas.figures.directions import archetype, archetypes, moved
from zatlas.figures.editing import relabelled, transfers
from zatlas.figures.heat import heat
from zatlas.figures.latents import DEAD_NATS, manifold, manifolds, number, plane_through, traversals
from zatlas.figures.look import Look, look, make_look, on_page
from zatlas.figures.output import save, themed_svg
from zatlas.figures.paths import paths
from zatlas.figures.pictures import beside, grid, pairs, progress
from zatlas.figures.plane import Place, rate_distortion
from zatlas.figures.plots import curves, rates
from zatlas.figures.reliability import reliability
from zatlas.figures.scatter import scatter
from zatlas.figures.studies import Model, Panel, Spot, against, frontier, layout, undominated
from zatlas.figures.tiles import png_uri, save_png, tile
from zatlas.figures.view import View, arrays

__all__ = [
    "DEAD_NATS",
    "Estimate",
    "Look",
    "Model",
    "Panel",
    "Place",
    "Spot",
    "View",
    "against",
    "archetype",
    "archetypes",
    "arrays",
    "beside",
    "captioned",
    "code_maps",
    "convergence",
    "curves",
    "filmed",
    "frontier",
    "grid",
    "heat",
    "layout",
    "look",
    "make_look",
    "manifold",
    "manifolds",
    "moved",
    "moving",
    "number",
    "on_page",
    "pairs",
    "paths",
    "plane_through",
    "png_uri",
    "progress",
    "rate_distortion",
    "rates",
    "relabelled",
    "reliability",
    "save",
    "save_animation",
    "save_png",
    "scatter",
    "themed_svg",
    "tile",
    "transfers",
    "traversals",
    "undominated",
]
