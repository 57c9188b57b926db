"""Fully connected networks. Every network takes ``(input, y)``; one built without labels ignores y."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


def dense(sizes: Sequence[int], activation: type[nn.Module], *, normalise: bool = False) -> nn.Sequential:
    """Linear layers of the given sizes; between them layer normalisation, if asked for, and the activation."""
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(sizes)):
        if i:
            layers += [nn.LayerNorm(before)] if normalise else []
            layers.append(activation())
        layers.append(nn.Linear(before, after))
    return nn.Sequential(*layers)


def join(features: Tensor, y: Tensor | None, label_dim: int) -> Tensor:
    """Features ``[..., F]`` and y ``[..., Y]`` side by side; the features alone where the network has no labels.

    Raises:
        ValueError: the network is conditional and y is None.
    """
    if not label_dim:
        return features
    if y is None:
        raise ValueError("a conditional network needs y")
    return torch.cat([features, y], -1)


FAR = 5.0  # standard deviations


class BesideLinear(nn.Module):
    """A network that starts at zero, added to a linear map: ``net(a, y) + W a + b`` for a ``[..., *rest]``.

    So the whole starts as the linear model that the map is set to, and learns what that leaves over. The network sees a
    up to 5 units from zero: a column that hardly ever changes may be hundreds of units off in a new row.

    Args:
        net: its last layer is set to zero.
        inputs: size of a, without y.
        out_shape: of the network's output.
    """

    def __init__(self, net: MLPEncoder | MLPDecoder, inputs: int, out_shape: Sequence[int]) -> None:
        super().__init__()
        last = net.layers[-1]
        assert isinstance(last, nn.Linear)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.net = net
        self.out_shape = tuple(out_shape)
        self.linear = nn.Linear(inputs, torch.Size(out_shape).numel())

    def forward(self, a: Tensor, y: Tensor | None) -> Tensor:
        # in float32, as the map may be exact
        with torch.autocast(a.device.type, enabled=False):
            straight = self.linear(a.float()).unflatten(-1, self.out_shape)
        return straight + self.net(a.clamp(-FAR, FAR), y)


class SineFeatures(nn.Module):
    r"""z ``[..., D]`` to (z, sin(W z + b)) ``[..., D + features]``, W and b learned.

    A few latent units must place thousands of different images; plain layers bend such a space slowly, and waves of
    several lengths bend it at once (Tancik et al. 2020, equation 5, with learned frequencies). On MNIST with two units
    they are worth one nat. A wave's frequency has standard deviation :math:`\sqrt{8/D}`, which is 2 for two units.
    """

    def __init__(self, dim: int, features: int) -> None:
        super().__init__()
        self.waves = nn.Linear(dim, features)
        nn.init.normal_(self.waves.weight, std=math.sqrt(8 / dim))
        nn.init.uniform_(self.waves.bias, -math.pi, math.pi)

    def forward(self, z: Tensor) -> Tensor:
        # in float32: rounded to bfloat16, the phase of a high frequency would be off by a visible part of a turn
        with torch.autocast(z.device.type, enabled=False):
            return torch.cat([z, self.waves(z.float()).sin()], -1)


class MLPEncoder(nn.Module):
    """x ``[B, *data]`` and y ``[B, Y]`` to ``[B, out]``; y is concatenated to the flattened x."""

    def __init__(
        self,
        data_size: int,
        hidden: Sequence[int],
        out: int,
        *,
        label_dim: int = 0,
        normalise: bool = False,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        self.layers = dense([data_size + label_dim, *hidden, out], activation, normalise=normalise)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self.layers(join(x.flatten(1), y, self.label_dim))


class MLPDecoder(nn.Module):
    """z ``[..., D]`` and y ``[..., Y]`` to ``[..., *out_shape]``; y is concatenated to z.

    Args:
        latent_dim: D.
        hidden: widths between.
        out_shape: of the output.
        label_dim: Y, or 0.
        sines: number of learned sine features of z; 0: z alone.
        normalise: layer normalisation before each activation.
        activation: between the layers.
    """

    def __init__(
        self,
        latent_dim: int,
        hidden: Sequence[int],
        out_shape: Sequence[int],
        *,
        label_dim: int = 0,
        sines: int = 0,
        normalise: bool = False,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        self.out_shape = tuple(out_shape)
        self.features = SineFeatures(latent_dim, sines) if sines else nn.Identity()
        sizes = [latent_dim + sines + label_dim, *hidden, torch.Size(out_shape).numel()]
        self.layers = dense(sizes, activation, normalise=normalise)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        out = self.layers(join(self.features(z), y, self.label_dim))
        return out.unflatten(-1, self.out_shape)
