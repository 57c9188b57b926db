"""Fully connected networks. Every network takes ``(input, y)``; one built without labels ignores y."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


def dense(sizes: Sequence[int], activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers of the given sizes with the activation between them, none after the last."""
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(sizes)):
        if i:
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


class MLPEncoder(nn.Module):
    """x ``[B, *data]`` and y ``[B, Y]`` to ``[B, out]``; y is concatenated to the flattened x."""

    def __init__(
        self,
        data_size: int,
        hidden: Sequence[int],
        out: int,
        *,
        label_dim: int = 0,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        self.layers = dense([data_size + label_dim, *hidden, out], activation)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self.layers(join(x.flatten(1), y, self.label_dim))


class MLPDecoder(nn.Module):
    """z ``[..., D]`` and y ``[..., Y]`` to ``[..., *out_shape]``; y is concatenated to z."""

    def __init__(
        self,
        latent_dim: int,
        hidden: Sequence[int],
        out_shape: Sequence[int],
        *,
        label_dim: int = 0,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        self.out_shape = tuple(out_shape)
        self.layers = dense([latent_dim + label_dim, *hidden, torch.Size(out_shape).numel()], activation)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        out = self.layers(join(z, y, self.label_dim))
        return out.unflatten(-1, self.out_shape)
