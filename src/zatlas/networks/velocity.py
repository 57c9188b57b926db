"""Networks that give the velocity of a flow over codes: for rows of units, and for maps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from zatlas.networks.layout import Conv2d
from zatlas.networks.resnet import group_norm

FREQUENCIES = 32  # of the time's sines and cosines
FASTEST = 30.0  # radians that the fastest of them turns while t goes from 0 to 1
ATTENDED = 64  # places: on smaller maps every place looks at every other
SMALLEST = 4  # a side is halved while it is longer


Layer = TypeVar("Layer", nn.Linear, Conv2d)


def _zeroed(layer: Layer) -> Layer:
    """The same layer, which starts at zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Velocity(nn.Module):
    r"""The velocity v(u, t, y) of a flow from noise (t = 0) to codes (t = 1).

    .. math:: v = (2t - 1)\, a^2 u + a\, F(a u, t, y), \qquad a^2 = \frac{1}{t^2 + (1 - t)^2}

    The first term is the velocity that takes N(0, I) to itself, which is what is known of codes of mean 0 and variance
    1, and F learns the rest at a variance of 1 at all times (as Karras et al. 2022 do for a diffusion, section 5). F
    starts at zero: untrained, the flow is N(0, I).

    Args:
        body: F: scaled codes ``[B, D]`` and features of the time and the label ``[B, width]`` to ``[B, D]``.
        width: of the features that tell them.
        label_dim: Y, or 0.

    Attributes:
        label_centre, label_scale: of real labels, which are told on one scale; 0 and 1 of classes.
    """

    frequencies: Tensor
    label_centre: Tensor
    label_scale: Tensor

    def __init__(self, body: nn.Module, width: int, label_dim: int = 0) -> None:
        super().__init__()
        self.body = body
        self.label_dim = label_dim
        self.register_buffer("label_centre", torch.zeros(label_dim))
        self.register_buffer("label_scale", torch.ones(label_dim))
        self.register_buffer("frequencies", torch.logspace(0, math.log10(FASTEST), FREQUENCIES))
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.labels = nn.Linear(label_dim + 1, width) if label_dim else None

    def forward(self, t: Tensor, u: Tensor, y: Tensor | None = None, known: Tensor | None = None) -> Tensor:
        """dv/dt of every code.

        Args:
            t: ``[B]``, from 0 to 1.
            u: ``[B, D]``.
            y: labels ``[B, Y]``; None: whatever the label.
            known: ``[B]``, 1 where the label is told and 0 where it is not; None: told wherever y is given.
        """
        angles = t[:, None] * self.frequencies
        told = self.time(torch.cat([angles.cos(), angles.sin()], -1))
        if self.labels is not None:
            told = told + self.labels(self._label(len(u), y, known, told))
        t = t[:, None]
        square = 1 / (t * t + (1 - t) ** 2)
        scale = square.sqrt()
        return (2 * t - 1) * square * u + scale * self.body(scale * u, told).float()

    def _label(self, n: int, y: Tensor | None, known: Tensor | None, like: Tensor) -> Tensor:
        """y and a one side by side ``[B, Y + 1]``, or zeros where the label is not told."""
        if y is None:
            return torch.zeros(n, self.label_dim + 1, device=like.device, dtype=like.dtype)
        told = torch.cat([(y - self.label_centre) / self.label_scale, torch.ones_like(y[:, :1])], -1)
        return told if known is None else told * known[:, None]


class _RowBlock(nn.Module):
    """x + f(x): normalisation, scaled and shifted by what is told, and two linear layers; at first f is zero."""

    def __init__(self, width: int, told: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.told = _zeroed(nn.Linear(told, 2 * width))
        self.layers = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), _zeroed(nn.Linear(2 * width, width)))

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        scale, shift = self.told(told).chunk(2, -1)
        return x + self.layers(self.norm(x) * (1 + scale) + shift)


class RowBody(nn.Module):
    """For codes that are rows of units: residual blocks of linear layers.

    Args:
        dim: D.
        width: of the features, and of those that tell the time.
        blocks: how many.
    """

    def __init__(self, dim: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Linear(dim, width)
        self.blocks = nn.ModuleList(_RowBlock(width, width) for _ in range(blocks))
        self.last = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), _zeroed(nn.Linear(width, dim)))

    def forward(self, u: Tensor, told: Tensor) -> Tensor:
        told = nn.functional.silu(told)
        x = self.first(u)
        for block in self.blocks:
            x = block(x, told)
        return self.last(x)


class _MapBlock(nn.Module):
    """x + f(x): two 3x3 convolutions; the time and the label scale and shift what comes between; at first f is zero."""

    def __init__(self, channels: int, told: int) -> None:
        super().__init__()
        self.before, self.between = group_norm(channels), group_norm(channels)
        self.first = Conv2d(channels, channels, 3, padding=1)
        self.second = _zeroed(Conv2d(channels, channels, 3, padding=1))
        self.told = _zeroed(nn.Linear(told, 2 * channels))

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        scale, shift = self.told(told)[..., None, None].chunk(2, 1)
        h = self.first(nn.functional.silu(self.before(x)))
        return x + self.second(nn.functional.silu(self.between(h) * (1 + scale) + shift))


class _Attention(nn.Module):
    """Every place looks at every other (Vaswani et al. 2017), added to what it had; at first nothing is added."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = group_norm(channels)
        self.attend, self.attended = nn.Linear(channels, 3 * channels), _zeroed(nn.Linear(channels, channels))

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        places = self.norm(x).flatten(2).transpose(1, 2)  # [B, places, channels]
        query, key, value = self.attend(places).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # spelt out, since torch cannot stack its fused attention on the CPU
        scores = (query / key.shape[-1] ** 0.5) @ key.transpose(-1, -2)
        seen = (scores.softmax(-1) @ value).transpose(1, 2).flatten(-2)
        return x + self.attended(seen).transpose(1, 2).reshape(x.shape)


class _Stage(nn.Module):
    """Residual blocks at one size, and perhaps attention after them."""

    def __init__(self, channels: int, told: int, blocks: int, attends: bool) -> None:
        super().__init__()
        own: list[nn.Module] = [_MapBlock(channels, told) for _ in range(blocks)]
        self.blocks = nn.ModuleList([*own, _Attention(channels)] if attends else own)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, told)
        return x


class MapBody(nn.Module):
    """For codes that are maps: residual convolutions down to a coarse map and up again (Ronneberger et al. 2015).

    Args:
        shape: ``(C, h, w)``.
        width: channels on a map of 8x8; maps of four times the places have half as many, so that a block costs the
            same everywhere, and the smallest have twice as many.
        told: of the features that tell the time and the label.
        blocks: residual blocks at each size, on the way down and again on the way up.
    """

    def __init__(self, shape: Sequence[int], *, width: int, told: int, blocks: int) -> None:
        super().__init__()
        self.shape = tuple(shape)
        sizes = halved(*self.shape[1:])
        widths = [channels_at(h * w, width) for h, w in sizes]
        looks = [h * w <= ATTENDED for h, w in sizes]
        self.first = Conv2d(self.shape[0], widths[0], 3, padding=1)
        self.places = nn.Parameter(torch.zeros(widths[0], *sizes[0]))
        self.down = nn.ModuleList(
            _Stage(width, told, blocks, attends) for width, attends in zip(widths, looks, strict=True)
        )
        self.shrink = nn.ModuleList(Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths))
        self.grow = nn.ModuleList(
            nn.Sequential(Conv2d(b, a, 1), nn.Upsample(size))
            for a, b, size in zip(widths, widths[1:], sizes, strict=False)
        )
        self.join = nn.ModuleList(Conv2d(2 * a, a, 1) for a in widths[:-1])
        self.up = nn.ModuleList(_Stage(width, told, blocks, False) for width in widths)
        self.last = nn.Sequential(
            group_norm(widths[0]), nn.SiLU(), _zeroed(Conv2d(widths[0], self.shape[0], 3, padding=1))
        )

    def forward(self, u: Tensor, told: Tensor) -> Tensor:
        told = nn.functional.silu(told)
        x = self.first(u.reshape(-1, *self.shape)) + self.places
        passed: list[Tensor] = []
        for i, stage in enumerate(self.down):
            x = stage(x, told)
            passed.append(x)
            if i < len(self.shrink):
                x = self.shrink[i](x)
        for i in reversed(range(len(self.up))):
            if i < len(self.grow):
                x = self.join[i](torch.cat([self.grow[i](x), passed[i]], 1))
            x = self.up[i](x, told)
        return self.last(x).flatten(1)


def halved(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes of a map, each half of the one before (rounding up), until no side is longer than four.

    >>> halved(16, 16), halved(7, 7)
    ([(16, 16), (8, 8), (4, 4)], [(7, 7), (4, 4)])
    """
    sizes = [(height, width)]
    while max(sizes[-1]) > SMALLEST:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def channels_at(places: int, width: int) -> int:
    """Channels on a map of so many places: ``width`` on 64, half of it on 256, twice as many on 16 and fewer.

    >>> [channels_at(side * side, 64) for side in (4, 7, 8, 16, 32)]
    [128, 64, 64, 32, 16]
    """
    halvings = max(-1, round(math.log(places / 64, 4)))
    return max(8, round(width / 2**halvings / 8) * 8)


def velocity(shape: Sequence[int], *, label_dim: int = 0, width: int, blocks: int) -> Velocity:
    """The network for codes ``(D,)`` or ``(C, h, w)``.

    Args:
        shape: of a code.
        label_dim: Y, or 0.
        width: of the features: of a row, or on a map of 8x8.
        blocks: residual blocks: of a row, or at each size of a map, on the way down and on the way up.

    >>> net = velocity((4, 8, 8), width=16, blocks=1)
    >>> net(torch.zeros(2), torch.ones(2, 256)).shape
    torch.Size([2, 256])
    """
    if len(shape) == 1:
        return Velocity(RowBody(shape[0], width=width, blocks=blocks), width, label_dim)
    told = 4 * width
    return Velocity(MapBody(shape, width=width, told=told, blocks=blocks), told, label_dim)
