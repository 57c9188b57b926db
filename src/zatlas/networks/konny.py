"""The networks of 1Konny/Beta-VAE, a much-used PyTorch implementation of the beta-VAE, for 64x64 images.

Its ``BetaVAE_H`` (after Higgins et al. 2017) is here. Its ``BetaVAE_B`` (after Burgess et al. 2018) has the layers of
:class:`zatlas.networks.burgess.BurgessEncoder` at 64x64, one for one, and is not written down twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from zatlas.errors import UsageError
from zatlas.networks.declaring import Pair, need_images
from zatlas.networks.mlp import join
from zatlas.parts import Context, Settings, network

SIZE, HIDDEN = 64, 256


def _require(shape: Sequence[int]) -> None:
    if tuple(shape[1:]) != (SIZE, SIZE):
        found = "x".join(map(str, shape[1:]))
        raise UsageError(
            f"the konny network is made for 64x64 images and these are {found}: "
            "resize with --resize 64x64, or choose conv."
        )


class KonnyEncoder(nn.Module):
    """x ``[B, C, 64, 64]`` to ``[B, out]``: 4x4 convolutions to 32, 32, 64, 64 and 256 channels, and a linear layer.

    Args:
        shape: ``(C, 64, 64)``.
        out: number of outputs.
        label_dim: Y, or 0; y ``[B, Y]`` joins before the linear layer.

    Raises:
        UsageError: the images have another size.
    """

    def __init__(self, shape: Sequence[int], out: int, *, label_dim: int = 0) -> None:
        super().__init__()
        _require(shape)
        self.label_dim = label_dim
        layers: list[nn.Module] = []
        channels = (shape[0], 32, 32, 64, 64)
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers, nn.Conv2d(64, HIDDEN, 4), nn.ReLU())
        self.out = nn.Linear(HIDDEN + label_dim, out)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self.out(join(self.convolutions(x).flatten(1), y, self.label_dim))


class KonnyDecoder(nn.Module):
    """The mirror of :class:`KonnyEncoder`: z ``[..., D]`` and y ``[..., Y]`` to ``[..., *out_shape]``.

    Args:
        latent_dim: D.
        out_shape: ``(channels, 64, 64)``.
        label_dim: Y, or 0; y is concatenated to z.

    Raises:
        UsageError: the images have another size.
    """

    def __init__(self, latent_dim: int, out_shape: Sequence[int], *, label_dim: int = 0) -> None:
        super().__init__()
        _require(out_shape)
        self.label_dim = label_dim
        self.first = nn.Linear(latent_dim + label_dim, HIDDEN)
        layers: list[nn.Module] = [nn.ReLU(), nn.ConvTranspose2d(HIDDEN, 64, 4)]
        channels = (64, 64, 32, 32, out_shape[0])
        for before, after in pairwise(channels):
            layers += [nn.ReLU(), nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]
        self.convolutions = nn.Sequential(*layers)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        features = self.first(join(z, y, self.label_dim))
        out = self.convolutions(features.reshape(-1, HIDDEN, 1, 1))
        return out.reshape(*features.shape[:-1], *out.shape[1:])


@network("konny-h", when="64x64 images: BetaVAE_H of 1Konny/Beta-VAE", role="autoencoder", order=6)
def konny_h(settings: Settings, context: Context, *, outputs: int, out_shape: Sequence[int]) -> Pair:
    """Convolutions to 256 channels, and their mirror."""
    need_images(context.spec, "konny-h")
    return (
        KonnyEncoder(context.spec.shape, outputs, label_dim=context.label_dim),
        KonnyDecoder(context.latent_dim, out_shape, label_dim=context.label_dim),
    )
