"""Convolutions with the channels of a pixel side by side in memory.

A CPU's convolutions are written for that order, and copy images that lie otherwise into it and back. Weights keep their
shape, order and names; only the last bits of a sum may change. See ``benchmarks/conv.py``.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEW = 4  # channels of an image; from about eight on a transposed convolution is the faster one


def arrangeable(x: Tensor) -> bool:
    """Whether it pays, and can be: on a CPU, not under a transform of torch.func, and not while traced for export."""
    transformed = torch._C._functorch.peek_interpreter_stack() is not None
    return x.device.type == "cpu" and not transformed and not torch.compiler.is_compiling()


def channels_last(x: Tensor) -> Tensor:
    """The images ``[B, C, H, W]`` with their channels innermost in memory, where that is :func:`arrangeable`."""
    return x.contiguous(memory_format=torch.channels_last) if arrangeable(x) else x


class Conv2d(nn.Conv2d):
    """``nn.Conv2d`` on images laid out by :func:`channels_last`."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(channels_last(input))


class ConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` on images laid out by :func:`channels_last`.

    Its bias is added by itself. Where the convolution adds it, the sum that is its gradient takes nearly as long as
    the gradients of weights and input together: to 45 channels of 32x32, 128 images, 69 ms, and 39 without it.
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if self.bias is None or output_size is not None or not arrangeable(input):
            return super().forward(channels_last(input), output_size)
        out = F.conv_transpose2d(
            channels_last(input),
            self.weight,
            None,
            self.stride,
            self.padding,  # type: ignore[arg-type]
            self.output_padding,
            self.groups,
            self.dilation,
        )
        return out.add_(self.bias[:, None, None].to(out.dtype))


class Painter(nn.ConvTranspose2d):
    """A transposed convolution of stride 2 to an image's few channels, as one convolution and a shuffle.

    Which weights meet an output pixel depends on whether its row and its column are even. So there are four kernels,
    each of an ordinary convolution at the size of the input, whose outputs are laid out as two by two pixels (Shi et
    al. 2016, section 3). Transposed, the matrix product is as thin as the image has channels, and most of the time goes
    into adding pieces up.
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        suited = output_size is None and self.stride == (2, 2) and self.out_channels <= FEW
        if not (suited and arrangeable(input)):
            return super().forward(input, output_size)
        weight, pads, sides = self.weight, [], []
        for axis in (2, 3):
            kernel, padding = self.kernel_size[axis - 2], int(self.padding[axis - 2])
            taps, first = phases(kernel, padding)
            weight = torch.cat([weight, torch.zeros_like(weight.narrow(axis, 0, 1))], axis)  # tap ``kernel`` is none
            weight = weight.index_select(axis, torch.tensor(taps).flatten())
            size = input.shape[axis]
            side = 2 * (size - 1) - 2 * padding + kernel + self.output_padding[axis - 2]
            pads.append((-first, (side + 1) // 2 + first + len(taps[0]) - 1 - size))
            sides.append(side)
        kernels = weight.unflatten(3, (2, -1)).unflatten(2, (2, -1)).permute(1, 2, 4, 0, 3, 5).flatten(0, 2)
        out = F.pixel_shuffle(F.conv2d(F.pad(channels_last(input), (*pads[1], *pads[0])), kernels), 2)
        out = out[..., : sides[0], : sides[1]]
        return out if self.bias is None else out + self.bias[:, None, None].to(out.dtype)


@cache
def phases(kernel: int, padding: int) -> tuple[tuple[tuple[int, ...], ...], int]:
    """Which taps of a transposed convolution of stride 2 an even and an odd output meets, as those of an ordinary one.

    Output 2 j + r is the sum over n of the input at j + first + n times tap ``taps[r][n]``; tap ``kernel`` is zero.

    >>> phases(3, 1)
    (((1, 3), (2, 0)), 0)
    >>> phases(5, 2)
    (((4, 2, 0), (5, 3, 1)), -1)
    """
    met = {(r + padding - tap) // 2: 0 for r in (0, 1) for tap in range(kernel) if (r + padding - tap) % 2 == 0}
    first, last = min(met), max(met)
    wanted = ([r + padding - 2 * place for place in range(first, last + 1)] for r in (0, 1))
    taps = tuple(tuple(tap if 0 <= tap < kernel else kernel for tap in row) for row in wanted)
    return taps, first
