"""The networks that much of the disentanglement literature is trained with, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from zatlas.errors import UsageError
from zatlas.networks.declaring import Pair, need_images
from zatlas.networks.mlp import join
from zatlas.parts import Context, Settings, network

CONVOLUTIONS = {32: 3, 64: 4}  # both end at 4x4
CHANNELS, HIDDEN, END = 32, 256, (32, 4, 4)


def _convolutions(shape: Sequence[int]) -> int:
    """How many convolutions an image ``(C, H, W)`` takes to reach 4x4.

    Raises:
        UsageError: the image is not 32x32 or 64x64.
    """
    height, width = shape[1], shape[2]
    if height != width or height not in CONVOLUTIONS:
        raise UsageError(
            f"the burgess network is made for 32x32 and 64x64 images and these are {height}x{width}: "
            "resize with --resize 64x64, or choose conv."
        )
    return CONVOLUTIONS[height]


class BurgessEncoder(nn.Module):
    """x ``[B, C, S, S]`` to ``[B, out]``: 4x4 convolutions to 32 channels, two layers of 256 units, and a linear one.

    The architecture of Burgess et al. 2018, with the three convolutions of disentangling-vae where S is 32 and four
    where it is 64; with S = 64 it is also BetaVAE_B of 1Konny/Beta-VAE. y ``[B, Y]`` joins before the last layer.

    Args:
        shape: ``(C, S, S)``.
        out: number of outputs.
        label_dim: Y, or 0.

    Raises:
        UsageError: S is neither 32 nor 64.
    """

    def __init__(self, shape: Sequence[int], out: int, *, label_dim: int = 0) -> None:
        super().__init__()
        self.label_dim = label_dim
        layers: list[nn.Module] = []
        for i in range(_convolutions(shape)):
            layers += [nn.Conv2d(CHANNELS if i else shape[0], CHANNELS, 4, stride=2, padding=1), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        flat = END[0] * END[1] * END[2]
        self.hidden = nn.Sequential(nn.Linear(flat, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU())
        self.out = nn.Linear(HIDDEN + label_dim, out)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self.out(join(self.hidden(self.convolutions(x).flatten(1)), y, self.label_dim))


class BurgessDecoder(nn.Module):
    """The mirror of :class:`BurgessEncoder`: z ``[..., D]`` and y ``[..., Y]`` to ``[..., *out_shape]``.

    The original ends in a sigmoid; here the output is its argument, the logits.

    Args:
        latent_dim: D.
        out_shape: ``(channels, S, S)``.
        label_dim: Y, or 0; y is concatenated to z.

    Raises:
        UsageError: S is neither 32 nor 64.
    """

    def __init__(self, latent_dim: int, out_shape: Sequence[int], *, label_dim: int = 0) -> None:
        super().__init__()
        self.label_dim = label_dim
        count = _convolutions(out_shape)
        sizes = (latent_dim + label_dim, HIDDEN, HIDDEN, END[0] * END[1] * END[2])
        hidden: list[nn.Module] = []
        for before, after in pairwise(sizes):
            hidden += [nn.Linear(before, after), nn.ReLU()]
        self.hidden = nn.Sequential(*hidden)
        layers: list[nn.Module] = []
        for i in reversed(range(count)):
            layers.append(nn.ConvTranspose2d(CHANNELS, CHANNELS if i else out_shape[0], 4, stride=2, padding=1))
            layers += [nn.ReLU()] if i else []
        self.convolutions = nn.Sequential(*layers)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        features = self.hidden(join(z, y, self.label_dim))
        out = self.convolutions(features.reshape(-1, *END))
        return out.reshape(*features.shape[:-1], *out.shape[1:])


def _pair(name: str, context: Context, outputs: int, out_shape: Sequence[int]) -> Pair:
    need_images(context.spec, name)
    return (
        BurgessEncoder(context.spec.shape, outputs, label_dim=context.label_dim),
        BurgessDecoder(context.latent_dim, out_shape, label_dim=context.label_dim),
    )


@network(
    "burgess",
    when="32x32 or 64x64 images: the network of disentangling-vae, to compare with published figures",
    source="Burgess et al. 2018",
    role="autoencoder",
    order=5,
)
def burgess(settings: Settings, context: Context, *, outputs: int, out_shape: Sequence[int]) -> Pair:
    """Four strided convolutions, two linear layers, and their mirror."""
    return _pair("burgess", context, outputs, out_shape)


@network("konny-b", when="64x64 images: BetaVAE_B of 1Konny/Beta-VAE", role="autoencoder", order=7)
def konny_b(settings: Settings, context: Context, *, outputs: int, out_shape: Sequence[int]) -> Pair:
    """The same network under the name that another program gives it."""
    return _pair("konny-b", context, outputs, out_shape)
