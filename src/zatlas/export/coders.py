"""Encoders and decoders as modules from tensors to tensors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from zatlas.distributions import Codeword, DiagonalGaussian, Point
from zatlas.export.ports import Tensors
from zatlas.models import LinearGaussian
from zatlas.types import Generates, Infers


class Encodes(nn.Module):
    """x ``[B, *data]`` and y ``[B, Y]`` to the mean and the log-variance of q(z|x,y), ``[B, D]`` each."""

    def __init__(self, model: Infers) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor | Tensors:
        return told(self.model.encode(x, y))


class Decodes(nn.Module):
    """z ``[B, D]`` and y ``[B, Y]`` to the mean of p(x|z,y), ``[B, *data]``."""

    def __init__(self, model: Generates) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        mean: Tensor = self.model.generate(y=y, z=z.split(self.model.latent_dims, -1)).px.mean[0]
        return mean.float()


class Affine(nn.Module):
    """(a - before) W + after, ``[B, *shape]``, and constants beside it that are the same for every example."""

    before: Tensor
    matrix: Tensor
    after: Tensor
    beside: Tensor

    def __init__(self, before: Tensor, matrix: Tensor, after: Tensor, shape: Sequence[int], beside: Tensor) -> None:
        super().__init__()
        self.shape, self.constant = tuple(shape), bool(beside.numel())
        for name, value in (("before", before), ("matrix", matrix), ("after", after), ("beside", beside)):
            self.register_buffer(name, value.float().contiguous())

    def forward(self, a: Tensor, y: Tensor | None = None) -> Tensor | Tensors:
        out = ((a.flatten(1) - self.before) @ self.matrix + self.after).unflatten(-1, self.shape)
        return (out, self.beside.expand_as(out)) if self.constant else out


@singledispatch
def told(q: Distribution) -> Tensor | Tensors:
    """What an encoder's graph says of a posterior: mean and log-variance."""
    return q.mean.float(), q.variance.log().float()


@told.register
def _(q: DiagonalGaussian) -> Tensors:
    return q.mean, q.log_variance


@told.register
def _(q: Point) -> Tensor:
    return q.mean


@told.register
def _(q: Codeword) -> Tensors:
    return q.mean, q.indices


@singledispatch
def encoder_of(model: Infers) -> nn.Module:
    """The module of q(z|x,y)."""
    return Encodes(model)


@encoder_of.register
def _(model: LinearGaussian) -> nn.Module:
    # its posterior is computed in float64 by a Cholesky factor, which no ONNX operator has; what depends on x is linear
    basis = torch.eye(model.weight.shape[0], dtype=torch.float64)
    at_zero = model.encode(torch.zeros(1, *model.data_shape, dtype=torch.float64))
    matrix = model.encode(basis.view(-1, *model.data_shape)).mean - at_zero.mean
    mean = model.mean.double()
    return Affine(mean, matrix, at_zero.mean[0] + mean @ matrix, model.latent_dims, at_zero.variance[0].log())


@singledispatch
def decoder_of(model: Generates) -> nn.Module:
    """The module of the mean of p(x|z,y)."""
    return Decodes(model)


@decoder_of.register
def _(model: LinearGaussian) -> nn.Module:
    return Affine(torch.zeros(1), model.weight.T, model.mean, model.data_shape, torch.zeros(0))
