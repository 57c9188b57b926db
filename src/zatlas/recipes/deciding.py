"""What is decided when the data are known: network and likelihood of ``auto``, and what the figures are about."""

from __future__ import annotations

import math
from typing import Literal

from zatlas.config import Config
from zatlas.errors import UsageError
from zatlas.networks.declaring import can_convolve
from zatlas.parts import SORTS, Settings
from zatlas.types import DataSpec

FEW_ROWS = 10_000  # training rows below which an mlp learns them by heart, and weights are averaged
RESIDUAL = range(24, 48)  # pixels of a side of few images that are worth residual blocks; larger ones want plain layers
PASSES = 5  # over few rows, that are worth residual blocks
BATCH, PIXELS_A_SECOND = 32, 220_000  # of a residual network of size s on one slow core: 280 images of 28x28
Quantity = Literal["probability", "density", "loss", "none"]


def decided(config: Config, spec: DataSpec, rows: int = 0) -> Config:
    """The configuration with a network and a likelihood in the place of every ``auto``.

    Args:
        config: the configuration.
        spec: of the data.
        rows: that are trained on; 0: not known.

    Raises:
        UsageError: a likelihood that cannot hold such data.
    """
    made = config.model_copy(deep=True)
    if made.network is not None and made.network.kind == "auto":
        made.network = _as(made.network, "network", network_name(config, spec, rows), config.kind.facts["network"])
    if made.likelihood is not None:
        name = likelihood_name(config, spec)
        if made.likelihood.kind != name:
            made.likelihood = _as(made.likelihood, "likelihood", name)
    _size_code(made, spec)
    return made


def _size_code(config: Config, spec: DataSpec) -> None:
    """As many units as the network's map of codes has.

    Raises:
        UsageError: another number was asked for, or the images do not divide.
    """
    shape = config.part("network").facts.get("code_shape") if config.network is not None else None
    if shape is None:
        return
    channels, height, width = found = shape(config.network, spec)
    units, asked = math.prod(found), config.model.latent_dim
    # the default counts as nothing said, which a configuration that was written out cannot tell from it
    if asked not in (units, type(config.model).model_fields["latent_dim"].default):
        raise UsageError(
            f"the {config.network_kind} network makes a code of {channels}x{height}x{width} = {units} units of these "
            f"images, and model.latent_dim = {asked}: leave latent_dim (-z) out, and say the network's settings, which "
            f"zatlas models {config.network_kind} lists."
        )
    config.model.latent_dim = units


def network_name(config: Config, spec: DataSpec, rows: int = 0) -> str:
    """What is best for such images in the time there is, by ``benchmarks/networks.py`` and ``small.py``.

    Convolutions for a game over images, for images of colours and for few large ones; residual blocks for few images
    with time for five passes over them, which an mlp would learn by heart; else the mlp, as in a ladder.

    After 60 s of one thread 57,000 images of MNIST are at 99.3 nats with an mlp, 101.3 with ``conv`` and 105.7 with
    ``resnet``; 600 at 135.5, 128.2 and 117.7; 2,300 characters of 64x64 at 572, 518 and 535, and of 32x32 at 163, 156
    and 156. 1,700 faces of 28x20, 20 to 180 s, want the mlp (346.5 and 347.3), as other small images may.

    Args:
        config: the configuration.
        spec: of the data.
        rows: that are trained on; 0: not known.
    """
    if config.network is None or config.network.kind != "auto":
        return config.network_kind
    there = SORTS["network"].names(config.kind.facts["network"])
    if "conv" not in there or not can_convolve(spec):  # a ladder has none
        return "mlp"
    if config.kind.has("game"):
        return "conv"
    few, side = 0 < rows < FEW_ROWS, min(spec.shape[1:])
    if few and side in RESIDUAL and "resnet" in there and _passes(config, spec, rows) >= PASSES:
        return "resnet"
    return "conv" if spec.shape[0] == 3 or (few and side >= RESIDUAL.stop) else "mlp"


def _passes(config: Config, spec: DataSpec, rows: int) -> float:
    """How often a residual network sees every row, on a slow core where the limit is of seconds; a training without
    limits has time enough. Never by the clock, so that the same command makes the same network everywhere."""
    t, pixels = config.training, math.prod(spec.shape[1:])
    in_steps, in_seconds = t.steps and t.steps * BATCH / rows, t.seconds and t.seconds * PIXELS_A_SECOND / pixels / rows
    return min((passes for passes in (t.epochs, in_steps, in_seconds) if passes is not None), default=math.inf)


def _as(settings: Settings, section: str, name: str, role: str = "") -> Settings:
    """The settings of another part, with what both have kept."""
    part = SORTS[section].get(name, role)
    kept = {key: getattr(settings, key) for key in part.keys if key in type(settings).model_fields}
    return part.settings(kind=name, **kept)


def likelihood_name(config: Config, spec: DataSpec) -> str:
    """The likelihood that ``auto`` means for these data, or the one asked for; ``"none"`` for a model without one.

    Raises:
        UsageError: the likelihood cannot hold such data, or the network another one.
    """
    if gaussian := config.kind.facts.get("gaussian"):
        return str(gaussian)
    if config.likelihood is None:
        return "none"
    bits = config.data.binarise != "none"
    name = config.likelihood.kind
    if name == "auto":
        grey = spec.values in ("uint8", "unit") and (not spec.is_image or spec.shape[0] == 1)
        wanted = None if config.network is None else config.part("network").facts.get("likelihood")
        name = wanted or ("bernoulli" if grey or bits else "gaussian-learned")
    part = SORTS["likelihood"].get(name)
    if part.has("unit") and spec.values == "real":
        raise UsageError(f"the {name} likelihood wants values in [0, 1], and these are not: choose gaussian-learned.")
    if part.has("eight_bit") and (spec.values != "uint8" or bits):
        raise UsageError(
            f"the {name} likelihood wants 8-bit values without binarisation: choose gaussian or bernoulli."
        )
    if bits and not part.has("bits"):
        raise UsageError(f"binarised data want the bernoulli likelihood, not {name}.")
    if _starts_linear(config) and (not part.has("learned_width") or spec.values != "real" or spec.is_image):
        raise UsageError(
            "the table network wants rows of real columns and the gaussian-learned likelihood: choose mlp."
        )
    if getattr(config.likelihood, "sigma", 1.0) != 1 and not part.has("width"):
        raise UsageError(
            f"likelihood.sigma is the width of a gaussian likelihood, and this is {name}: choose gaussian."
        )
    return name


def _starts_linear(config: Config) -> bool:
    return config.network is not None and bool(config.part("network").facts.get("linear_start"))


def linear_units(config: Config) -> int:
    """Latent units of the linear model that the network starts as; 0 for one that does not."""
    return config.model.latent_dim if _starts_linear(config) else 0


def data_kind(config: Config, spec: DataSpec) -> str:
    """Which data the figures are about: ``grey``, ``static``, ``dynamic``, ``uint8``, ``real``; or ``game`` where a
    model has no likelihood."""
    name = likelihood_name(config, spec)
    if not config.kind.infers:
        return "game"
    if config.data.binarise != "none":
        return config.data.binarise
    part = SORTS["likelihood"].get(name)
    return "grey" if part.has("grey_loss") else "uint8" if part.has("eight_bit") else "real"


def quantity(config: Config, spec: DataSpec) -> Quantity:
    """What the exponential of log p(x|z) is: the ``"probability"`` of bits or of 8-bit values, a ``"density"``, the
    grey ``"loss"``, which is neither, or ``"none"`` where a model has no likelihood.

    Not a function of the data alone: PPCA of binarised data has a density.
    """
    kind = data_kind(config, spec)
    if kind in ("game", "grey"):
        return "none" if kind == "game" else "loss"
    part = SORTS["likelihood"].get(likelihood_name(config, spec))
    return "probability" if part.has("probability") else "density"


def bits_over(config: Config, spec: DataSpec) -> int | None:
    """The number of values that nats are divided by for bits per dimension; None where nobody would: of bits, which
    are quoted in nats, of a density, whose bits depend on the data's unit, and of what bounds no probability."""
    eight_bits = data_kind(config, spec) == "uint8" and not config.kind.point
    return spec.size if eight_bits else None


def lacks_grey_levels(config: Config, spec: DataSpec) -> str | None:
    """Why errors of reconstructions are not counted in decibels and grey levels; None where they are."""
    if not spec.is_image:
        return "its data are columns and no images"
    if spec.values == "real" or config.data.binarise != "none":
        return "its images are real-valued or binarised, and have no grey levels"
    return None
