"""Encoder and decoder networks by name, all sizes by one dial."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from zatlas.config import Config
from zatlas.config.kinds import MODELS
from zatlas.errors import UsageError
from zatlas.networks import (
    BurgessDecoder,
    BurgessEncoder,
    ConvDecoder,
    ConvEncoder,
    CourseConvDecoder,
    CourseConvEncoder,
    ExportedNetwork,
    KonnyDecoder,
    KonnyEncoder,
    MLPDecoder,
    MLPEncoder,
    ResNetDecoder,
    ResNetEncoder,
)
from zatlas.types import DataSpec

MLP_WIDTH = {"xs": 64, "s": 256, "m": 512, "l": 1024}
CONV_WIDTHS = {"xs": (8, 16, 32), "s": (32, 64, 64), "m": (32, 64, 128, 128), "l": (64, 128, 256, 256)}
CONV_HIDDEN = {"xs": 64, "s": 256, "m": 256, "l": 512}
FEW_UNITS = 2  # up to so many latent units are a bottleneck, and the mlp is built for one
RESNET_WIDTHS = {"xs": (16, 32), "s": (32, 64, 64), "m": (64, 128, 128), "l": (128, 256, 256)}
RESNET_BLOCKS = {"xs": 1, "s": 1, "m": 2, "l": 3}
COURSE_WIDTHS = (400,)
FOR_IMAGES = ("conv", "resnet", "burgess", "konny-h", "konny-b", "course-conv")
BURDA_WIDTHS = (200, 200)


def can_convolve(spec: DataSpec) -> bool:
    """Whether a convolutional network can be built for such data."""
    return spec.is_image and min(spec.shape[1:]) >= 5


def with_network(config: Config, spec: DataSpec) -> Config:
    """The configuration with a network for ``"auto"``: convolutions for a model without an encoder of images, else mlp.

    After 150 s of MNIST a GAN's fully connected generator draws speckled strokes and a convolutional one clean ones; a
    VAE's mlp is ahead of its conv.
    """
    if config.model.network != "auto":
        return config
    config = config.model_copy(deep=True)
    config.model.network = "mlp" if MODELS[config.model.kind].infers or not can_convolve(spec) else "conv"
    return config


def build_networks(
    config: Config, spec: DataSpec, label_dim: int, outputs: int, out_shape: Sequence[int]
) -> tuple[nn.Module, nn.Module]:
    """Encoder network to ``outputs`` numbers, decoder network to ``out_shape``.

    Raises:
        UsageError: the network is not made for such data.
    """
    model = config.model
    if model.network in FOR_IMAGES and not spec.is_image:
        raise UsageError(f"the {model.network} network wants images, not {spec.shape[0]} columns: choose mlp.")
    assert model.network != "table"  # see tables.py
    match model.network:
        case "mlp" | "auto":  # which is the mlp for every model that has an encoder
            # measured on MNIST. z = 2: a third encoder layer is worth 2.5 nats, sine features 1, a third decoder
            # layer nothing, and normalisation, residual connections and dropout lose half a nat and more. z = 16:
            # normalisation is worth 4, and sine features make the posterior collapse
            w, few = MLP_WIDTH[model.size], model.latent_dim <= FEW_UNITS
            return (
                MLPEncoder(spec.size, (2 * w, 2 * w, w), outputs, label_dim=label_dim, normalise=not few),
                MLPDecoder(
                    model.latent_dim,
                    (w, w, 2 * w),
                    out_shape,
                    label_dim=label_dim,
                    sines=w if few else 0,
                    normalise=not few,
                ),
            )
        case "burda":
            return (
                MLPEncoder(spec.size, BURDA_WIDTHS, outputs, label_dim=label_dim, activation=nn.Tanh),
                MLPDecoder(model.latent_dim, BURDA_WIDTHS, out_shape, label_dim=label_dim, activation=nn.Tanh),
            )
        case "course-mlp":
            return (
                MLPEncoder(spec.size, COURSE_WIDTHS, outputs, label_dim=label_dim, activation=nn.ReLU),
                MLPDecoder(model.latent_dim, COURSE_WIDTHS, out_shape, label_dim=label_dim, activation=nn.ReLU),
            )
        case "conv":
            if not can_convolve(spec):
                raise UsageError(f"the conv network wants images of 5x5 pixels or more, not {spec.shape}: choose mlp.")
            channels, hidden = CONV_WIDTHS[model.size], CONV_HIDDEN[model.size]
            return (
                ConvEncoder(spec.shape, channels, hidden, outputs, label_dim=label_dim),
                ConvDecoder(model.latent_dim, channels, hidden, out_shape, label_dim=label_dim),
            )
        case "resnet":
            widths, blocks = RESNET_WIDTHS[model.size], RESNET_BLOCKS[model.size]
            return (
                ResNetEncoder(spec.shape, widths, outputs, blocks=blocks, label_dim=label_dim),
                ResNetDecoder(model.latent_dim, widths, out_shape, blocks=blocks, label_dim=label_dim),
            )
        case "burgess" | "konny-b":
            return (
                BurgessEncoder(spec.shape, outputs, label_dim=label_dim),
                BurgessDecoder(model.latent_dim, out_shape, label_dim=label_dim),
            )
        case "konny-h":
            return (
                KonnyEncoder(spec.shape, outputs, label_dim=label_dim),
                KonnyDecoder(model.latent_dim, out_shape, label_dim=label_dim),
            )
        case "exported":
            # which combinations.py makes sure are there
            inward, outward = model.encoder_graph or (), model.decoder_graph or ()
            return ExportedNetwork(inward, len(spec.shape)), ExportedNetwork(outward, 1)
        case "course-conv":
            if spec.shape != (1, 28, 28):
                found = "x".join(map(str, spec.shape))
                raise UsageError(
                    f"the course-conv network is made for 1x28x28 images and these are {found}: "
                    "choose conv, or resize with --resize 28 --channels 1."
                )
            return (
                CourseConvEncoder(outputs, label_dim=label_dim),
                CourseConvDecoder(model.latent_dim, parameters=out_shape[0], label_dim=label_dim),
            )
