"""What is decided when the data are known: network and likelihood of ``auto``, and what the figures are about."""

from __future__ import annotations

import math
from typing import Literal

from zatlas.config import Config
from zatlas.errors import UsageError
from zatlas.networks.declaring import can_convolve
from zatlas.parts import SORTS, Settings
from zatlas.types import DataSpec

Quantity = Literal["probability", "density", "loss", "none"]


def decided(config: Config, spec: DataSpec) -> Config:
    """The configuration with a network and a likelihood in the place of every ``auto``.

    Raises:
        UsageError: a likelihood that cannot hold such data.
    """
    made = config.model_copy(deep=True)
    if made.network is not None and made.network.kind == "auto":
        made.network = _as(made.network, "network", network_name(config, spec), config.kind.facts["network"])
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


def network_name(config: Config, spec: DataSpec) -> str:
    """Convolutions for a game over images and for images of colours, else the mlp.

    After 150 s of MNIST a GAN's fully connected generator draws speckled strokes and a convolutional one clean ones; a
    VAE's mlp is better than its conv. Of colour photographs of 32x32 conv, mlp and resnet had losses of -1609, -1488
    and -911 nats after 45 s of one thread: ``benchmarks/networks.py`` has the table.
    """
    if config.network is None or config.network.kind != "auto":
        return config.network_kind
    colour = spec.is_image and spec.shape[0] == 3
    is_there = SORTS["network"].find("conv", config.kind.facts["network"]) is not None  # a ladder has none
    return "conv" if (config.kind.has("game") or colour) and is_there and can_convolve(spec) else "mlp"


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
