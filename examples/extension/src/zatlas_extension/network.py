"""A network: encoder and decoder of images by strided convolutions."""

from pydantic import Field
from torch import nn

from zatlas.errors import UsageError
from zatlas.networks.foreign import ForeignDecoder, ForeignEncoder
from zatlas.parts import Settings, network


class StridedSettings(Settings):
    """What a person may set: ``[network] channels = 64``."""

    channels: int = Field(16, ge=1, description="of the first convolution")


@network("strided", when="images whose sides divide by four", role="autoencoder", settings=StridedSettings)
def strided(settings, context, *, outputs, out_shape):
    """x ``[B, C, H, W]`` to ``[B, outputs]``, and z ``[B, D]`` to ``[B, *out_shape]``."""
    (c, h, w), width = context.spec.shape if context.spec.is_image else (0, 1, 1), settings.channels
    if h % 4 or w % 4:
        raise UsageError(f"the strided network wants images whose sides divide by four, not {context.spec.shape}.")
    flat = 2 * width * (h // 4) * (w // 4)
    encoder = nn.Sequential(
        *(nn.Conv2d(c, width, 4, 2, 1), nn.SiLU(), nn.Conv2d(width, 2 * width, 4, 2, 1), nn.SiLU()),
        *(nn.Flatten(), nn.Linear(flat, outputs)),
    )
    decoder = nn.Sequential(
        *(nn.Linear(context.latent_dim, flat), nn.Unflatten(1, (2 * width, h // 4, w // 4)), nn.SiLU()),
        *(nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.SiLU(), nn.ConvTranspose2d(width, out_shape[0], 4, 2, 1)),
    )
    return ForeignEncoder(encoder, 3, "mean-logvar", outputs), ForeignDecoder(decoder, out_shape, "logits")
